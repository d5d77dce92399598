"""Measures what the job makes against truth: drawn, composed, rendered, and pictures with nothing on sale."""

from pipeline.evaluation.segmentation import EvaluationConfig, evaluate_segmentation

__all__ = ["EvaluationConfig", "evaluate_segmentation"]
