"""``packshot evaluate segmentation``: pictures, methods, figures, tables."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.evaluation.cases import COMPOSITES, EMPTY, HAND, HAND_COMPOSITES, RENDERED, SETS, Case, masked_photos
from pipeline.evaluation.composites import composite_cases
from pipeline.evaluation.cutouts import hand_cut_outs, read_cut_outs
from pipeline.evaluation.grounds import empty_cases, real_grounds
from pipeline.evaluation.methods import NOT_REFINED, Method, Prediction, choose_methods
from pipeline.evaluation.rendered import rendered_cases
from pipeline.evaluation.scores import TRUE_ALPHA, TRUE_ALPHA_BARE, Score, score, score_true_alpha
from pipeline.evaluation.sheets import ContactSheet
from pipeline.evaluation.tables import empty_tables, figures_of, mask_tables


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What to measure on what.

    Attributes:
      photos: Parquet file or folder, ``id, image`` and perhaps ``seller, category, source``; or None.
      masks: Parquet file or folder, ``id, mask`` and perhaps ``verdict, seller_seen, doubtful``; or None.
      composites: Parquet file or folder of clean product shots, ``id, source, image``; or None.
      composite_sources: the sources to take products from: whole ones that no training has seen.
      composite_without: ids of product shots to leave out.
      composite_masks: Parquet file or folder of hand-drawn masks of product shots, ``id, mask`` and perhaps
        ``verdict``; shots with neither such a mask nor an alpha of their own are then left out. None to cut those
        out by rule.
      composite_count: composites of each of the two sets.
      grounds: photos whose crops are the real grounds, by their masks in ``masks``; those of ``photos`` by default.
      rendered: folder made by ``packshot samples``, or None.
      painted: plain grounds and sweeps among the pictures without a product.
      sets: of ``SETS``; by default those for which there is everything.
      model: registry name or path.
      compare: further models.
      baselines: whether to measure the classical methods as well.
      limit: measure at most this many pictures of a set, or None for all.
      seed: of composites and painted grounds.
      sheet: path of a PNG, of which ``-<set>`` is added to the name, or None.
      json: path for all figures, or None.
    """

    photos: str | None = None
    masks: str | None = None
    composites: str | None = None
    composite_sources: tuple[str, ...] = ()
    composite_without: tuple[str, ...] = ()
    composite_masks: str | None = None
    composite_count: int = 160
    grounds: str | None = None
    rendered: str | None = None
    painted: int = 40
    sets: tuple[str, ...] = ()
    model: str = "packshot-seg"
    compare: tuple[str, ...] = ()
    baselines: bool = False
    limit: int | None = None
    seed: int = 0
    sheet: str | None = None
    json: str | None = None

    def __post_init__(self):
        if unknown := [name for name in self.sets if name not in SETS]:
            raise ValueError(f"there is no set {unknown[0]!r}; the sets are {', '.join(SETS)}")
        for name in ("composite_count", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value!r}; it must be at least 1")
        if self.painted < 0 or self.seed < 0:
            raise ValueError(f"painted={self.painted!r} and seed={self.seed!r} must not be negative")
        if self.composites and not self.composite_sources:
            raise ValueError("--composites needs --composite_sources: those that the model was not trained on")
        if self.composite_masks and not self.composites:
            raise ValueError("--composite_masks needs --composites: the product shots that the masks are of")
        for name in self.sets:
            if lacking := self._lacking(name):
                raise ValueError(f"the set {name!r} needs {' and '.join(lacking)}")
        if not self.chosen_sets:
            raise ValueError("there is nothing to measure: give --photos and --masks, or --rendered")

    def _lacking(self, name: str) -> list[str]:
        photos = [] if self.photos else ["--photos"]
        masks = [] if self.masks else ["--masks"]
        grounds = [] if self.grounds or self.photos else ["--grounds or --photos"]
        return {
            HAND: photos + masks,
            COMPOSITES: ([] if self.composites else ["--composites"]) + grounds + masks,
            HAND_COMPOSITES: photos + masks,
            RENDERED: [] if self.rendered else ["--rendered"],
            EMPTY: grounds + masks,
        }[name]

    @property
    def chosen_sets(self) -> tuple[str, ...]:
        """The sets asked for, or all that can be made; composites of hand masks come with the others."""
        if self.sets:
            return tuple(name for name in SETS if name in self.sets)
        chosen = tuple(name for name in SETS if not self._lacking(name))
        return chosen if COMPOSITES in chosen else tuple(name for name in chosen if name != HAND_COMPOSITES)


