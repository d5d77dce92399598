"""Beam's side of the models: the ModelHandlers that load them in the workers and run them."""

from models.handlers.segmentation import Segmentation, SegmentationFailure, SegmentationHandler, load_segmenter

__all__ = ["Segmentation", "SegmentationFailure", "SegmentationHandler", "load_segmenter"]
