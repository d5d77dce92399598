"""What is measured: pictures with a known truth, and the slices that they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.decode import Decoded, DecodeLimits, decode
from transforms.reasons import PhotoError

HAND, COMPOSITES, HAND_COMPOSITES, RENDERED, EMPTY = "hand", "composites", "hand_composites", "rendered", "empty"
SETS = (HAND, COMPOSITES, HAND_COMPOSITES, RENDERED, EMPTY)
ALL = "all"


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A picture of which the right answer is known.

    Attributes:
      id: unique within its set.
      set: one of ``SETS``.
      group: what it was drawn together with (a seller, a product); intervals resample whole groups.
      image: uint8 (h, w, 3), RGB.
      alpha: the truth, uint8 (h, w), 0 ground to 255 product; all zero where nothing is on sale.
      slices: what the picture belongs to, ``ALL`` among them.
      soft: whether ``alpha`` is exact between 0 and 255 too, so that mattes can be measured.
      doubtful: whether the truth's edge is too rough for boundary figures.
      foreground: the product's true colours, uint8 (h, w, 3), where they are known.
    """

    id: str
    set: str
    group: str
    image: np.ndarray
    alpha: np.ndarray
    slices: tuple[str, ...]
    soft: bool = False
    doubtful: bool = False
    foreground: np.ndarray | None = None

    @property
    def truth(self) -> np.ndarray:
        """The product's pixels, bool (h, w)."""
        return self.alpha > 127


def read_rows(place: str | Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[dict]:
    """Yields the rows of a Parquet file, or of all Parquet files of a folder in the order of their names.

    Args:
      place: the file or folder.
      columns: that every file must have.
      optional: columns read where there are any.

    Raises:
      FileNotFoundError: there is no such file, or no Parquet file in the folder.
      ValueError: a file cannot be read as Parquet, or lacks a column.
    """
    path = Path(place)
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"no Parquet files in {str(place)!r}; name the file or the folder that holds them")
    for file in files:
        try:
            table = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{str(file)!r} is no Parquet file: {error}") from error
        present = table.schema_arrow.names
        if missing := [column for column in columns if column not in present]:
            raise ValueError(
                f"{str(file)!r} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, present))}"
            )
        wanted = [*columns, *(column for column in optional if column in present)]
        for batch in table.iter_batches(32, columns=wanted):
            yield from batch.to_pylist()


def photos_of_split(photos: str | Path, split: str | None, limit: int | None = None) -> list[dict]:
    """Reads the photos that are to be measured on.

    Args:
      photos: Parquet file or folder with columns ``id, image`` and perhaps ``split``.
      split: keep the photos of this split; None for all.
      limit: at most so many, taken evenly from the first to the last.

    Raises:
      FileNotFoundError, ValueError: as ``read_rows``, or no photo is left.
    """
    rows = [row for row in read_rows(photos, ("id", "image"), ("split",)) if split is None or row.get("split") == split]
    kept = spread(rows, limit)
    if not kept:
        raise ValueError(f"there is no photo to measure in {str(photos)!r}, split {split!r}")
    return kept


def spread(rows: list[dict], most: int | None) -> list[dict]:
    """Returns at most so many rows, taken evenly from the first to the last."""
    if most is None or len(rows) <= most:
        return rows
    return [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int)]


def read_picture(content: bytes, of: str) -> Decoded:
    """Decodes a picture at full size.

    Args:
      content: the file.
      of: what it is, for the message.

    Raises:
      ValueError: it cannot be decoded.
    """
    try:
        return decode(content, limits=DecodeLimits(), wanted=None)
    except PhotoError as error:
        raise ValueError(f"{of} cannot be decoded: {error.detail}") from error


def appearance(image: np.ndarray, truth: np.ndarray) -> tuple[str, ...]:
    """Names the slices that follow from the pixels: how light the product is, how busy the backdrop.

    Args:
      image: uint8 (h, w, 3), RGB.
      truth: bool (h, w).
    """
    lightness = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32) / 2.55
    product = float(np.median(lightness[truth])) if truth.any() else 50.0
    light = "light product" if product > 70 else "dark product" if product < 30 else "mid product"
    ground = ~cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    detail = np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), 4))
    busy = ground.any() and float(detail[ground].mean()) > 2.5
    return light, "busy backdrop" if busy else "plain backdrop"


def read_drawn(masks: str) -> dict[str, dict]:
    """Reads hand-drawn masks by id; rows without a mask, or of another verdict than ``good``, are passed over.

    Args:
      masks: Parquet file or folder with columns ``id, mask`` and perhaps ``verdict, seller_seen, doubtful``.

    Returns:
      Rows by id; ``mask`` is a PNG file, to be read by ``read_mask``.

    Raises:
      FileNotFoundError, ValueError: as ``read_rows``.
    """
    rows = read_rows(masks, ["id", "mask"], ["verdict", "seller_seen", "doubtful"])
    return {row["id"]: row for row in rows if row["mask"] is not None and row.get("verdict", "good") == "good"}


def read_mask(content: bytes, id: str, image: np.ndarray) -> np.ndarray:
    """Decodes a hand-drawn mask.

    Args:
      content: the file.
      id: of its photo.
      image: the photo, (h, w, 3).

    Returns:
      The product's pixels, bool (h, w).

    Raises:
      ValueError: it cannot be decoded, or is not of its photo's size.
    """
    truth = read_picture(content, f"mask of {id!r}").image[..., 0] > 127
    if truth.shape != image.shape[:2]:
        raise ValueError(
            f"the mask of {id!r} is {truth.shape[1]} x {truth.shape[0]} pixels, its photo "
            f"{image.shape[1]} x {image.shape[0]}; masks must be of their photo's size after EXIF orientation"
        )
    return truth


def masked_photos(photos: str, masks: str) -> Iterator[Case]:
    """Yields the photos that have a hand-drawn mask.

    Args:
      photos: Parquet file or folder with columns ``id, image`` and perhaps ``seller, category, source``.
      masks: as for ``read_drawn``.

    Raises:
      ValueError: a mask is not of its photo's size, has no photo, or no photo has a mask.
    """
    drawn = read_drawn(masks)
    found = set()
    for row in read_rows(photos, ["id", "image"], ["seller", "category", "source"]):
        mask = drawn.get(row["id"])
        if mask is None:
            continue
        found.add(row["id"])
        image = read_picture(row["image"], f"photo {row['id']!r}").image
        truth = read_mask(mask["mask"], row["id"], image)
        slices = [ALL, *appearance(image, truth)]
        if mask.get("seller_seen") is not None:
            slices.append("seller seen" if mask["seller_seen"] else "seller unseen")
        slices += [f"{name} {row[name]}" for name in ("category", "source") if row.get(name) is not None]
        yield Case(
            id=row["id"],
            set=HAND,
            group=str(row.get("seller") or row["id"]),
            image=image,
            alpha=truth.astype(np.uint8) * np.uint8(255),
            slices=tuple(slices),
            doubtful=bool(mask.get("doubtful")),
        )
    if not found:
        raise ValueError(f"no photo in {photos!r} has a mask in {masks!r}; their ids must match")
    if missing := sorted(drawn.keys() - found):
        raise ValueError(f"{len(missing)} masks of {masks!r} have no photo in {photos!r}, such as {missing[0]!r}")
