"""Products with an alpha that can be trusted, and colours that hold nothing of their old ground.

Where somebody drew a mask that is trusted, and where a file brings its own alpha. Elsewhere flood fills and GrabCut
must agree on where the product is. Within an outline the alpha is drawn a little inside, so that every colour under it,
soft edge included, was photographed on the product. What was cut off is no error: the composite shows a product of
exactly that shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import cv2
import numpy as np

from models.metrics.segmentation import intersection_over_union
from models.segmentation import teacher
from pipeline.evaluation.cases import Case, read_drawn, read_mask, read_picture, read_rows

# of the flood fills: a shadow that the strict one takes along, or a white cuff that the lax one loses, parts them
_TOLERANCES = (4.5, 11.0)
_AGREEMENT = 0.94
_SIDE = 224  # GrabCut's, which is slow
_COVERAGE = (0.04, 0.8)
_AT_THE_FRAME = 0.01  # share of the frame's rim that the product may touch


@dataclasses.dataclass(frozen=True, eq=False)
class CutOut:
    """A product by itself.

    Attributes:
      id: of its photo.
      source: the catalogue it comes from.
      slices: further slices of whatever shows it.
      foreground: straight colours, uint8 (h, w, 3), RGB, carried on beyond the product's edge.
      alpha: uint8 (h, w), 0 ground to 255 product.
    """

    id: str
    source: str
    slices: tuple[str, ...]
    foreground: np.ndarray
    alpha: np.ndarray


def read_cut_outs(
    folder: str, sources: Sequence[str], without: Sequence[str] = (), masks: str | None = None
) -> list[CutOut]:
    """Cuts the products of some sources out of their clean shots.

    Args:
      folder: Parquet file or folder with columns ``id, source, image``.
      sources: values of ``source`` to use: those that no training has seen.
      without: ids to leave out, because somebody looked and the cut-out was wrong.
      masks: hand-drawn masks of some of the shots, as for ``read_drawn``; given, no other outline is trusted than these
        and a file's own alpha. None for the rule.

    Returns:
      The cut-outs whose alpha can be trusted, in the folder's order.

    Raises:
      ValueError: a source is not there, an id to leave out or of a mask is not, a mask is not of its shot's size, or
        no cut-out is left.
    """
    rows = list(read_rows(folder, ["id", "source", "image"]))
    if missing := sorted(set(sources) - {row["source"] for row in rows}):
        known = ", ".join(sorted({row["source"] for row in rows}))
        raise ValueError(f"{folder!r} has no source {', '.join(map(repr, missing))}; its sources are {known}")
    if missing := sorted(set(without) - {row["id"] for row in rows}):
        raise ValueError(f"{folder!r} has no photo {missing[0]!r} to leave out")
    drawn = None if masks is None else {id: row["mask"] for id, row in read_drawn(masks).items()}
    if missing := sorted(set(drawn or ()) - {row["id"] for row in rows}):
        raise ValueError(f"{len(missing)} masks of {masks!r} have no photo in {folder!r}, such as {missing[0]!r}")
    found = []
    for row in rows:
        if row["source"] in sources and row["id"] not in without:
            cut_out = _cut(row, drawn)
            if cut_out is not None:
                found.append(cut_out)
    if not found:
        raise ValueError(f"no photo of {', '.join(sources)} in {folder!r} gives a cut-out whose alpha can be trusted")
    return found


def hand_cut_outs(photos: Iterable[Case]) -> Iterator[CutOut]:
    """Cuts the products out of photos with hand-drawn masks; those that the frame cuts or of doubtful edges are left.

    Args:
      photos: with their truth.
    """
    for photo in photos:
        if not photo.doubtful and _stands_free(photo.alpha):
            categories = tuple(name for name in photo.slices if name.startswith(("category ", "seller ", "source ")))
            cut_out = _inside_drawn(photo.id, photo.group, categories, photo.image, photo.alpha)
            if cut_out is not None:
                yield cut_out


def _cut(row: dict, drawn: Mapping[str, bytes] | None) -> CutOut | None:
    picture = read_picture(row["image"], f"photo {row['id']!r}")
    slices = (f"source {row['source']}",)
    if drawn and row["id"] in drawn:
        traced = read_mask(drawn[row["id"]], row["id"], picture.image).astype(np.uint8) * np.uint8(255)
        if not _stands_free(traced):
            return None
        return _inside_drawn(row["id"], row["source"], (*slices, "alpha by hand"), picture.image, traced)
    if picture.alpha is not None:
        if not _stands_free(picture.alpha):
            return None
        # colours under a thin veil of alpha are rounded or never were the product's
        colours = _carried_outwards(picture.image, picture.alpha > 230)
        return CutOut(row["id"], row["source"], (*slices, "true alpha"), colours, picture.alpha)
    mask = _agreed_mask(picture.image) if drawn is None else None
    if mask is None or not _stands_free(mask):
        return None
    return _inside(row["id"], row["source"], (*slices, "alpha by rule"), picture.image, mask, 2)


def _stands_free(alpha: np.ndarray) -> bool:
    solid = alpha > 127
    rim = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
    return bool(_COVERAGE[0] < solid.mean() < _COVERAGE[1] and rim.mean() <= _AT_THE_FRAME)


def _agreed_mask(image: np.ndarray) -> np.ndarray | None:
    """Returns where all of the classical methods see the product, or None where they contradict each other."""
    strict, lax = (teacher.flood_from_border(image, tolerance=tolerance) > 0 for tolerance in _TOLERANCES)
    if not lax.any() or intersection_over_union(strict, lax) < _AGREEMENT:
        return None
    cut = teacher.grabcut_from_border(image, border=0.02, longest=_SIDE, iterations=3) > 0
    if intersection_over_union(cut, lax) < _AGREEMENT:
        return None
    agreed = (strict & lax & cut).astype(np.uint8)
    mask = cv2.morphologyEx(agreed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.concatenate([[False], areas > 0.02 * areas.max()])
    return kept[labels].astype(np.uint8) * np.uint8(255)


def _inside_drawn(id: str, source: str, slices: tuple[str, ...], image: np.ndarray, mask: np.ndarray) -> CutOut | None:
    inside = max(2, round(0.006 * max(mask.shape)))  # hand-drawn edges are right within 2 pixels
    return _inside(id, source, slices, image, mask, inside)


def _inside(
    id: str, source: str, slices: tuple[str, ...], image: np.ndarray, mask: np.ndarray, inside: int
) -> CutOut | None:
    """Draws the alpha so far within the mask that its soft edge ends ``inside`` pixels before the mask's."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * inside + 5, 2 * inside + 5))
    core = cv2.erode(mask, disc, borderValue=255)
    alpha = cv2.GaussianBlur(core, (5, 5), 0.8)
    if (alpha > 127).sum() < 0.7 * (mask > 127).sum():
        return None  # straps and laces alone: hardly anything is left
    edge = cv2.erode(mask, np.ones((2 * inside + 1, 2 * inside + 1), np.uint8), borderValue=255)
    return CutOut(id, source, slices, _carried_outwards(image, edge > 127), alpha)


def _carried_outwards(image: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Gives every other pixel the colour of the nearest sure one, so that resizing brings no old ground in."""
    if not sure.any():
        return image
    _, labels = cv2.distanceTransformWithLabels(
        (~sure).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colours[labels[sure]] = image[sure]
    return colours[labels]
