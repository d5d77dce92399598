"""``packshot evaluate enhancement``: photos spoilt in known ways, mended as in the job, compared with what they were.

Nothing is told to the steps: each has to see for itself that it is needed, as in the job.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from models.metrics.bootstrap import bootstrap_interval
from pipeline.evaluation.cases import Case, masked_photos
from pipeline.evaluation.enhancement_sheets import MendingSheet
from pipeline.evaluation.methods import Method, choose_methods
from pipeline.evaluation.tables import markdown_table
from pipeline.records import Photo
from transforms.colour import ciede2000, decode_srgb8, linear_to_srgb, srgb8_to_lab
from transforms.compose import tilt_to_mend
from transforms.enhance import enhance_photo
from transforms.straighten import StraightenLimits, find_tilt, turn

_JPEG_QUALITY = 92  # of the spoilt photos: sellers' cameras compress what they have blurred and roughened
_SAMPLED = 4000  # pixels of a product whose colours are compared
_TURNS = (-10.0, -6.0, -3.0, 3.0, 6.0, 10.0)
_ANY_TILT = StraightenLimits(least=1e-6, symmetry_gain=0.0)
_GOOD_MASK = 0.9


@dataclasses.dataclass(frozen=True)
class Fault:
    """A known way to spoil a photo.

    Attributes:
      name: in tables.
      step: the one of ``transforms.enhance.STEPS`` that should mend it.
      spoil: from an image, uint8 (h, w, 3), and a random generator to the spoilt one; None leaves it as it is.
    """

    name: str
    step: str
    spoil: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None


@dataclasses.dataclass(frozen=True)
class Mending:
    """What a step made of one photo.

    Attributes:
      id, group: the photo's.
      fault: by name.
      acted: whether the step saw a need.
      before, after: distance of the product from the truth: PSNR in dB, or mean CIEDE2000 for exposure.
      gain: how much nearer the truth it came, in the same unit; of an untouched photo, minus how far it was moved.
    """

    id: str
    group: str
    fault: str
    acted: bool
    before: float
    after: float
    gain: float


@dataclasses.dataclass(frozen=True)
class Turning:
    """What straightening made of one photo.

    Attributes:
      id, group: the photo's.
      turned: degrees, clockwise, by which it was put askew; 0 for none.
      found: degrees by which the job would turn it back.
      own: the same for the photo as it was, however little; None where the product is no mirror image of itself.
      iou: of the matte that was gone by with the truth; 1 for the truth itself.
    """

    id: str
    group: str
    turned: float
    found: float
    own: float | None = None
    iou: float = 1.0


def _noisy(sigma: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda image, rng: _compressed(np.clip(np.round(image + rng.normal(0, sigma, image.shape)), 0, 255))


def _blurred(sigma: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda image, rng: _compressed(cv2.GaussianBlur(image, (0, 0), sigma))


def _darkened(factor: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda image, rng: _compressed(np.round(255 * linear_to_srgb(factor * decode_srgb8(image))))


def _compressed(image: np.ndarray) -> np.ndarray:
    bgr = np.ascontiguousarray(image[..., ::-1], np.uint8)
    content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR_RGB))


FAULTS = (
    Fault("noise, sigma 4", "denoise", _noisy(4)),
    Fault("noise, sigma 8", "denoise", _noisy(8)),
    Fault("noise, sigma 14", "denoise", _noisy(14)),
    Fault("untouched, denoise", "denoise", None),
    Fault("blur, sigma 1", "sharpen", _blurred(1)),
    Fault("blur, sigma 1.8", "sharpen", _blurred(1.8)),
    Fault("blur, sigma 3", "sharpen", _blurred(3)),
    Fault("untouched, sharpen", "sharpen", None),
    Fault("a third of the light", "exposure", _darkened(1 / 3)),
    Fault("a sixth of the light", "exposure", _darkened(1 / 6)),
    Fault("untouched, exposure", "exposure", None),
)
_WORSE = {"denoise": 0.1, "sharpen": 0.1, "exposure": 0.2}  # dB, dB, CIEDE2000: less nobody sees


@dataclasses.dataclass(frozen=True)
class EnhancementConfig:
    """What to measure on what.

    Attributes:
      photos: Parquet file or folder, ``id, image`` and perhaps ``seller``.
      masks: Parquet file or folder of hand-drawn masks, ``id, mask``.
      model: registry name or path; its mattes are straightened too.
      limit: measure at most this many photos, or None for all.
      seed: of the noise.
      sheet: path of a PNG, of which ``-<step>`` is added to the name, or None.
      json: path for all figures, or None.
    """

    photos: str
    masks: str
    model: str = "packshot-seg"
    limit: int | None = None
    seed: int = 0
    sheet: str | None = None
    json: str | None = None

    def __post_init__(self):
        if not (self.photos and self.masks):
            raise ValueError("there is nothing to measure: give --photos and --masks")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit!r}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed!r} must not be negative")


def evaluate_enhancement(config: EnhancementConfig) -> str:
    """Measures every enhancement on photos spoilt in known ways, and on the same photos untouched.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError: data that is not as described, or an unknown model; one sentence.
      FileNotFoundError: data that is not there.
    """
    model = choose_methods(config.model)[0]
    mendings: list[Mending] = []
    turnings: list[Turning] = []
    sheets: dict[str, MendingSheet] = {}
    for number, case in enumerate(itertools.islice(masked_photos(config.photos, config.masks), config.limit)):
        mendings += [mend(case, fault, np.random.default_rng((config.seed, number)), sheets) for fault in FAULTS]
        turnings += list(straighten(case, model, sheets))
    count = len({mending.id for mending in mendings})
    sys.stderr.write(f"packshot: measured {count} photos\n")
    parts = [
        f"## Photos spoilt in known ways, and untouched: {count}",
        mending_table(mendings),
        turning_table(turnings),
    ]
    if config.sheet:
        paths = {name: _sheet_path(config.sheet, name) for name in sheets}
        parts.append(f"Contact sheets: {', '.join(str(paths[n]) for n in sheets if sheets[n].write(paths[n]))}")
    if config.json:
        figures = {"mendings": [vars(m) for m in mendings], "turnings": [vars(t) for t in turnings]}
        Path(config.json).write_text(json.dumps({"inputs": dataclasses.asdict(config), **figures}, indent=1))
    return "\n\n".join(parts)


def mend(case: Case, fault: Fault, rng: np.random.Generator, sheets: dict[str, MendingSheet]) -> Mending:
    """Spoils a photo and has its step mend it.

    Args:
      case: the photo and its true matte.
      fault: the known way.
      rng: of the noise.
      sheets: by step; what came out worst is kept there.
    """
    spoilt = case.image if fault.spoil is None else fault.spoil(case.image, rng)
    height, width = case.alpha.shape
    photo = Photo(
        id=case.id, source_uri="", width=width, height=height, image=spoilt, foreground=spoilt, alpha=case.alpha
    )
    done = enhance_photo(photo, (fault.step,))
    acted = bool(done.enhancements)
    distance = _colour_difference if fault.step == "exposure" or fault.spoil is None else _psnr
    before = distance(spoilt, case.image, case.truth)
    after = distance(done.foreground, case.image, case.truth) if acted else before
    gain = after - before if distance is _psnr else before - after
    if acted:
        sheet = sheets.setdefault(fault.name.split(", ")[1] if fault.spoil is None else fault.step, MendingSheet())
        sheet.offer(-gain, f"{fault.name}: {gain:+.2f}", (case.image, spoilt, done.foreground), case.alpha)
    return Mending(case.id, case.group, fault.name, acted, before, after, gain)


def straighten(case: Case, model: Method, sheets: dict[str, MendingSheet]) -> Iterable[Turning]:
    """Yields what straightening makes of the true matte, as it is and turned, and of the model's."""
    own = find_tilt(case.alpha, _ANY_TILT) or None
    for degrees in (0.0, *_TURNS):
        found = tilt_to_mend(turn(case.alpha, degrees) if degrees else case.alpha)
        yield Turning(case.id, case.group, degrees, found, own)
    predicted = model.predict(case.image)
    found = tilt_to_mend(predicted.alpha, predicted.reasons)
    product = predicted.alpha > 127
    iou = float((product & case.truth).sum() / max(1, (product | case.truth).sum()))
    yield Turning(case.id, f"model {case.group}", 0.0, found, own, iou)
    if found:
        images = (case.image, _on_white(case.image, predicted.alpha))
        turned = _on_white(turn(case.image, found), turn(predicted.alpha, found))
        sheet = sheets.setdefault("straighten", MendingSheet())
        sheet.offer(-iou, f"{found:+.1f} deg, IoU {iou:.2f}", (*images, turned), case.alpha)


