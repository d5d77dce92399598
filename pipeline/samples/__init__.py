"""A catalogue of rendered product photos of which everything is known: alpha, illuminant, category, orientation.

Made by a small renderer of cloth, ceramics and rooms, from random numbers alone: no photograph went into it.
"""

from pipeline.samples.catalogue import BROKEN_REASONS, CONTAINERS, TRUTH_SCHEMA, SampleSet, render_samples

__all__ = ["BROKEN_REASONS", "CONTAINERS", "TRUTH_SCHEMA", "SampleSet", "render_samples"]
