"""``packshot evaluate gates``: what quality gates notice of photos spoilt by known amounts, and invent."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from models.handlers import load_segmenter
from models.registry import resolve_model
from pipeline.evaluation.cases import photos_of_split, read_picture, read_rows
from pipeline.evaluation.tables import markdown_table
from pipeline.records import Photo
from transforms.colour import LUMINANCE, decode_srgb8, linear_to_srgb
from transforms.matte import matte_photo
from transforms.placing import cut_sides
from transforms.quality import Measurements, judge_photo
from transforms.reasons import ReviewReason
from transforms.segment import segment

AS_IT_CAME = "as it came"
_JPEG_QUALITY = 85
_LOST = 0.1  # share of the product driven beyond white from which it counts as over-exposed in truth

Picture = tuple[np.ndarray, np.ndarray]  # uint8 (h, w, 3) RGB and its matte, uint8 (h, w)


@dataclasses.dataclass(frozen=True)
class GatesConfig:
    """What to measure on what.

    Attributes:
      photos: Parquet file or folder, ``id, image`` and perhaps ``split``.
      split: keep the photos of this value in the column ``split``, or None for all.
      masks: Parquet file or folder of hand-drawn masks, ``id, mask``, or None.
      model: registry name or path.
      limit: measure at most this many photos, evenly spread, or None for all.
      seed: of noise and pairings.
      json: path for all figures, or None.
    """

    photos: str
    split: str | None = None
    masks: str | None = None
    model: str = "packshot-seg"
    limit: int | None = None
    seed: int = 0
    json: str | None = None

    def __post_init__(self):
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit!r}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}; it must not be negative")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the gates said of a picture.

    Attributes:
      id: the photo's.
      spoilt: how, or ``AS_IT_CAME``.
      reasons: all that it was flagged for.
      measurements: of the gates.
      lost: share of the product that is beyond white in truth, where the photo was brightened.
    """

    id: str
    spoilt: str
    reasons: tuple[ReviewReason, ...]
    measurements: Measurements
    lost: float | None = None


def stored(image: np.ndarray) -> np.ndarray:
    """Returns a picture as a JPEG of quality 85 gives it back: what a seller uploads went through one."""
    content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR_RGB))


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs by a Gaussian of so many pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


def shaken(image: np.ndarray, length: int) -> np.ndarray:
    """Blurs along the rows, as a moving camera does."""
    return np.asarray(cv2.filter2D(image, -1, np.full((1, length), 1 / length, np.float32)))


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    """Makes a picture of a smaller one: shrunk by the factor and brought back to its size."""
    size = (max(1, image.shape[1] // factor), max(1, image.shape[0] // factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC))


def noisy(image: np.ndarray, sigma: float, draw: np.random.Generator) -> np.ndarray:
    """Adds noise of so many levels of 255."""
    return np.clip(image + draw.normal(0, sigma, image.shape) + 0.5, 0, 255).astype(np.uint8)


def exposed(image: np.ndarray, stops: float) -> np.ndarray:
    """Exposes a photo longer or shorter, in linear light, with the clipping that it brings."""
    codes = decode_srgb8(np.arange(256, dtype=np.uint8)) * 2.0**stops
    return np.asarray(cv2.LUT(image, np.round(255 * linear_to_srgb(codes)).astype(np.uint8)))


def beside(first: Picture, second: Picture) -> Picture:
    """Puts two photos with their mattes side by side, the second at the first's height."""
    height = first[0].shape[0]
    width = max(1, round(second[0].shape[1] * height / second[0].shape[0]))
    image, alpha = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in second)
    return np.hstack([first[0], image]), np.hstack([first[1], alpha])


SPOILING: dict[ReviewReason, dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]]] = {
    ReviewReason.TOO_BLURRED: {
        "blur of 1 px": lambda image, _: blurred(image, 1),
        "blur of 1.5 px": lambda image, _: blurred(image, 1.5),
        "blur of 2 px": lambda image, _: blurred(image, 2),
        "blur of 3 px": lambda image, _: blurred(image, 3),
        "blur of 2 px, then noise of 6": lambda image, draw: noisy(blurred(image, 2), 6, draw),
        "shaken by 9 px": lambda image, _: shaken(image, 9),
        "enlarged by 3": lambda image, _: enlarged(image, 3),
        "enlarged by 4": lambda image, _: enlarged(image, 4),
        "noise of 6 alone": lambda image, draw: noisy(image, 6, draw),
    },
    ReviewReason.UNDER_EXPOSED: {
        "1 stop under": lambda image, _: exposed(image, -1),
        "2 stops under": lambda image, _: exposed(image, -2),
        "3 stops under": lambda image, _: exposed(image, -3),
    },
    ReviewReason.OVER_EXPOSED: {
        "1 stop over": lambda image, _: exposed(image, 1),
        "2 stops over": lambda image, _: exposed(image, 2),
        "3 stops over": lambda image, _: exposed(image, 3),
    },
}
TWO_PHOTOS = "two photos side by side"
_STOPS = {"1 stop over": 1, "2 stops over": 2, "3 stops over": 3}