def _on_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha.astype(np.float32)[..., None] / 255
    return (image * share + 255 * (1 - share)).astype(np.uint8)


def _psnr(image: np.ndarray, truth: np.ndarray, product: np.ndarray) -> float:
    error = np.mean((image[product].astype(np.float32) - truth[product]) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def _colour_difference(image: np.ndarray, truth: np.ndarray, product: np.ndarray) -> float:
    step = max(1, int(product.sum()) // _SAMPLED)
    return float(np.mean(ciede2000(srgb8_to_lab(image[product][::step]), srgb8_to_lab(truth[product][::step]))))


def mending_table(mendings: list[Mending]) -> str:
    """Returns a row for each fault: how often its step acted, and what that did to the product."""
    rows = []
    for fault in FAULTS:
        of_fault = [m for m in mendings if m.fault == fault.name]
        acted = [m for m in of_fault if m.acted]
        unit = "dE00" if fault.step == "exposure" or fault.spoil is None else "dB"
        row = [fault.name, _share([m.acted for m in of_fault], [m.group for m in of_fault])]
        if acted:
            low, high = bootstrap_interval(np.array([m.gain for m in acted]), groups=[m.group for m in acted])
            worse = float(np.mean([m.gain < -_WORSE[fault.step] for m in acted]))
            before, after, gain = (np.mean([getattr(m, name) for m in acted]) for name in ("before", "after", "gain"))
            row += [f"{before:.1f} {unit}", f"{after:.1f} {unit}", f"{gain:+.2f} ({low:+.2f} to {high:+.2f})"]
            row.append("-" if fault.spoil is None else f"{worse:.1%}")
        else:
            row += ["-"] * 4
        rows.append(row)
    head = ["photos", "acted on, % (95 %)", "before", "after", "gain where acted (95 %)", "made worse"]
    return markdown_table(head, rows)


def turning_table(turnings: list[Turning]) -> str:
    """Returns a row for each kind of turn: how often straightening acted, and how far off it left the product."""
    of_truth = [t for t in turnings if not t.group.startswith("model ")]
    rows = []
    for degrees in sorted({abs(turned) for turned in _TURNS}):
        chosen = [t for t in of_truth if abs(t.turned) == degrees]
        if not chosen:
            continue
        acted = [t for t in chosen if t.found]
        left = np.array([abs(t.turned + t.found) for t in acted])
        off = np.array([(abs(t.turned + t.found - t.own), abs(t.turned - t.own)) for t in acted if t.own is not None])
        row = [f"true matte turned by {degrees:g}", _share([bool(t.found) for t in chosen], [t.group for t in chosen])]
        row += [f"{np.median(left):.1f} / {np.percentile(left, 95):.1f}" if len(left) else "-"]
        if len(off):
            row += [f"{np.median(off[:, 0]):.1f} / {np.percentile(off[:, 0], 95):.1f}"]
            row += [f"{np.mean(off[:, 0] > off[:, 1]):.1%}"]
        rows.append(row + ["-"] * (5 - len(row)))
    of_model = [t for t in turnings if t.group.startswith("model ")]
    for name, chosen in (
        ("true matte, untouched", [t for t in of_truth if t.turned == 0]),
        (f"model's matte, IoU {_GOOD_MASK:g} or more", [t for t in of_model if t.iou >= _GOOD_MASK]),
        (f"model's matte, IoU below {_GOOD_MASK:g}", [t for t in of_model if t.iou < _GOOD_MASK]),
    ):
        if chosen:
            share = _share([bool(t.found) for t in chosen], [t.group for t in chosen])
            rows.append([f"{name}: {len(chosen)}", share, "-", "-", "-"])
    head = [
        "straighten",
        "turned, % (95 %)",
        "degrees off the photo, median / 95th",
        "off the product's own axis",
        "further off than before",
    ]
    return markdown_table(head, rows)


def _share(flags: list[bool], groups: list[str]) -> str:
    values = 100.0 * np.array(flags)
    low, high = bootstrap_interval(values, groups=groups)
    return f"{values.mean():.1f} ({low:.1f}-{high:.1f})"


def _sheet_path(sheet: str, name: str) -> Path:
    path = Path(sheet)
    return path.with_name(f"{path.stem}-{name.replace(' ', '-')}{path.suffix or '.png'}")
