"""Labelled photos for training: seller photos with weak masks, hand masks, and cut-outs of clean product shots.

Everything is held at one working size, squashed to a square as the network will see it, in uint8.
"""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from models.segmentation import teacher

WORKING_SIZE = 320
_TEACHER_SIDE = 208  # GrabCut's cost grows with the area; its errors are of whole regions, not of pixels
_SURE_AGREEMENT = 0.90  # two GrabCut runs that agree less than this have mistaken something


@dataclasses.dataclass
class Examples:
    """A set of labelled photos.

    Attributes:
      ids: (n,) names for messages and caches.
      groups: (n,) what never crosses a split: the seller or the source.
      images: uint8 (n, size, size, 3), RGB.
      labels: uint8 (n, size, size), 0 ground to 255 product.
      weights: uint8 (n, size, size), 0 to be ignored by the loss to 255 trusted.
    """

    ids: np.ndarray
    groups: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: np.ndarray) -> Examples:
        """Returns the examples at these indices, or where this mask is true."""
        return Examples(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    def save(self, path: Path) -> None:
        """Writes the set beside its final name first, so that a killed run leaves no half file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Examples:
        """Reads a set written by ``save``."""
        with np.load(path) as stored:
            return cls(**{field.name: stored[field.name] for field in dataclasses.fields(cls)})


def held_out(group: str, percent: int) -> bool:
    """Tells whether a seller or source belongs to the development split, the same on every machine."""
    return int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) % 100 < percent


def read_rows(folder: Path, columns: Sequence[str], pattern: str = "*.parquet") -> Iterator[dict]:
    """Yields the rows of a folder's Parquet files, in the order of their names.

    Raises:
      FileNotFoundError: the folder has no Parquet files.
    """
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise FileNotFoundError(f"no Parquet files in {str(folder)!r}; name the folder that holds them")
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(64, columns=list(columns)):
            yield from batch.to_pylist()


def _decode(content: bytes, flags: int = cv2.IMREAD_COLOR_RGB) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if picture is None:
        raise ValueError(f"a training picture of {len(content)} bytes cannot be decoded; remove it from the data")
    return picture


def square(picture: np.ndarray, size: int = WORKING_SIZE) -> np.ndarray:
    """Squashes a picture or mask to ``size`` x ``size``, averaging where it shrinks."""
    shrinks = min(picture.shape[:2]) >= size
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _weak_label(row: dict) -> tuple[str, str, np.ndarray, np.ndarray, np.ndarray]:
    image = _decode(row["image"])
    first = teacher.grabcut_from_border(image, border=0.03, longest=_TEACHER_SIDE, iterations=4)
    scale = min(1.0, _TEACHER_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    second = teacher.grabcut_from_border(lab, border=0.07, longest=_TEACHER_SIDE, iterations=4, seed=1)
    return row["id"], row["seller"], square(image), square(first), square(second)


def _judge_weak(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the weight map of a weak label: where both teachers agree, scaled by how much they do."""
    a, b = first > 127, second > 127
    agreement = _intersection_over_union(a, b)
    coverage = a.mean()
    if agreement < _SURE_AGREEMENT or not 0.04 < coverage < 0.92:
        return np.zeros_like(first)
    return np.where(a == b, 255, 0).astype(np.uint8)


def _collect(rows: Iterable[tuple]) -> Examples:
    columns = list(zip(*rows, strict=True))
    if not columns:
        raise ValueError("no example is left after filtering; check the folders that hold the training data")
    return Examples(*(np.stack(c) if isinstance(c[0], np.ndarray) else np.array(c) for c in columns))


def seller_photos(folder: Path, *, processes: int = 2) -> Examples:
    """Labels the training photos of a catalogue by two runs of GrabCut.

    Args:
      folder: Parquet files with columns ``id, seller, split, image``; rows of split ``train`` are used.
      processes: worker processes.

    Returns:
      One example a photo; where the two runs contradict each other altogether its weights are 0.
    """
    rows = [r for r in read_rows(folder, ["id", "seller", "split", "image"]) if r["split"] == "train"]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        labelled = pool.imap(_weak_label, rows, chunksize=16)
        return _collect((i, s, image, a, _judge_weak(a, b)) for i, s, image, a, b in labelled)


def hand_masks(photos: Path, masks: Path, split: str) -> Examples:
    """Joins the hand-drawn masks of a split with their photos.

    Args:
      photos: folder of Parquet files with columns ``id, seller, image``.
      masks: Parquet file with columns ``id, mask`` and ``doubtful``.
      split: value of the photos' column ``split`` that every masked photo must have.

    Raises:
      ValueError: a mask's photo is missing or belongs to another split.
    """
    drawn = {row["id"]: row for row in pq.read_table(masks).to_pylist()}
    found = []
    for row in read_rows(photos, ["id", "seller", "split", "image"]):
        if row["id"] not in drawn:
            continue
        if row["split"] != split:
            raise ValueError(f"photo {row['id']!r} of {masks} is of split {row['split']!r}, wanted {split!r}")
        mask = _decode(drawn[row["id"]]["mask"], cv2.IMREAD_GRAYSCALE)
        label = square(mask)
        weight = np.full_like(label, 255)
        if drawn[row["id"]]["doubtful"]:
            kernel = np.ones((5, 5), np.uint8)
            weight[cv2.dilate(label, kernel) != cv2.erode(label, kernel)] = 64
        found.append((row["id"], row["seller"], square(_decode(row["image"])), label, weight))
    if len(found) != len(drawn):
        raise ValueError(f"{len(drawn) - len(found)} masks of {masks} have no photo in {photos}")
    return _collect(found)


def _cut_out(row: dict) -> tuple[str, str, np.ndarray, np.ndarray, np.ndarray] | None:
    picture = _decode(row["image"], cv2.IMREAD_UNCHANGED)
    if picture.ndim == 3 and picture.shape[2] == 4:
        image, alpha = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGB), picture[..., 3]
        if not 0.02 < (alpha > 127).mean() < 0.9:
            return None
        return row["id"], row["source"], square(image), square(alpha), square(alpha)
    image = _decode(row["image"])
    scale = min(1.0, 256 / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    flooded = teacher.flood_from_border(small, tolerance=9.0)
    coverage = (flooded > 0).mean()
    rim = np.concatenate([flooded[0], flooded[-1], flooded[:, 0], flooded[:, -1]]) > 0
    if not 0.03 < coverage < 0.8 or rim.mean() > 0.35:
        return None  # no plain ground to part the product from
    cut = teacher.grabcut_from_border(small, border=0.02, longest=256, iterations=3)
    touching = rim.mean() > 0.02
    if touching and row["kind"] != "white_ground":
        return None  # a studio's floor and shadow are joined to the product here
    if not touching and _intersection_over_union(flooded > 0, cut > 0) < 0.88:
        return None
    mask = flooded if touching else np.where((flooded > 0) & (cut > 0), 255, 0).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    parts, regions, stats, _ = cv2.connectedComponentsWithStats(mask)
    for part in range(1, parts):
        if stats[part, cv2.CC_STAT_AREA] < 0.002 * mask.size:
            mask[regions == part] = 0
    if (mask > 0).mean() < 0.03:
        return None
    label = square(cv2.GaussianBlur(mask, (3, 3), 0))
    return row["id"], row["source"], square(image), label, np.full_like(label, 255)


def product_cut_outs(folder: Path, *, processes: int = 2) -> Examples:
    """Cuts products out of clean shots: by their own alpha, else where flood fill and GrabCut agree.

    Args:
      folder: Parquet files with columns ``id, source, kind, image``.
      processes: worker processes.
    """
    rows = [r for r in read_rows(folder, ["id", "source", "kind", "image"]) if r["kind"] != "mixed"]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return _collect(found for found in pool.imap(_cut_out, rows, chunksize=16) if found is not None)


def rendered_photos(folder: Path) -> Examples:
    """Reads rendered photos with their exact masks, as ``packshot samples --container parquet`` writes them.

    Args:
      folder: with ``catalogue.parquet`` (``id, image``) and ``truth/alpha/<id>.png``.

    Returns:
      One example a photo that OpenCV reads at the size of its mask.
    """
    found = []
    for row in read_rows(folder, ["id", "image"], "catalogue.parquet"):
        image = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR_RGB)
        alpha = cv2.imread(str(Path(folder) / "truth" / "alpha" / f"{row['id']}.png"), cv2.IMREAD_GRAYSCALE)
        if image is None or alpha is None or image.shape[:2] != alpha.shape:
            continue  # of a broken file, or of a format whose orientation OpenCV does not read
        label = square(alpha)
        found.append((row["id"], "rendered", square(image), label, np.full_like(label, 255)))
    return _collect(found)
