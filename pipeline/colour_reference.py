"""``packshot reference`` and ``--colour_reference``: the look that a category's photos are brought to."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.handlers import load_segmenter
from models.registry import resolve_model
from pipeline.records import Photo
from pipeline.sources.fetch import fetch_photo
from pipeline.sources.items import PlannedItem
from pipeline.sources.listing import open_source
from pipeline.sources.read import read_photos
from transforms.colour_transfer import EVERY_CATEGORY, Look, look_of_ground, mean_look
from transforms.decode import DecodeLimits, decode
from transforms.reasons import PhotoError
from transforms.segment import segment

_FORMAT = "packshot colour reference 1"
_WORKING_SIDE = 400  # statistics need no more
_FEW = 3  # photos; a category of fewer takes the look of all


@dataclasses.dataclass(frozen=True)
class ReferenceConfig:
    """What ``packshot reference`` measures.

    Attributes:
      input: Parquet file, folder or glob, or folder or glob of images, as for a run.
      output: JSON file to write.
      category_column: Parquet column of the category; empty for one look of all photos.
      id_column, image_column: as for a run.
      segmentation_model: model by name or path.
      most: photos a category that are measured, the first ones.
    """

    input: str
    output: str
    category_column: str = ""
    id_column: str = "id"
    image_column: str | None = None
    segmentation_model: str = "packshot-seg"
    most: int = 200

    def __post_init__(self):
        if self.most < 1:
            raise ValueError(f"--most={self.most!r} must be at least 1")


def write_reference(config: ReferenceConfig) -> str:
    """Measures the grounds of a catalogue's photos by category and writes the statistics.

    Returns:
      What was measured, for a person.

    Raises:
      ValueError: the input cannot be read as asked, or no photo of it shows any ground.
    """
    measure = _LookMeter(config.segmentation_model)
    looks: dict[str, list[Look]] = collections.defaultdict(list)
    for photo in _photos(config):
        category = photo.attributes.get(config.category_column)
        name = EVERY_CATEGORY if category is None else str(category)
        if len(looks[name]) < config.most and photo.content is not None:
            look = measure(photo.content)
            if look is not None:
                looks[name].append(look)
    everything = [look for found in looks.values() for look in found]
    if not everything:
        raise ValueError(f"no photo of {config.input!r} shows enough ground to measure")
    kept = {name: found for name, found in looks.items() if len(found) >= _FEW and name != EVERY_CATEGORY}
    table = {
        name: {"photos": len(found), "ground": mean_look(found).as_dict()}
        for name, found in [(EVERY_CATEGORY, everything), *sorted(kept.items())]
    }
    text = json.dumps({"format": _FORMAT, "space": "CIELAB, D65", "categories": table}, indent=1, ensure_ascii=False)
    Path(config.output).write_text(f"{text}\n", encoding="utf-8")
    return f"{len(everything):,} photos, {len(kept):,} categories: {config.output}"


def _photos(config: ReferenceConfig) -> Iterator[Photo]:
    columns = (config.category_column,) if config.category_column else ()
    source = open_source(
        config.input, id_column=config.id_column, image_column=config.image_column, attribute_columns=columns
    )
    for item in source.items():
        for photo in read_photos(PlannedItem(item), source.options):
            if isinstance(photo, Photo):
                try:
                    yield fetch_photo(photo, max_bytes=DecodeLimits.max_bytes, timeout=20.0, retries=1)
                except PhotoError:
                    continue


class _LookMeter:
    """Measures the ground beside the product that the model finds."""

    def __init__(self, model: str):
        self._spec = resolve_model(model)
        self._segmenter: Any = None

    def __call__(self, content: bytes) -> Look | None:
        """Returns the look of a photo's ground, or None where there is none, or no photo."""
        try:
            decoded = decode(content, limits=DecodeLimits(), wanted=_WORKING_SIDE)
        except PhotoError:
            return None
        if decoded.alpha is not None:
            return None
        if self._segmenter is None:
            self._segmenter = load_segmenter(self._spec)
        mask = segment(decoded.image, self._segmenter).mask
        alpha = cv2.resize(mask, decoded.image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return look_of_ground(decoded.image, np.ascontiguousarray(alpha))


def reference_digest(path: str) -> str:
    """Returns the SHA-256 of a reference's bytes, which the run's fingerprint depends on.

    Raises:
      ValueError: it cannot be read.
    """
    return hashlib.sha256(_read(path)).hexdigest()


def load_looks(path: str, model: str) -> dict[str, Look]:
    """Reads the looks of ``--colour_reference``.

    Args:
      path: a JSON file of ``packshot reference``, or a picture whose ground is the look of every category.
      model: that finds the product in the picture, by name or path.

    Raises:
      ValueError: it is neither, or shows no ground; one sentence.
    """
    content = _read(path)
    if path.lower().endswith(".json"):
        return _parsed(content, path)
    look = _LookMeter(model)(content)
    if look is None:
        raise ValueError(
            f"--colour_reference={path!r} is neither a .json file of packshot reference nor a picture that shows "
            f"enough ground beside its product"
        )
    return {EVERY_CATEGORY: look}


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"--colour_reference={path!r} cannot be read: {error.strerror}") from None


def _parsed(content: bytes, path: str) -> dict[str, Look]:
    try:
        table = json.loads(content)
    except ValueError:
        table = None
    categories = table.get("categories") if isinstance(table, Mapping) and table.get("format") == _FORMAT else None
    if not isinstance(categories, Mapping):
        raise ValueError(f"--colour_reference={path!r} is not a file that packshot reference wrote")
    where = f"--colour_reference={path!r}: category"
    return {
        name: Look.from_mapping(entry.get("ground") if isinstance(entry, Mapping) else None, f"{where} {name!r}")
        for name, entry in categories.items()
    }
