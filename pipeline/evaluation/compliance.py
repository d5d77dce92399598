"""``packshot evaluate compliance``: whether stored pictures are what a profile says, counted check by check."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline.evaluation.tables import markdown_table
from pipeline.profiles import load_profile
from pipeline.refresh import latest_run
from pipeline.running import read_run
from pipeline.sinks import storage
from pipeline.sinks.tables import read_table
from transforms.compliance import Check, Findings, check_file
from transforms.compose import compose
from transforms.placing import NOT_CUT, cut_sides, required_working_side
from transforms.profile import Profile
from transforms.quality import Measurements, judge, measure_parts
from transforms.reasons import ReviewReason

UNKNOWN, READY, REVIEW = "unknown", "ready", "review"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
_SHOWN_IDS = 6
_LIKE_GROUND = 12  # levels of 255 that a stranger's ground may differ from its own median
_SOFT_EDGE = 8  # pixels that an edge may fade into the ground, ever less than 12 levels from it
_SPECK = 1e-4  # share of the picture up to which what differs from the ground is dust, not a product


@dataclasses.dataclass(frozen=True)
class ComplianceConfig:
    """What to check against what.

    Attributes:
      output: a run's output folder, or None.
      pictures: a folder of pictures that anybody may have made, or None.
      profile: by name or path; by default that of the run, with its ground and shadow.
      limit: check at most so many pictures, or None for all.
      strict: whether a failure of a picture that nobody has to review counts as the command's.
      json: path for all figures, or None.
    """

    output: str | None = None
    pictures: str | None = None
    profile: str | None = None
    limit: int | None = None
    strict: bool = False
    json: str | None = None

    def __post_init__(self):
        if bool(self.output) == bool(self.pictures):
            raise ValueError("give either --output, a run's folder, or --pictures, a folder of any pictures")
        if self.pictures and not self.profile:
            raise ValueError("--pictures needs --profile: the rules to check against")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit!r}; it must be at least 1")


@dataclasses.dataclass(frozen=True)
class Checked:
    """A picture and what was found.

    Attributes:
      id: the catalogue's, or the file's path below the folder.
      status: ``ready`` or ``review`` as the catalogue has it; ``unknown`` without one.
      findings: of all checks.
    """

    id: str
    status: str
    findings: Findings


def evaluate_compliance(config: ComplianceConfig) -> tuple[str, bool]:
    """Checks stored pictures against a profile.

    Args:
      config: what to check against what.

    Returns:
      Tables in Markdown, and whether no picture that counts as ready failed.

    Raises:
      ValueError, FileNotFoundError: there is no such profile, run or folder, or nothing in it; one sentence.
    """
    if config.output:
        profile, pictures = _of_run(config.output, config.profile)
    else:
        profile = load_profile(str(config.profile))
        pictures = _of_folder(str(config.pictures), profile)
    checked = []
    for picture in pictures:
        checked.append(picture)
        if len(checked) == config.limit:
            break
    if not checked:
        raise ValueError(f"{config.output or config.pictures!r} holds no picture to check")
    if config.json:
        Path(config.json).write_text(json.dumps(figures_of(checked), indent=1), encoding="utf-8")
    missed = [c for c in checked if c.status != REVIEW and c.findings.failed]
    return compliance_table(checked, profile, estimated=not config.output), not missed


def estimate_alpha(image: np.ndarray) -> np.ndarray:
    """Tells product from ground in a picture of which only the pixels are known, by flooding from its border.

    Whatever is within 12 levels of the border's median colour and is joined to the border is ground. So a white
    sleeve that touches a white ground is lost, and a shadow is product: an estimate, not a truth.

    Args:
      image: uint8 (H, W, 3), RGB.

    Returns:
      uint8 (H, W): 0 ground, 255 product, 1 where its soft edge may reach into the ground; nothing of dust.
    """
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    ground = np.median(border, axis=0)
    like = cv2.inRange(image, ground - _LIKE_GROUND, ground + _LIKE_GROUND)
    _, labels = cv2.connectedComponents(like, connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.zeros(labels.max() + 1, bool)
    outside[edge] = True
    outside[0] = False
    rest = (~outside[labels]).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=8)
    kept = stats[:, cv2.CC_STAT_AREA] > _SPECK * rest.size
    kept[0] = False
    product = kept[labels].astype(np.uint8)
    soft = cv2.dilate(product, np.ones((2 * _SOFT_EDGE + 1, 2 * _SOFT_EDGE + 1), np.uint8))
    return np.asarray(cv2.max(product * np.uint8(255), soft))


def rebuild_alpha(mask: np.ndarray, profile: Profile, *, cut: bool) -> np.ndarray:
    """Places a stored mask on the canvas as the run placed it.

    Args:
      mask: the mask's file, decoded: uint8 (h, w) at the source frame's size.
      profile: the canvas.
      cut: whether the run found the product cut by the frame.

    Returns:
      uint8 (H, W). Of a photo that was decoded at a fraction of its size the mask was enlarged, so its product is
      widened by a few pixels here: no soft edge is taken for ground.
    """
    sides = None if cut else NOT_CUT
    alpha = compose(np.zeros((*mask.shape, 3), np.uint8), mask, profile, cut=sides).alpha
    if max(mask.shape) >= 2 * required_working_side(profile):
        alpha = cv2.dilate(alpha, np.ones((7, 7), np.uint8))
    return alpha


def _of_run(output: str, name: str | None) -> tuple[Profile, Iterator[Checked]]:
    from pipeline.config import RunConfig

    run = latest_run(output)
    if run is None:
        raise ValueError(f"{output!r} holds no committed run; name the --output of a finished run")
    own = RunConfig.from_mapping(read_run(output, run)["config"])
    profile = own.load_profile() if name in (None, own.profile) else load_profile(str(name))
    rows = read_table(output, "catalogue", run).to_pylist()
    # only on the canvas that the run composed does its mask lie where the product is
    return profile, _check_rows(output, rows, profile, same_canvas=name in (None, own.profile))


def _check_rows(output: str, rows: Sequence[dict], profile: Profile, same_canvas: bool) -> Iterator[Checked]:
    for row in rows:
        assets = {asset["kind"]: storage.join(output, asset["uri"]) for asset in row["assets"]}
        if "packshot" not in assets:
            continue
        content = storage.read_bytes(assets["packshot"])
        reasons, cut = row["review_reasons"], ReviewReason.CUT_BY_FRAME in row["review_reasons"]
        turned = "straighten" in (row.get("enhancements") or ())
        if "mask" in assets and same_canvas and not turned:
            mask = cv2.imdecode(np.frombuffer(storage.read_bytes(assets["mask"]), np.uint8), cv2.IMREAD_GRAYSCALE)
            alpha = rebuild_alpha(np.asarray(mask), profile, cut=cut)
        else:
            alpha = _alpha_of_file(content)
        products = 0 if ReviewReason.NO_PRODUCT in reasons else 1 + (ReviewReason.SEVERAL_PRODUCTS in reasons)
        yield Checked(row["id"], row["status"], check_file(content, profile, alpha, products=products, cut=cut))


def _of_folder(folder: str, profile: Profile) -> Iterator[Checked]:
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"{folder!r} is no folder; name one that holds pictures")
    for path in sorted(place.rglob("*")):
        if path.suffix.lower() not in _PICTURES:
            continue
        content = path.read_bytes()
        image = _pixels(content)
        alpha = _alpha_of_file(content)
        pieces, contrast = (0, 0.0) if image is None else measure_parts(image, alpha)
        several = bool(judge(Measurements(parts=pieces, contrast=contrast)))
        cut = any(cut_sides(alpha)) if alpha.any() else False
        findings = check_file(content, profile, alpha, products=0 if not pieces else 1 + several, cut=cut)
        yield Checked(path.relative_to(place).as_posix(), UNKNOWN, findings)


def _alpha_of_file(content: bytes) -> np.ndarray:
    image = _pixels(content)
    return np.zeros((1, 1), np.uint8) if image is None else estimate_alpha(image)


def _pixels(content: bytes) -> np.ndarray | None:
    if not content:
        return None
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)


def compliance_table(checked: Sequence[Checked], profile: Profile, *, estimated: bool = False) -> str:
    """Lays the findings out by check.

    Args:
      checked: the pictures.
      profile: what they were checked against.
      estimated: whether the product's place was estimated from the pictures.
    """
    rows = []
    for check in Check:
        made = [c for c in checked if c.findings.passed[check] is not None]
        failing = [c for c in made if not c.findings.passed[check]]
        silent = sum(c.status != REVIEW for c in failing)
        rows.append([check.value, *_counts(made, failing), str(silent), _ids(failing)])
    failing = [c for c in checked if c.findings.failed]
    silent = sum(c.status != REVIEW for c in failing)
    rows.append(["all", *_counts(checked, failing), str(silent), _ids(failing)])
    ready = [c for c in checked if c.status == READY]
    head = ["check", "checked", "passed", "rate", "failed, not in review", "failing"]
    text = f"## {profile.name}: {len(checked):,} pictures"
    if ready:
        passing = sum(not c.findings.failed for c in ready)
        text += f", {len(ready):,} ready, of which {passing:,} pass every check"
    if estimated:
        text += "\n\nWhere the product is was estimated by flooding from the border; see docs/QUALITY-GATES.md."
    return f"{text}\n\n{markdown_table(head, rows)}"


def _counts(made: Sequence[Checked], failing: Sequence[Checked]) -> tuple[str, str, str]:
    passed = len(made) - len(failing)
    return f"{len(made):,}", f"{passed:,}", f"{passed / len(made):.1%}" if made else "-"


def _ids(failing: Sequence[Checked]) -> str:
    shown = ", ".join(c.id for c in failing[:_SHOWN_IDS])
    more = len(failing) - _SHOWN_IDS
    return f"{shown} and {more:,} more" if more > 0 else shown


def figures_of(checked: Sequence[Checked]) -> list[dict[str, Any]]:
    """Returns all findings as JSON can hold them."""
    return [{"id": c.id, "status": c.status, **dataclasses.asdict(c.findings)} for c in checked]
