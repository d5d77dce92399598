"""The job without Beam: the graph's own functions, called one after the other for every photo."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence

import apache_beam as beam
from apache_beam.pipeline import PipelineVisitor

from models.handlers.segmentation import Segmenter
from pipeline.graph import build_graph
from pipeline.planning import RunPlan
from pipeline.records import Photo
from pipeline.sinks import storage
from pipeline.sources.items import PlannedItem, SourceOptions
from pipeline.sources.read import ReadPhotos, read_photos
from transforms.segment import STAGE as SEGMENT
from transforms.segment import SegmentPhotos, segment
from transforms.stage import PhotoStage

Stage = Callable[[Photo], Photo]


class PlainLoop:
    """Does what the graph of a plan does to photos, up to their stored assets.

    The functions are taken out of the graph itself, with all their settings, so that a stage added there is part
    of the loop too; ``tests/benchmarks/test_plain_loop.py`` compares assets and stages with a run's.

    Args:
      plan: of a first run: there is nothing to carry over.
    """

    def __init__(self, plan: RunPlan):
        found = _StageFinder()
        pipeline = beam.Pipeline(runner="FnApiRunner")
        build_graph(pipeline, plan, synced=not storage.syncs_together(storage.join(plan.config.output, "assets")))
        pipeline.visit(found)
        self.stages = found.stages
        self._items, self._options = found.items, found.options
        self.spent = dict.fromkeys(("read", *self.stages), 0.0)
        self.photos = 0

    def read(self) -> Iterator[Photo]:
        """Yields the input's photos as the job reads them."""
        for item in self._items:
            for photo in read_photos(item, self._options):
                assert isinstance(photo, Photo), photo
                yield photo

    def run(self) -> None:
        """Processes all photos; ``spent`` has the seconds by stage, ``photos`` their number."""
        started = time.perf_counter()
        for photo in self.read():
            for name, stage in (("read", None), *self.stages.items()):
                photo = photo if stage is None else stage(photo)
                now = time.perf_counter()
                self.spent[name] += now - started
                started = now
            self.photos += 1


class _StageFinder(PipelineVisitor):
    """Collects the functions of a graph's stages, in their order, and what it reads."""

    def __init__(self):
        self.stages: dict[str, Stage] = {}
        self.items: Sequence[PlannedItem] = ()
        self.options = SourceOptions()

    def enter_composite_transform(self, transform_node):
        transform = transform_node.transform
        if isinstance(transform, PhotoStage):
            self.stages[transform._stage] = transform._function
        elif isinstance(transform, SegmentPhotos):
            self.stages[SEGMENT] = functools.partial(_segment, model=transform._handler._handler.load_model())
        elif isinstance(transform, ReadPhotos):
            self.options = transform._options
        elif transform_node.full_label == "ListWork":
            self.items = list(transform.references)


def _segment(photo: Photo, model: Segmenter) -> Photo:
    found = segment(photo.image, model)
    return photo.replace(coarse_mask=found.mask, presence=found.presence)
