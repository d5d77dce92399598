"""``packshot evaluate near_duplicates``: which copies of photos are found at which distance, and what else is."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.evaluation.cases import photos_of_split, read_picture, spread
from pipeline.evaluation.gates import stored
from pipeline.evaluation.sheets import write_tiles
from pipeline.evaluation.tables import markdown_table
from pipeline.near_duplicates import DETAIL_PER_BIT
from transforms.perceptual_hash import MOST_DISTANCE, RECOLOURED, PerceptualHash, colour_distances, perceptual_hash

DISTANCES = (0, 2, 4, 6, 8, 10, 12, 16)
_WHITE = (255, 255, 255)
_TILE = 132  # pixels
_MOST_SHOWN = 60  # pairs of a sheet


@dataclasses.dataclass(frozen=True)
class NearDuplicatesConfig:
    """What to measure on what.

    Attributes:
      photos: Parquet file or folder, ``id, image`` and perhaps ``split``, ``seller``.
      split: keep the photos of this value in the column ``split``, or None for all.
      copies: make copies of this many photos, evenly spread.
      limit: read at most this many photos, evenly spread, or None for all.
      seed: of crops and texts.
      sheet: path of contact sheets of the pairs found, or None; the distance is added to the name.
      json: path for all figures, or None.
    """

    photos: str
    split: str | None = None
    copies: int = 200
    limit: int | None = None
    seed: int = 0
    sheet: str | None = None
    json: str | None = None

    def __post_init__(self):
        for name in ("copies", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value!r}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}; it must not be negative")


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two photos of the set, by their positions, and how far their hashes are apart."""

    first: int
    second: int
    distance: int
    detail_distance: int
    colour_distance: float

    def near(self, limit: int) -> bool:
        """Whether a run with this ``--near_duplicate_distance`` lists the pair."""
        return self.distance <= limit and self.detail_distance <= DETAIL_PER_BIT * limit


def cropped(image: np.ndarray, most: float, draw: np.random.Generator) -> np.ndarray:
    """Cuts off up to so much of the frame at each side."""
    height, width = image.shape[:2]
    top, bottom, left, right = draw.uniform(0, most, 4)
    return image[int(top * height) : height - int(bottom * height), int(left * width) : width - int(right * width)]


def scaled(image: np.ndarray, factor: float) -> np.ndarray:
    """Shrinks or enlarges."""
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation))


def toned(image: np.ndarray, gain: float | tuple[float, float, float], offset: float = 0) -> np.ndarray:
    """Multiplies the levels, clipped."""
    return np.clip(image * np.asarray(gain, np.float32) + offset, 0, 255).astype(np.uint8)


def lettered(image: np.ndarray, text: str, size: float, draw: np.random.Generator) -> np.ndarray:
    """Writes half-transparent white over a photo, as watermarks are."""
    height, width = image.shape[:2]
    place = (width // 10, int(draw.uniform(0.3, 0.7) * height))
    scale = width / 300 * size
    layer = cv2.putText(image.copy(), text, place, cv2.FONT_HERSHEY_DUPLEX, scale, _WHITE, max(1, round(2 * scale)))
    return np.asarray(cv2.addWeighted(layer, 0.5, image, 0.5, 0))


def bannered(image: np.ndarray) -> np.ndarray:
    """Puts a red bar with an offer over the lowest tenth."""
    image = image.copy()
    height, width = image.shape[:2]
    image[int(0.9 * height) :] = (200, 40, 40)
    place = (width // 10, int(0.98 * height))
    return np.asarray(cv2.putText(image, "SALE -20%", place, cv2.FONT_HERSHEY_DUPLEX, width / 300, _WHITE, 2))


def framed(image: np.ndarray, share: float) -> np.ndarray:
    """Adds a white border."""
    down, across = (int(share * side) for side in image.shape[:2])
    return np.asarray(cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_CONSTANT, value=_WHITE))


def squared(image: np.ndarray) -> np.ndarray:
    """Pads with white to a square."""
    height, width = image.shape[:2]
    down, across = (max(height, width) - height) // 2, (max(height, width) - width) // 2
    return np.asarray(cv2.copyMakeBorder(image, down, down, across, across, cv2.BORDER_CONSTANT, value=_WHITE))


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turns about the middle, enlarged by a twentieth so that no corner is empty."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.05)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))


COPIES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "stored again (JPEG 85)": lambda image, _: image,
    "half the size": lambda image, _: scaled(image, 0.5),
    "twice the size": lambda image, _: scaled(image, 2),
    "a fifth brighter": lambda image, _: toned(image, 1.2),
    "a third darker": lambda image, _: toned(image, 0.67),
    "more contrast": lambda image, _: toned(image, 1.3, -38),
    "warm cast": lambda image, _: toned(image, (1.1, 1.0, 0.85)),
    "small watermark": lambda image, draw: lettered(image, "(c) my shop", 1, draw),
    "large watermark": lambda image, draw: lettered(image, "SHOP", 3, draw),
    "cropped by up to 2 % a side": lambda image, draw: cropped(image, 0.02, draw),
    "cropped by up to 5 % a side": lambda image, draw: cropped(image, 0.05, draw),
    "cropped by up to 10 % a side": lambda image, draw: cropped(image, 0.1, draw),
    "turned by 2 degrees": lambda image, _: turned(image, 2),
    "banner over a tenth": lambda image, _: bannered(image),
    "white border of 3 %": lambda image, _: framed(image, 0.03),
    "padded to a square": lambda image, _: squared(image),
    "mirrored": lambda image, _: image[:, ::-1].copy(),
}