def evaluate_gates(config: GatesConfig) -> str:
    """Measures every gate on photos as they came and spoilt.

    The matte is that of the photo as it came: what is measured is the gate, not what spoiling does to the network.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError, FileNotFoundError: data that is not as described; one sentence.
    """
    verdicts: list[Verdict] = []
    draw = np.random.default_rng(config.seed)
    previous: Picture | None = None
    for photo in _matted(config):
        verdicts.append(_verdict(photo, AS_IT_CAME))
        if ReviewReason.NO_PRODUCT in photo.review_reasons:
            continue
        for name, spoil in itertools.chain.from_iterable(kinds.items() for kinds in SPOILING.values()):
            spoilt = photo.replace(image=stored(spoil(_picture(photo)[0], draw)))
            verdicts.append(_verdict(spoilt, name, lost=_lost(photo, _STOPS[name]) if name in _STOPS else None))
        if previous is not None:
            image, alpha = beside(_picture(photo), previous)
            verdicts.append(_verdict(photo.replace(image=stored(image), alpha=alpha), TWO_PHOTOS))
        previous = _picture(photo)
    if config.json:
        found = [{**vars(v), "measurements": vars(v.measurements)} for v in verdicts]
        Path(config.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    parts = [detection_table(verdicts), reasons_table(verdicts)]
    if config.masks:
        parts.append(_cut_table(config, verdicts))
    return "\n\n".join(parts)


def _matted(config: GatesConfig) -> Iterator[Photo]:
    segmenter = load_segmenter(resolve_model(config.model))
    kept = photos_of_split(config.photos, config.split, config.limit)
    for number, row in enumerate(kept):
        decoded = read_picture(row["image"], f"photo {row['id']!r}")
        found = segment(decoded.image, segmenter)
        photo = Photo(
            id=str(row["id"]), source_uri="", width=decoded.width, height=decoded.height, image=decoded.image,
            source_alpha=decoded.alpha, coarse_mask=found.mask, presence=found.presence,
        )  # fmt: skip
        photo = matte_photo(photo)
        if photo.bbox is not None and any(cut_sides(_picture(photo)[1])) and photo.alpha is not photo.source_alpha:
            photo = photo.flagged(ReviewReason.CUT_BY_FRAME)
        yield photo
        if number % 20 == 19:
            sys.stderr.write(f"packshot: {number + 1:,} of {len(kept):,} photos measured\n")


def _picture(photo: Photo) -> Picture:
    if photo.image is None or photo.alpha is None:
        raise AssertionError("a photo that was matted has pixels and a matte")
    return photo.image, photo.alpha


def _verdict(photo: Photo, spoilt: str, lost: float | None = None) -> Verdict:
    judged = judge_photo(photo)
    return Verdict(photo.id, spoilt, judged.review_reasons, judged.measurements or Measurements(), lost)


def _lost(photo: Photo, stops: float) -> float:
    image, alpha = _picture(photo)
    product = image[alpha > 230]
    return float(np.mean(decode_srgb8(product) @ LUMINANCE * 2.0**stops > 1)) if len(product) else 0.0


def detection_table(verdicts: list[Verdict]) -> str:
    """Sets what each gate notices of spoilt photos beside what it says of the photos as they came."""
    rows = []
    for gate, names in {**{gate: list(kinds) for gate, kinds in SPOILING.items()},
                        ReviewReason.SEVERAL_PRODUCTS: [TWO_PHOTOS]}.items():  # fmt: skip
        for name in (AS_IT_CAME, *names):
            chosen = [v for v in verdicts if v.spoilt == name]
            rows.append([gate.value, name, *_share(chosen, gate)])
            if name in _STOPS:
                burnt = [v for v in chosen if (v.lost or 0) >= _LOST]
                rows.append([gate.value, f"{name}, a tenth of the product beyond white", *_share(burnt, gate)])
    return "## Gates on photos spoilt on purpose\n\n" + markdown_table(["gate", "photo", "photos", "flagged"], rows)


def reasons_table(verdicts: list[Verdict]) -> str:
    """Counts the reasons of the photos as they came."""
    came = [v for v in verdicts if v.spoilt == AS_IT_CAME]
    found = dict.fromkeys(r for r in ReviewReason if any(r in v.reasons for v in came))
    rows = [[reason.value, *_share(came, reason)] for reason in found]
    clean = sum(not v.reasons for v in came)
    rows.append(["none", f"{len(came):,}", f"{clean / len(came):.1%}"])
    return "## Reasons of the photos as they came\n\n" + markdown_table(["reason", "photos", "flagged"], rows)


def _cut_table(config: GatesConfig, verdicts: list[Verdict]) -> str:
    came = {v.id: v for v in verdicts if v.spoilt == AS_IT_CAME}
    truth: dict[bool, list[Verdict]] = {True: [], False: []}
    for row in read_rows(str(config.masks), ("id", "mask")):
        if verdict := came.get(str(row["id"])):
            mask = np.asarray(cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE))
            truth[any(cut_sides(mask))].append(verdict)
    rows = [
        ["the hand-drawn mask meets the frame", *_share(truth[True], ReviewReason.CUT_BY_FRAME)],
        ["it does not", *_share(truth[False], ReviewReason.CUT_BY_FRAME)],
    ]
    return "## Cut by the frame, against hand-drawn masks\n\n" + markdown_table(["truth", "photos", "flagged"], rows)


def _share(verdicts: list[Verdict], reason: ReviewReason) -> tuple[str, str]:
    if not verdicts:
        return "0", "-"
    return f"{len(verdicts):,}", f"{np.mean([reason in v.reasons for v in verdicts]):.1%}"
