"""``packshot export``: from a trained network to the files that serve it, with what each of them loses."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from models.handlers import load_segmenter
from models.handlers.segmentation import Segmenter
from models.metrics.segmentation import intersection_over_union
from pipeline.evaluation.cases import masked_photos, read_picture, read_rows
from pipeline.evaluation.tables import markdown_table
from pipeline.export_command import FORMS
from transforms.segment import resize_for_model

if TYPE_CHECKING:
    from models.export import Weights

_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What to export and how to measure it.

    Attributes:
      model: a trained ``.keras`` network.
      output: folder to write to.
      forms: of ``FORMS``: the weights of a LiteRT file, or a SavedModel for the GPU.
      size: side of the square input in pixels; the network's own by default. Convolutions take any multiple of 32.
      calibration: folder of photos, or of Parquet files with a column ``image``, for the ranges of ``int8``.
      calibration_count: photos that the ranges are taken from.
      photos, masks: as ``packshot evaluate segmentation`` takes them; given, every form is measured.
      threads: CPU threads to time with.
    """

    model: str
    output: str
    forms: tuple[str, ...] = ("float16", "saved_model")
    size: int | None = None
    calibration: str | None = None
    calibration_count: int = 128
    photos: str | None = None
    masks: str | None = None
    threads: tuple[int, ...] = (1, 2)

    def __post_init__(self):
        for form in self.forms:
            if form not in FORMS:
                raise ValueError(f"weights={form!r} is not a form of model; it has to be one of {', '.join(FORMS)}")
        if "int8" in self.forms and not self.calibration:
            raise ValueError("weights 'int8' needs --calibration, photos of the kind that the model will see")
        if bool(self.photos) != bool(self.masks):
            raise ValueError("--photos and --masks belong together: a loss is measured on photos with known masks")
        if not self.model.endswith(".keras"):
            raise ValueError(f"model {self.model!r} is no .keras file; export starts from the trained network")


def export_segmentation(config: ExportConfig) -> str:
    """Writes the files and measures them.

    Returns:
      A table in Markdown: bytes, and milliseconds an image by number of threads; with photos and masks also the
      mean IoU of the network's own mask, enlarged to the photo, and what it lost against the first form's.

    Raises:
      ValueError: the network or the photos cannot be used.
    """
    import keras

    from models import export

    try:
        network = keras.models.load_model(config.model, compile=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"model {config.model!r} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if config.size and config.size != network.input_shape[1]:
        network = export.resized(network, config.size)
    size = network.input_shape[1]
    output, name = Path(config.output), Path(config.model).stem
    files = {}
    for form in config.forms:
        if form == "saved_model":
            files[form] = export.export_saved_model(network, output / f"{name}-{size}")
            continue
        images = (resize_for_model(p, size) for p in read_photos(str(config.calibration))) if form == "int8" else ()
        calibration = list(itertools.islice(images, config.calibration_count))
        path = output / f"{name}-{size}-{form}.tflite"
        weights = cast("Weights", form)
        files[form] = export.export_litert(
            network, path, weights=weights, calibration=functools.partial(iter, calibration)
        )
    return _measured(files, config)


def read_photos(place: str) -> Iterator[np.ndarray]:
    """Yields photos, uint8 (h, w, 3), RGB, of a folder of pictures, or of Parquet files with a column ``image``.

    Raises:
      ValueError: there are none.
    """
    root = Path(place)
    pictures = sorted(path for path in root.rglob("*") if path.suffix.lower() in _PICTURES)
    contents: Iterable[bytes] = (path.read_bytes() for path in pictures)
    if not pictures:
        if not any(root.glob("*.parquet")):
            raise ValueError(f"{place!r} holds neither pictures nor Parquet files; name a folder of photos")
        contents = _spread(root)
    for content in contents:
        yield read_picture(content, f"a photo of {place!r}").image


def _spread(root: Path) -> Iterator[bytes]:
    """Yields the images of Parquet files in turn, so that the first ones are not all of one seller.

    Rows of split ``validation`` are left out: choosing ranges is tuning.
    """

    def images(file: Path) -> Iterator[bytes]:
        for row in read_rows(file, ["image"], ["split"]):
            if row.get("split") != "validation":
                yield row["image"] if isinstance(row["image"], bytes) else row["image"]["bytes"]

    for together in itertools.zip_longest(*(images(file) for file in sorted(root.glob("*.parquet")))):
        yield from (image for image in together if image is not None)


def _measured(files: dict[str, Path], config: ExportConfig) -> str:
    segmenters = {
        (form, threads): load_segmenter(str(path), batch_size=1, threads=threads)
        for form, path in files.items()
        for threads in (config.threads if path.is_file() else (0,))
    }
    times = _milliseconds(segmenters)
    ious = {form: _mean_iou(segmenters[form, next(t for f, t in segmenters if f == form)], config) for form in files}
    first = ious[config.forms[0]]
    head = ["form", "bytes", *(f"ms, {threads} threads" for threads in config.threads), "mean IoU", "lost"]
    rows = []
    for form, path in files.items():
        size = sum(part.stat().st_size for part in ([path] if path.is_file() else path.rglob("*")) if part.is_file())
        timed = [f"{times[form, t]:.1f}" if (form, t) in times else "-" for t in config.threads]
        iou = ious[form]
        quality = ["-", "-"] if iou is None or first is None else [f"{iou:.4f}", f"{first - iou:+.4f}"]
        rows.append([form, f"{size:,}", *timed, *quality])
    return markdown_table(head, rows)


def _milliseconds(segmenters: dict[tuple[str, int], Segmenter], rounds: int = 30) -> dict[tuple[str, int], float]:
    """Times one image, each in turn with the others so that all meet the same load; the least of many."""
    best: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for key, segmenter in segmenters.items():
            image = np.full((segmenter.size, segmenter.size, 3), 127, np.uint8)
            started = time.perf_counter()
            segmenter.predict([image])
            best[key] = min(best.get(key, np.inf), 1000 * (time.perf_counter() - started))
    return best


def _mean_iou(segmenter: Segmenter, config: ExportConfig) -> float | None:
    if not config.photos or not config.masks:
        return None
    found = []
    for case in masked_photos(config.photos, config.masks):
        masks, _ = segmenter.predict([resize_for_model(case.image, segmenter.size)])
        found.append(intersection_over_union(cv2.resize(masks[0], case.image.shape[1::-1]) > 127, case.truth))
    return float(np.mean(found))