def evaluate_near_duplicates(config: NearDuplicatesConfig) -> str:
    """Hashes photos and copies of some of them, and compares all with all.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError, FileNotFoundError: data that is not as described; one sentence.
    """
    rows = photos_of_split(config.photos, config.split, config.limit)
    copied = {str(row["id"]) for row in spread(rows, config.copies)}
    draw = np.random.default_rng(config.seed)
    hashes, tiles = [], []
    copies: dict[str, list[Pair]] = {kind: [] for kind in COPIES}
    for number, row in enumerate(rows):
        image = read_picture(row["image"], f"photo {row['id']!r}").image
        hashes.append(perceptual_hash(image))
        if config.sheet:
            tiles.append(_tile(image))
        if str(row["id"]) in copied:
            for kind, copy in COPIES.items():
                copies[kind].extend(compare_all([hashes[-1], perceptual_hash(stored(copy(image, draw)))], limit=64))
        if number % 500 == 499:
            sys.stderr.write(f"packshot: {number + 1:,} of {len(rows):,} photos hashed\n")
    pairs = compare_all(hashes)
    if config.json:
        ids = [str(row["id"]) for row in rows]
        found = [{**vars(pair), "id_a": ids[pair.first], "id_b": ids[pair.second]} for pair in pairs]
        content = {"pairs": found, "copies": {kind: [vars(pair) for pair in made] for kind, made in copies.items()}}
        Path(config.json).write_text(json.dumps(content, indent=1), encoding="utf-8")
    if config.sheet:
        _write_sheets(Path(config.sheet), pairs, tiles)
    return "\n\n".join([copies_table(copies), pairs_table(pairs, len(rows))])


def compare_all(hashes: Sequence[PerceptualHash], limit: int = MOST_DISTANCE) -> list[Pair]:
    """Returns the pairs within the distance in the coarse hash, all compared with all, nearest first."""
    coarse = np.frombuffer(bytes.fromhex("".join(h.perceptual_hash for h in hashes)), "<u8")
    detail = np.frombuffer(bytes.fromhex("".join(h.perceptual_detail for h in hashes)), "<u8").reshape(len(hashes), -1)
    colours = [bytes.fromhex(h.perceptual_colours) for h in hashes]
    pairs = []
    for first in range(len(hashes) - 1):
        distances = np.bitwise_count(coarse[first + 1 :] ^ coarse[first])
        for second in (np.flatnonzero(distances <= limit) + first + 1).tolist():
            apart = int(np.bitwise_count(detail[first] ^ detail[second]).sum())
            colour = float(colour_distances(colours[first], colours[second])[0])
            pairs.append(Pair(first, second, int(distances[second - first - 1]), apart, colour))
    return sorted(pairs, key=lambda pair: (pair.distance, pair.detail_distance, pair.first, pair.second))


def copies_table(copies: dict[str, list[Pair]]) -> str:
    """Says which share of the copies is found at each distance."""
    rows = [
        [kind, f"{len(made):,}", *(f"{np.mean([pair.near(limit) for pair in made]):.1%}" for limit in DISTANCES)]
        for kind, made in copies.items()
    ]
    head = ["copy", "photos", *(f"≤ {limit}" for limit in DISTANCES)]
    return "## Copies found, by --near_duplicate_distance\n\n" + markdown_table(head, rows)


def pairs_table(pairs: Sequence[Pair], photos: int) -> str:
    """Counts the pairs among the photos themselves."""
    rows = []
    for limit in DISTANCES:
        near = [pair for pair in pairs if pair.near(limit)]
        coarse = sum(pair.distance <= limit for pair in pairs)
        recoloured = sum(pair.colour_distance > RECOLOURED for pair in near)
        rows.append([f"≤ {limit}", f"{coarse:,}", f"{len(near):,}", f"{recoloured:,}"])
    head = ["distance", "by the 64 bits alone", "by the 256 bits too", "of these, coloured otherwise"]
    return f"## Pairs among the {photos:,} photos\n\n" + markdown_table(head, rows)


def _write_sheets(path: Path, pairs: Sequence[Pair], tiles: Sequence[np.ndarray]) -> None:
    """Writes a sheet a distance, of the pairs that are found from there on."""
    for before, limit in zip((-1, *DISTANCES), DISTANCES, strict=False):
        near = [pair for pair in pairs if pair.near(limit) and not pair.near(before)]
        entries = []
        for pair in sorted(near, key=lambda pair: pair.detail_distance)[:_MOST_SHOWN]:
            entry = np.hstack([tiles[pair.first], tiles[pair.second], np.full((_TILE, 8, 3), 255, np.uint8)])
            label = f"{pair.distance} {pair.detail_distance} {pair.colour_distance:.0f}"
            cv2.putText(entry, label, (2, _TILE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 0, 0), 1, cv2.LINE_AA)
            entries.append(entry)
        write_tiles(path.with_name(f"{path.stem}-{limit}{path.suffix}"), entries, 5)


def _tile(image: np.ndarray) -> np.ndarray:
    scale = _TILE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    tile = np.full((_TILE, _TILE, 3), 255, np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return tile
