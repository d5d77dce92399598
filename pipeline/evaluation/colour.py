"""``packshot evaluate colour``: photos under known lights, corrected, compared with the truth."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from models.handlers import load_segmenter
from models.handlers.segmentation import Segmenter
from models.registry import resolve_model
from pipeline.evaluation.cases import masked_photos, read_drawn
from pipeline.evaluation.colour_belief import fit_belief
from pipeline.evaluation.colour_cases import SETS, ColourCase, made_cases, photo_cases
from pipeline.evaluation.colour_methods import ColourMethod, Correction, colour_methods
from pipeline.evaluation.colour_profiles import profile_table
from pipeline.evaluation.colour_rendered import rendered_colour_cases
from pipeline.evaluation.colour_scores import ColourScore, ColourScorer
from pipeline.evaluation.colour_sheets import ColourSheet
from pipeline.evaluation.colour_tables import bars_table, colour_tables
from pipeline.evaluation.colour_transfers import TransferMeter
from pipeline.evaluation.cutouts import hand_cut_outs
from pipeline.evaluation.grounds import real_grounds
from transforms.segment import segment


@dataclasses.dataclass(frozen=True)
class ColourConfig:
    """What to measure on what.

    Attributes:
      photos: Parquet file or folder, ``id, image`` and perhaps ``seller, category, split``; or None.
      split: value of the column ``split`` of the photos to keep, or None for all.
      masks: Parquet file or folder of hand-drawn masks of some photos; their cut-outs are composed, too. Or None.
      rendered: folder made by ``packshot samples``, or None.
      made_count: composites.
      reduced: strength of a further method, shades of grey where the job's own abstains; 0 for none.
      icc_profiles: folder of ICC profiles to measure beside those that are built, or None.
      model: registry name or path; it masks the photos, as in the job.
      fit: whether to fit the belief in backdrops on the photos, instead of measuring.
      limit: measure at most this many photos of a set, or None for all.
      seed: of lights, exposures and composites.
      sheet: path of a PNG, of which ``-<set>`` is added to the name, or None.
      json: path for all figures, or None.
    """

    photos: str | None = None
    split: str | None = None
    masks: str | None = None
    rendered: str | None = None
    made_count: int = 120
    reduced: float = 0.0
    icc_profiles: str | None = None
    model: str = "packshot-seg"
    fit: bool = False
    limit: int | None = None
    seed: int = 0
    sheet: str | None = None
    json: str | None = None

    def __post_init__(self):
        if not (self.photos or self.rendered or self.icc_profiles):
            raise ValueError("there is nothing to measure: give --photos, --rendered or --icc_profiles")
        if self.masks and not self.photos:
            raise ValueError("--masks needs --photos: the photos that the masks are of")
        if self.fit and not self.photos:
            raise ValueError("--fit needs --photos")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit is {self.limit!r}; it must be at least 1")
        if self.made_count < 0 or self.seed < 0:
            raise ValueError(f"made_count={self.made_count!r} and seed={self.seed!r} must not be negative")
        if not 0 <= self.reduced <= 1:
            raise ValueError(f"reduced is {self.reduced!r}; it must lie between 0 and 1")


def evaluate_colour(config: ColourConfig) -> str:
    """Measures the job's colour normalisation, and the classical methods beside it, on the same photos.

    With ``fit`` it gives the weights for ``transforms.backdrop`` instead.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError: data that is not as described, or an unknown model; one sentence.
      FileNotFoundError: data that is not there.
    """
    cut_out = _Masker(config.model)
    if config.fit:
        return fit_belief(_cases(config, cut_out), cut_out)
    methods = colour_methods(reduced=config.reduced)
    scores: dict[str, dict[str, list[ColourScore]]] = {}
    sheets: dict[str, ColourSheet] = {}
    spent: dict[str, float] = {}
    transfers = TransferMeter()
    for case in _cases(config, cut_out):
        if case.set not in scores:
            sys.stderr.write(f"packshot: measuring {case.set}\n")
        _measure(case, methods, cut_out(case.image), scores.setdefault(case.set, {}), spent, sheets)
        transfers.add(case)
    main = methods[0].name
    ordered = [*(name for name in SETS if name in scores), *(name for name in scores if name not in SETS)]
    parts = [colour_tables(name, scores[name], main) for name in ordered]
    if scores:
        parts.insert(0, bars_table(scores, main))
        count = sum(len(of_set[main]) for of_set in scores.values())
        told = ", ".join(f"{name} {seconds * 1000 / count:.1f}" for name, seconds in spent.items())
        parts.append(f"Milliseconds a photo on this machine, for orientation only: {told}.")
        parts.append(transfers.table())
    parts.append(profile_table(config.icc_profiles))
    if config.sheet:
        written = [str(path) for name, sheet in sheets.items() if sheet.write(path := _sheet_path(config.sheet, name))]
        parts.append(f"Contact sheets: {', '.join(written)}")
    if config.json:
        photos = {name: {m: [vars(s) for s in found] for m, found in of_set.items()} for name, of_set in scores.items()}
        Path(config.json).write_text(json.dumps({"inputs": dataclasses.asdict(config), "photos": photos}, indent=1))
    return "\n\n".join(part for part in parts if part)


class _Masker:
    """Says where the product is, as the job does up to the matte: what is measured needs no exact edge."""

    def __init__(self, model: str):
        self._spec = resolve_model(model)
        self._segmenter: Segmenter | None = None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if self._segmenter is None:
            self._segmenter = load_segmenter(self._spec)
        mask = segment(image, self._segmenter).mask
        return cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _cases(config: ColourConfig, cut_out: Callable[[np.ndarray], np.ndarray]) -> Iterator[ColourCase]:
    if config.photos:
        masks = read_drawn(config.masks) if config.masks else {}
        yield from photo_cases(config.photos, masks, cut_out, split=config.split, seed=config.seed, limit=config.limit)
        if config.masks and config.made_count:
            drawn = list(masked_photos(config.photos, config.masks))
            grounds = real_grounds(drawn)
            yield from made_cases(list(hand_cut_outs(drawn)), grounds, count=config.made_count, seed=config.seed)
    if config.rendered:
        yield from itertools.islice(rendered_colour_cases(config.rendered), config.limit)


def _measure(
    case: ColourCase, methods: list[ColourMethod], alpha: np.ndarray, scores: dict[str, list[ColourScore]],
    spent: dict[str, float], sheets: dict[str, ColourSheet],
) -> None:  # fmt: skip
    scorer = ColourScorer(case)
    for index, method in enumerate(methods):
        started = time.perf_counter()
        correction = method.correct(case.image, alpha)
        spent[method.name] = spent.get(method.name, 0.0) + time.perf_counter() - started
        found = scorer.score(correction)
        scores.setdefault(method.name, []).append(found)
        if index == 0:
            _offer(sheets, case, correction, found)


def _offer(sheets: dict[str, ColourSheet], case: ColourCase, correction: Correction, found: ColourScore) -> None:
    sheets.setdefault(case.set, ColourSheet()).offer(case, correction, found)


def _sheet_path(sheet: str, name: str) -> Path:
    path = Path(sheet)
    return path.with_name(f"{path.stem}-{name.replace(' ', '-')}{path.suffix or '.png'}")
