"""``packshot evaluate vae``: what an autoencoder reconstructs, knows of categories, and notices of spoilt photos."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.articles import DEVELOPMENT, TEST, TRAIN, Articles, ArticleSource, Fit
from models.metrics.bootstrap import bootstrap_interval
from models.metrics.ranking import auroc, auroc_draws
from models.vae.anomaly import GENERAL, MEASURES, Judge, load_judge
from models.vae.calibration import CLEAN, Measured, Spoilt, fit_scorer, measure_all, spoil
from models.vae.network import NetworkConfig
from models.vae.probe import choose_probe
from models.vae.reference import supervised_predictions
from models.vae.residuals import residual_measures
from models.vae.sheets import interpolation_sheet, reconstruction_sheet, sample_sheet, write_grid
from pipeline.evaluation.tables import markdown_table

_SHOWN = 18  # pictures of a row of a sheet
_IN_PROPORTION = "wrong category, drawn by how common they are"


@dataclasses.dataclass(frozen=True)
class VaeEvaluation:
    """What to measure on what.

    Attributes:
      catalogue: the photos the autoencoder was trained on; its splits follow from them.
      output: folder for datasets, the reference network and sheets.
      cutouts: output folder of ``packshot run --outputs cutout`` over the catalogue, for ``fit`` product.
      fit: ``product`` or ``frame``, as in the training.
      model: ``packshot-vae``, or a ``.tflite`` file of ``packshot train vae``.
      reference_steps: optimiser steps of the supervised network; 0 leaves it out.
      seed: of faults and of the reference network.
      json: path for all figures, or None.
    """

    catalogue: str
    output: str
    cutouts: str = ""
    fit: Fit = "product"
    model: str = "packshot-vae"
    reference_steps: int = 1000
    seed: int = 0
    json: str | None = None

    def __post_init__(self):
        if self.fit not in ("product", "frame"):
            raise ValueError(f"fit is {self.fit!r}; it must be product or frame")
        for name in ("reference_steps", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must not be negative")


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure with its interval of 95 %, sellers drawn anew."""

    value: float
    low: float
    high: float

    def text(self, digits: int) -> str:
        """Returns the figure as ``0.91 (0.88-0.93)``."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


def evaluate_vae(config: VaeEvaluation) -> str:
    """Measures an autoencoder on sellers that it was not trained on.

    Args:
      config: what to measure on what.

    Returns:
      Tables in Markdown.

    Raises:
      ValueError, FileNotFoundError: data or a model that is not as described; one sentence.
    """
    from models.datasets.articles import load_articles

    judge = load_judge(config.model)
    source = ArticleSource(config.catalogue, cutouts=config.cutouts, fit=config.fit, size=judge.codec.size)
    splits = load_articles(source, config.output)
    for split in (DEVELOPMENT, TEST):
        if not len(splits[split]):
            raise ValueError(f"the catalogue has no {split} articles; it needs more sellers")
    folder = Path(config.output) / "sheets"
    spoilt = spoil(source, splits[TEST], config.seed)
    spoilt[_IN_PROPORTION] = _mislabelled(splits, config.seed)
    figures: dict[str, dict[str, Figure]] = {
        "reconstruction": reconstruction_figures(judge, splits),
        "probe": probe_figures(config, judge, splits),
    }
    measured = measure_all(judge, splits[TEST], spoilt)
    figures |= anomaly_figures(judge, splits[TEST], spoilt, measured)
    development = spoil(source, splits[DEVELOPMENT], config.seed)
    figures["left out"] = left_out_figures(
        measure_all(judge, splits[DEVELOPMENT], development), measured, spoilt, splits[TEST]
    )
    figures["speed"] = {"milliseconds a picture": _speed(judge, splits[TEST])}
    _write_sheets(folder, judge, splits[TEST], spoilt, measured)
    if config.json:
        found = {part: {name: vars(figure) for name, figure in of.items()} for part, of in figures.items()}
        Path(config.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return tables(figures)


def _mislabelled(splits: Mapping[str, Articles], seed: int) -> Spoilt:
    """Lists articles in other categories, common ones more often: harder, for those are alike."""
    rng, test = np.random.default_rng(seed), splits[TEST]
    common = splits[TRAIN].categories
    drawn = [rng.choice(common[common != category]) for category in test.categories]
    return Spoilt(test.images, np.array(drawn, int), np.arange(len(test)))


def _mean(values: np.ndarray, groups: np.ndarray) -> Figure:
    return Figure(float(np.mean(values)), *bootstrap_interval(values, groups=list(groups)))


def reconstruction_figures(judge: Judge, splits: Mapping[str, Articles]) -> dict[str, Figure]:
    """Returns PSNR in decibels and structural similarity of reconstructions, by split."""
    figures = {}
    for split in (DEVELOPMENT, TEST):
        images = splits[split].images
        made = judge.codec.reconstruct(images)[1]
        squares = ((images.astype(np.float32) - made) ** 2).mean(axis=(1, 2, 3))
        psnr = 10 * np.log10(255**2 / np.maximum(squares, 1e-3))
        figures[f"PSNR, {split}"] = _mean(psnr, splits[split].groups)
        figures[f"SSIM, {split}"] = _mean(1 - residual_measures(images, made)[:, 2], splits[split].groups)
    return figures


def probe_figures(config: VaeEvaluation, judge: Judge, splits: Mapping[str, Articles]) -> dict[str, Figure]:
    """Returns the accuracies on test articles of a linear probe and of the supervised network, and their ratio."""
    train, development, test = (splits[name] for name in (TRAIN, DEVELOPMENT, TEST))
    latents = {name: judge.codec.reconstruct(splits[name].images)[0] for name in (TRAIN, DEVELOPMENT, TEST)}
    count = len(train.category_names)
    probe, _ = choose_probe(latents[TRAIN], train.categories, count, (latents[DEVELOPMENT], development.categories))
    right = probe.log_probabilities(latents[TEST]).argmax(axis=1) == test.categories
    commonest = np.bincount(train.categories, minlength=count).argmax() == test.categories
    figures = {
        "commonest category": _mean(commonest, test.groups),
        "linear probe on the latents": _mean(right, test.groups),
    }
    if config.reference_steps:
        shape = NetworkConfig(size=judge.codec.size, latent=judge.codec.latent)
        (found,) = supervised_predictions(
            shape, train, [test], steps=config.reference_steps, seed=config.seed, folder=Path(config.output)
        )
        supervised = found == test.categories
        figures["supervised, of the same size"] = _mean(supervised, test.groups)
        figures["probe / supervised"] = _ratio(right, supervised, test.groups)
    return figures


def _ratio(first: np.ndarray, second: np.ndarray, groups: np.ndarray, draws: int = 2000) -> Figure:
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), draws)[:, member]
    ratios = (drawn @ first) / np.maximum(drawn @ second, 1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Figure(float(first.mean() / max(second.mean(), 1e-9)), float(low), float(high))


def anomaly_figures(
    judge: Judge, test: Articles, spoilt: Mapping[str, Spoilt], measured: Mapping[str, Measured]
) -> dict[str, dict[str, Figure]]:
    """Returns areas under the ROC curve by fault, and shares flagged.

    Args:
      judge: the autoencoder with its memory.
      test: articles.
      spoilt: of ``spoil``.
      measured: of ``measure_all``.

    Returns:
      ``with the category``, ``by looks alone``, ``reconstruction error alone``, ``neighbours alone``: areas by fault
      and their mean, in which each kind of fault counts once. ``flagged`` and ``clean``: shares sent to review.
    """
    general, full = judge.memory.general, judge.memory.full
    if general is None or full is None:
        raise ValueError("the autoencoder's memory has no thresholds; train it anew with development articles")
    near = MEASURES.index("near")
    scores = {
        "with the category": lambda measures, latents: full.score(measures, latents),
        "by looks alone": lambda measures, latents: general.score(measures[:, : len(GENERAL)], latents),
        "reconstruction error alone": lambda measures, _: measures[:, 0],
        "neighbours alone": lambda measures, _: measures[:, near],
    }
    figures = {
        name: _areas({fault: score(*found) for fault, found in measured.items()}, test, spoilt)
        for name, score in scores.items()
    }
    figures["flagged"] = {
        name: _mean(_flagged(judge, *found), test.groups[spoilt[name].articles] if name in spoilt else test.groups)
        for name, found in measured.items()
    }
    return figures


def _flagged(judge: Judge, measures: np.ndarray, latents: np.ndarray) -> np.ndarray:
    general, full = judge.memory.general, judge.memory.full
    assert general is not None and full is not None
    looks = general.score(measures[:, : len(GENERAL)], latents) > general.threshold
    return looks | (full.score(measures, latents) > full.threshold)


def _areas(scores: Mapping[str, np.ndarray], test: Articles, spoilt: Mapping[str, Spoilt]) -> dict[str, Figure]:
    figures, draws = {}, []
    for name, found in scores.items():
        if name == CLEAN:
            continue
        drawn = auroc_draws(scores[CLEAN], found, (test.groups, test.groups[spoilt[name].articles]))
        figures[name] = Figure(auroc(scores[CLEAN], found), *_bounds(drawn))
        if name != _IN_PROPORTION:
            draws.append(drawn)
    mean = float(np.mean([figures[name].value for name in figures if name != _IN_PROPORTION]))
    figures["mean"] = Figure(mean, *_bounds(np.mean(draws, axis=0)))
    return figures


def _bounds(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def left_out_figures(
    development: Mapping[str, Measured], measured: Mapping[str, Measured], spoilt: Mapping[str, Spoilt], test: Articles
) -> dict[str, Figure]:  # fmt: skip
    """Returns areas for each fault by detectors of the others alone: what to expect of faults nobody thought of.

    Args:
      development: of ``measure_all`` on development articles, which these detectors learn from.
      measured, spoilt, test: as for ``anomaly_figures``.
    """
    figures = {}
    for name in development:
        if name != CLEAN:
            scorer = fit_scorer([{k: found for k, found in development.items() if k != name}], development)
            scores = {part: scorer.score(*measured[part]) for part in (CLEAN, name)}
            figures[name] = _areas(scores, test, spoilt)[name]
    return figures


def _speed(judge: Judge, articles: Articles, count: int = 200) -> Figure:
    names = [articles.category_names[category] for category in articles.categories[:count]]
    spent = []
    for index in range(len(names)):
        started = time.process_time()
        judge.judge(articles.images[index : index + 1], names[index : index + 1])
        spent.append(1000 * (time.process_time() - started))
    return Figure(float(np.median(spent)), *np.quantile(spent, [0.025, 0.975]))


def _write_sheets(
    folder: Path, judge: Judge, test: Articles, spoilt: Mapping[str, Spoilt], measured: Mapping[str, Measured]
) -> None:
    chosen = np.linspace(0, len(test) - 1, 64).astype(int)
    reconstruction_sheet(folder / "reconstruction.png", judge.codec, test.images[chosen])
    sample_sheet(folder / "samples.png", judge.codec)
    interpolation_sheet(folder / "interpolation.png", judge.codec, test.images[chosen[:16]])
    full = judge.memory.full
    assert full is not None
    rows = []
    for name, found in measured.items():
        images = test.images if name == CLEAN else spoilt[name].images
        order = np.argsort(-full.score(*found))
        # the most suspicious clean ones, and the least suspicious of each fault: where the score is wrong
        shown = order[:_SHOWN] if name == CLEAN else order[-_SHOWN:]
        rows += [images[shown], judge.codec.reconstruct(images[shown])[1]]
    write_grid(folder / "wrong.png", [row for row in rows if len(row) == _SHOWN])


def tables(figures: Mapping[str, Mapping[str, Figure]]) -> str:
    """Lays the figures out."""
    plain = ("reconstruction", "probe", "speed")
    parts = []
    for part in plain:
        rows = [
            [name, figure.text(3 if "SSIM" in name or part == "probe" else 2)] for name, figure in figures[part].items()
        ]
        parts.append(f"## {part.capitalize()}\n\n" + markdown_table([part, "value (95 %)"], rows))
    columns = [c for c in figures if c not in (*plain, "flagged")]
    faults = [*(name for name in figures["with the category"] if name != "mean"), "mean"]
    rows = [[fault, *(figures[c][fault].text(3) if fault in figures[c] else "-" for c in columns)] for fault in faults]
    head = ["fault", *("its own detector left out" if c == "left out" else c for c in columns)]
    parts.append("## Anomalies: area under the ROC curve\n\n" + markdown_table(head, rows))
    rows = [
        [name, f"{100 * f.value:.1f} % ({100 * f.low:.1f}-{100 * f.high:.1f})"]
        for name, f in figures["flagged"].items()
    ]
    parts.append("## Sent to review\n\n" + markdown_table(["photos", "flagged (95 %)"], rows))
    return "\n\n".join(parts)
