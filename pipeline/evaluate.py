"""Measures what the job makes against truth: masks against masks drawn by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from models.handlers import load_segmenter
from models.metrics import segmentation as metrics
from models.registry import resolve_model
from models.segmentation import teacher
from models.segmentation.examples import read_rows
from transforms.decode import DecodeLimits, decode
from transforms.matte import refine_alpha
from transforms.segment import segment

_SHEET_ROWS = 12


@dataclasses.dataclass(frozen=True)
class MaskedPhoto:
    """A photo with its hand-drawn mask.

    Attributes:
      id: the photo's.
      image: uint8 (h, w, 3), RGB.
      truth: bool (h, w).
      slices: what the photo belongs to, ``all`` among them.
      doubtful: whether the drawn edge is too rough for boundary figures.
    """

    id: str
    image: np.ndarray
    truth: np.ndarray
    slices: tuple[str, ...]
    doubtful: bool


@dataclasses.dataclass(frozen=True)
class Score:
    """One photo's figures, 0..1."""

    id: str
    slices: tuple[str, ...]
    doubtful: bool
    iou: float
    boundary_iou: float
    mae: float
    max_f: float


def masked_photos(photos: str, masks: str) -> Iterator[MaskedPhoto]:
    """Yields the photos that have a mask.

    Raises:
      ValueError: a mask is not of its photo's size, or no photo has a mask.
    """
    drawn = {row["id"]: row for row in pq.read_table(masks).to_pylist()}
    found = 0
    for row in read_rows(Path(photos), ["id", "category", "image"]):
        mask = drawn.get(row["id"])
        if mask is None:
            continue
        found += 1
        image = decode(row["image"], limits=DecodeLimits(), wanted=None).image
        truth = decode(mask["mask"]).image[..., 0] > 127
        if truth.shape != image.shape[:2]:
            raise ValueError(f"mask of {row['id']!r} is {truth.shape}, its photo {image.shape[:2]}")
        seen = "seller seen" if mask.get("seller_seen", True) else "seller unseen"
        slices = ("all", seen, f"category {row['category']}", *_appearance(image, truth))
        yield MaskedPhoto(row["id"], image, truth, slices, bool(mask.get("doubtful", False)))
    if not found:
        raise ValueError(f"no photo in {photos!r} has a mask in {masks!r}; their ids must match")


def _appearance(image: np.ndarray, truth: np.ndarray) -> tuple[str, ...]:
    """Names the slices that follow from the pixels: how light the product, how busy the backdrop."""
    lightness = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32) / 2.55
    product = float(np.median(lightness[truth])) if truth.any() else 50.0
    light = "light product" if product > 70 else "dark product" if product < 30 else "mid product"
    ground = ~cv2.dilate(truth.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    detail = np.abs(lightness - cv2.GaussianBlur(lightness, (0, 0), 4))
    busy = ground.any() and float(detail[ground].mean()) > 2.5
    return light, "busy backdrop" if busy else "plain backdrop"


def score(photo: MaskedPhoto, alpha: np.ndarray) -> Score:
    """Compares a predicted matte with the truth.

    Args:
      photo: with its truth.
      alpha: uint8 (h, w).
    """
    predicted = alpha > 127
    return Score(
        id=photo.id,
        slices=photo.slices,
        doubtful=photo.doubtful,
        iou=metrics.intersection_over_union(predicted, photo.truth),
        boundary_iou=metrics.boundary_iou(predicted, photo.truth),
        mae=metrics.mean_absolute_error(alpha / 255.0, photo.truth.astype(float)),
        max_f=metrics.max_f_measure(alpha, photo.truth),
    )


def evaluate_segmentation(
    photos: str,
    masks: str,
    model: str,
    *,
    baselines: bool = False,
    sheet: str | None = None,
    figures: str | None = None,
) -> str:
    """Measures a model, refined to full resolution as in the job, and perhaps the classical baselines.

    Args:
      photos: folder of Parquet files with columns ``id, category, image``.
      masks: Parquet file with columns ``id, mask`` and perhaps ``seller_seen, doubtful``.
      model: registry name or path.
      baselines: whether to measure GrabCut from the border and flood fill as well.
      sheet: path for a PNG of the worst masks, or None.
      figures: path for a JSON file of all figures, or None.

    Returns:
      A table in Markdown.
    """
    spec = resolve_model(model)
    segmenter = load_segmenter(spec)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        spec.name: lambda image: refine_alpha(image, segment(image, segmenter).mask),
        f"{spec.name}, not refined": lambda image: cv2.resize(segment(image, segmenter).mask, image.shape[1::-1]),
    }
    if baselines:
        methods["GrabCut from the border"] = teacher.grabcut_from_border
        methods["flood fill in CIELAB"] = teacher.flood_from_border
    found = list(masked_photos(photos, masks))
    scores = {name: [score(photo, predict(photo.image)) for photo in found] for name, predict in methods.items()}
    if sheet:
        _draw_worst(Path(sheet), found, scores[spec.name], methods[spec.name])
    if figures:
        Path(figures).write_text(
            json.dumps({n: [dataclasses.asdict(s) for s in v] for n, v in scores.items()}, indent=1)
        )
    slices = sorted({name for photo in found for name in photo.slices}, key=lambda name: (name != "all", name))
    return _table(scores, ["all"]) + "\n\n" + _table({spec.name: scores[spec.name]}, slices)


def _table(scores: dict[str, list[Score]], slices: list[str]) -> str:
    lines = [
        "| method | slice | photos | mean IoU (95 % interval) | boundary IoU | MAE | max-F | worst tenth IoU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, all_scores in scores.items():
        for part in slices:
            chosen = [s for s in all_scores if part in s.slices]
            ious = np.sort([s.iou for s in chosen])
            low, high = metrics.bootstrap_interval(ious)
            boundary = [s.boundary_iou for s in chosen if not s.doubtful]
            edge = f"{np.mean(boundary):.3f}" if boundary else "-"
            worst = ious[: max(1, round(len(ious) / 10))].mean()
            lines.append(
                f"| {name} | {part} | {len(chosen)} | {ious.mean():.3f} ({low:.3f}-{high:.3f}) | {edge} "
                f"| {np.mean([s.mae for s in chosen]):.3f} | {np.mean([s.max_f for s in chosen]):.3f} | {worst:.3f} |"
            )
    return "\n".join(lines)


def _draw_worst(path: Path, photos: list[MaskedPhoto], scores: list[Score], predict) -> None:
    """Draws photo, truth and prediction of the worst masks, worst first."""
    side, rows = 200, []
    for index in np.argsort([s.iou for s in scores])[: 2 * _SHEET_ROWS]:
        photo = photos[index]
        views = [
            photo.image,
            _masked(photo.image, photo.truth * 1.0),
            _masked(photo.image, predict(photo.image) / 255.0),
        ]
        tiles = [_fit(view, side) for view in views]
        cv2.putText(tiles[2], f"{scores[index].iou:.2f} {photo.id[:14]}", (4, 14), 0, 0.4, (255, 0, 0), 1, cv2.LINE_AA)
        rows.append(np.hstack(tiles))
    if len(rows) % 2:
        rows.append(np.zeros_like(rows[0]))
    half = len(rows) // 2
    drawn = np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])
    cv2.imwrite(str(path), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))


def _masked(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    ground = np.array([255, 0, 255])
    return (image * alpha[..., None] + ground * (1 - alpha[..., None])).astype(np.uint8)


def _fit(image: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.full((side, side, 3), 40, np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small[:side, :side]
    return tile
