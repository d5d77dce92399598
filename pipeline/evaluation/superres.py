"""``packshot evaluate superres``: photos made smaller in known ways, enlarged as in the job, beside the truth."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from models.handlers.enlargement import WEIGHTS, Enlarger
from models.metrics.bootstrap import bootstrap_interval
from models.metrics.superres import psnr, ssim
from models.superres.photos import Photos, read_photos
from models.superres.resampling import double, halve
from models.superres.samples import compressed
from models.superres.settings import read_config
from pipeline.evaluation.sheets import write_tiles
from pipeline.evaluation.tables import markdown_table

_BORDER = 4  # pixels along the frame that are not measured, as is usual
_TIMED = (400, 300), 5  # rows and columns of a seller's product, and how often it is enlarged to time it
_WINDOW, _ZOOM = 64, 3  # what a sheet shows of a photo, and how large
_SHOWN = 20


class Shrinking(NamedTuple):
    """A known way to a small photo.

    Attributes:
      name: in tables.
      make: from the photo, uint8 (h, w, 3), to the truth and the small photo.
      factor: how much larger the truth is.
    """

    name: str
    make: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    factor: float = 2.0


class Measured(NamedTuple):
    """How one photo came out, all of luma but the last.

    Attributes:
      id, group: the photo's.
      shrinking: by name.
      gain: dB of PSNR over bicubic.
      bicubic_psnr, psnr, bicubic_ssim, ssim: against the truth.
      agreement: PSNR of the result halved again against the small photo; of other factors than two not a number.
      colour_gain: as ``gain``, of R, G and B.
    """

    id: str
    group: str
    shrinking: str
    gain: float
    bicubic_psnr: float
    psnr: float
    bicubic_ssim: float
    ssim: float
    agreement: float
    colour_gain: float


def _by_area(image: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA))


def _even(image: np.ndarray) -> np.ndarray:
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]


def _halved_three_quarters(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth = _even(_by_area(image, 4 / 3))
    return truth, halve(truth)


def _shrunk_by(factor: float) -> Shrinking:
    return Shrinking(f"shrunk by area, 1 : {factor:g}", lambda image: (image, _by_area(image, factor)), factor)


SHRINKINGS = (
    Shrinking("halved, antialiased bicubic", lambda image: (image, halve(image))),
    Shrinking("the same, of the photo at 3/4", _halved_three_quarters),
    Shrinking("the same, then JPEG of quality 90", lambda image: (image, compressed(halve(image), 90))),
    Shrinking("the same, then JPEG of quality 75", lambda image: (image, compressed(halve(image), 75))),
    _shrunk_by(1.2),
    _shrunk_by(1.5),
    _shrunk_by(2.0),
    _shrunk_by(3.0),
)


@dataclasses.dataclass(frozen=True)
class SuperresConfig:
    """What to measure on what.

    Attributes:
      catalogue: photos, as ``models.articles.ArticleSource`` has them; its splits are those of the training.
      model: a ``.tflite`` file.
      split: whose photos: those to choose by, or those to report on.
      limit: measure at most this many photos, spread evenly over the split, or None for all.
      sheet: path of a PNG of crops, or None.
      json: path for all figures, or None.
    """

    catalogue: str
    model: str = str(WEIGHTS)
    split: Literal["development", "test"] = "test"
    limit: int | None = None
    sheet: str | None = None
    json: str | None = None

    def __post_init__(self):
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit!r}; it must be at least 1")


def evaluate_superres(config: SuperresConfig) -> str:
    """Measures enlargement on photos of sellers that no training has seen.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError: data or model that are not as described; one sentence.
      FileNotFoundError: data that is not there.
    """
    enlarger = Enlarger(config.model)
    source = read_config(catalogue=config.catalogue, output="none").articles
    photos = read_photos(source, (config.split,))[config.split]
    if not len(photos):
        raise ValueError(f"split {config.split!r} of {config.catalogue!r} has no photos")
    photos = photos.spread(config.limit or len(photos))
    measured, sheet = measure(photos, enlarger)
    parts = [
        f"## {len(photos):,} photos of {len(set(photos.groups))} sellers, split {config.split}",
        gain_table(measured),
        f"Time: {milliseconds_per_megapixel(enlarger):.0f} ms of processor a megapixel of the result.",
    ]
    if config.sheet and write_tiles(Path(config.sheet), sheet, 2):
        parts.append(f"Crops (bicubic, ours, the truth): {config.sheet}")
    if config.json:
        figures = {"inputs": dataclasses.asdict(config), "photos": [m._asdict() for m in measured]}
        Path(config.json).write_text(json.dumps(figures, indent=1))
    return "\n\n".join(parts)


def measure(photos: Photos, enlarger: Enlarger) -> tuple[list[Measured], list[np.ndarray]]:
    """Shrinks and enlarges every photo in every known way.

    Args:
      photos: the truth; sides even.
      enlarger: the model.

    Returns:
      The figures; and tiles for a sheet, those that gained least by halving and others evenly by their gain.
    """
    measured, halved = [], []
    for number, (id, group, image) in enumerate(zip(photos.ids, photos.groups, photos.images, strict=True)):
        for shrinking in SHRINKINGS:
            truth, small = shrinking.make(image)
            size = truth.shape[1::-1]
            bicubic = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC))
            ours = enlarger.enlarge(small)
            twice = ours
            if ours.shape != truth.shape:
                shrinks = ours.shape[0] > truth.shape[0]
                ours = cv2.resize(ours, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
            found = _compared(str(id), str(group), shrinking, truth, bicubic, ours)
            if shrinking.factor == 2:
                found = found._replace(agreement=psnr(_luma(halve(twice)), _luma(small), _BORDER // 2))
            measured.append(found)
            if shrinking is SHRINKINGS[0]:
                halved.append((found.gain, number))
    halved.sort()
    worst, rest = halved[: _SHOWN // 2], halved[_SHOWN // 2 :: max(1, len(halved) // (_SHOWN // 2))]
    tiles = [_tile(photos.images[number], enlarger, gain) for gain, number in [*worst, *rest][:_SHOWN]]
    return measured, tiles


def _compared(
    id: str, group: str, shrinking: Shrinking, truth: np.ndarray, bicubic: np.ndarray, ours: np.ndarray
) -> Measured:
    plane = _luma(truth)
    before, after = (psnr(_luma(result), plane, _BORDER) for result in (bicubic, ours))
    return Measured(
        id,
        group,
        shrinking.name,
        gain=after - before,
        bicubic_psnr=before,
        psnr=after,
        bicubic_ssim=ssim(_luma(bicubic), plane, _BORDER),
        ssim=ssim(_luma(ours), plane, _BORDER),
        agreement=float("nan"),
        colour_gain=psnr(ours, truth, _BORDER) - psnr(bicubic, truth, _BORDER),
    )


def _luma(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def gain_table(measured: list[Measured]) -> str:
    """Returns a row for each way to a small photo, with 95 % bootstrap intervals by seller."""
    rows = []
    for shrinking in SHRINKINGS:
        chosen = [m for m in measured if m.shrinking == shrinking.name]
        groups = [m.group for m in chosen]
        gains = np.array([m.gain for m in chosen])
        low, high = bootstrap_interval(gains, groups=groups)
        means = {name: float(np.mean([getattr(m, name) for m in chosen])) for name in Measured._fields[4:]}
        rows.append([
            shrinking.name,
            f"{means['bicubic_psnr']:.2f}",
            f"{means['psnr']:.2f}",
            f"{gains.mean():+.2f} ({low:+.2f} to {high:+.2f})",
            f"{np.mean(gains > 0):.1%}",
            f"{means['bicubic_ssim']:.4f}",
            f"{means['ssim']:.4f}",
            f"{means['agreement']:.1f}" if shrinking.factor == 2 else "-",
            f"{means['colour_gain']:+.2f}",
        ])  # fmt: skip
    head = [
        "small photo", "bicubic, dB", "ours, dB", "gain (95 %)", "photos improved", "SSIM bicubic", "SSIM ours",
        "halved again, dB", "gain in R, G, B",
    ]  # fmt: skip
    return markdown_table(head, rows)


def milliseconds_per_megapixel(enlarger: Enlarger) -> float:
    """Returns the processor's time for a megapixel of the result, the least of some tries."""
    (height, width), tries = _TIMED
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    enlarger.enlarge(image)
    spent = []
    for _ in range(tries):
        started = time.process_time()
        enlarger.enlarge(image)
        spent.append(time.process_time() - started)
    return 1000 * min(spent) / (4 * height * width / 1e6)


def _tile(truth: np.ndarray, enlarger: Enlarger, gain: float) -> np.ndarray:
    """Returns the liveliest part of a photo, enlarged bicubically, by us, and as it was."""
    small = halve(truth)
    edges = cv2.magnitude(*(cv2.Sobel(_luma(truth), cv2.CV_32F, x, 1 - x) for x in (0, 1)))
    corner = slice(_WINDOW // 2, -_WINDOW // 2)
    lively = cv2.boxFilter(edges, -1, (_WINDOW, _WINDOW))[corner, corner]
    y, x = np.unravel_index(int(np.argmax(lively)), lively.shape)
    parts = [picture[y : y + _WINDOW, x : x + _WINDOW] for picture in (double(small), enlarger.enlarge(small), truth)]
    tile = cv2.resize(np.hstack(parts), None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_NEAREST)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, f"{gain:+.2f} dB", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, width, cv2.LINE_AA)
    return np.hstack([tile, np.full((tile.shape[0], 8, 3), 255, np.uint8)])