def evaluate_segmentation(config: EvaluationConfig) -> str:
    """Measures a model as the job runs it, and whatever it is to be compared with, on the same pictures.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError: data that is not as described, or an unknown model; one sentence.
      FileNotFoundError: data that is not there.
    """
    methods = choose_methods(config.model, config.compare, baselines=config.baselines)
    main = methods[0].name
    scores: dict[str, dict[str, list[Score]]] = {}
    sheets: dict[str, ContactSheet] = {}
    for case in _limited(_cases(config), config.limit):
        if case.set not in scores:
            _say(f"measuring {case.set}")
        _measure(case, methods, scores.setdefault(case.set, {}), sheets)
    parts = [mask_tables(name, scores[name], main) for name in config.chosen_sets if name in scores and name != EMPTY]
    if EMPTY in scores:
        compared = [method.name for method in methods if not method.name.endswith(NOT_REFINED)]
        parts.append(empty_tables(scores, compared, main))
    parts.append(_timings(scores, methods))
    if config.sheet:
        written = [str(path) for name, sheet in sheets.items() if sheet.write(path := _sheet_path(config.sheet, name))]
        parts.append(f"Contact sheets: {', '.join(written)}")
    if config.json:
        inputs = dataclasses.asdict(config)
        Path(config.json).write_text(json.dumps({"inputs": inputs, **figures_of(scores)}, indent=1))
    return "\n\n".join(parts)


def _cases(config: EvaluationConfig) -> Iterator[Case]:
    """Yields the pictures set by set; composites are made one by one, never held together."""
    sets = config.chosen_sets
    photos: list[Case] = []
    if config.photos and config.masks and {HAND, HAND_COMPOSITES, COMPOSITES, EMPTY} & set(sets):
        photos = list(masked_photos(config.photos, config.masks))
    beside = photos
    if config.grounds and config.masks and config.grounds != config.photos:
        beside = list(masked_photos(config.grounds, config.masks))
    grounds = real_grounds(beside)
    if HAND in sets:
        yield from photos
    if COMPOSITES in sets and config.composites:
        cut_outs = read_cut_outs(
            config.composites, config.composite_sources, config.composite_without, config.composite_masks
        )
        _say(f"{len(cut_outs)} cut-outs can be trusted, of {', '.join(config.composite_sources)}")
        yield from composite_cases(COMPOSITES, cut_outs, grounds, count=config.composite_count, seed=config.seed)
    if HAND_COMPOSITES in sets:
        drawn = list(hand_cut_outs(photos))
        yield from composite_cases(HAND_COMPOSITES, drawn, grounds, count=config.composite_count, seed=config.seed)
    if EMPTY in sets:
        yield from empty_cases(grounds, painted=config.painted, seed=config.seed)
    if config.rendered and {RENDERED, EMPTY} & set(sets):
        yield from (case for case in rendered_cases(config.rendered) if case.set in sets)


def _limited(cases: Iterable[Case], limit: int | None) -> Iterator[Case]:
    seen: dict[str, Iterator[int]] = {}
    for case in cases:
        if limit is None or next(seen.setdefault(case.set, itertools.count())) < limit:
            yield case


def _measure(
    case: Case, methods: list[Method], scores: dict[str, list[Score]], sheets: dict[str, ContactSheet]
) -> None:
    for index, method in enumerate(methods):
        started = time.perf_counter()
        prediction = method.predict(case.image)
        found = score(case, prediction, 1000 * (time.perf_counter() - started))
        scores.setdefault(method.name, []).append(found)
        if index == 0:
            _offer(sheets, case, prediction, found)
    for name, estimated in ((TRUE_ALPHA, True), (TRUE_ALPHA_BARE, False)):
        alone = score_true_alpha(case, estimated=estimated)
        if alone:
            scores.setdefault(name, []).append(alone)


def _offer(sheets: dict[str, ContactSheet], case: Case, prediction: Prediction, found: Score) -> None:
    """Worst masks of each set; of empties the ones least flagged; of products the ones wrongly flagged."""
    name = case.id.split("/")[-1]
    if case.set == EMPTY:
        presence = found.presence or 0.0
        mark = "flagged" if found.flagged else "MISSED"
        sheets.setdefault(EMPTY, ContactSheet(48)).offer(
            presence + (not found.flagged), f"{mark} {presence:.2f} {name}", case, prediction
        )
        return
    iou = found.figures["iou"]
    sheets.setdefault(case.set, ContactSheet()).offer(-iou, f"{iou:.3f} {name}", case, prediction)
    if case.set in (COMPOSITES, HAND_COMPOSITES):
        # as they come, good ones too: whether they look like photos, and whether their truth is right
        sheets.setdefault(f"{case.set}-first", ContactSheet()).offer(0.0, f"{iou:.3f} {name}", case, prediction)
    if found.flagged:
        label = f"{found.presence or 0:.2f} {name}"
        sheets.setdefault("wrongly-flagged", ContactSheet()).offer(1 - (found.presence or 0), label, case, prediction)


def _sheet_path(sheet: str, name: str) -> Path:
    path = Path(sheet)
    return path.with_name(f"{path.stem}-{name}{path.suffix or '.png'}")


def _timings(scores: dict[str, dict[str, list[Score]]], methods: list[Method]) -> str:
    spent = []
    for method in methods:
        times = [s.milliseconds for of_set in scores.values() for s in of_set.get(method.name, [])]
        spent.append(f"{method.name} {sum(times) / len(times):.0f}")
    return f"Milliseconds a picture on this machine, for orientation only: {', '.join(spent)}."


def _say(text: str) -> None:
    sys.stderr.write(f"packshot: {text}\n")
