"""The figures of generated pictures as Markdown tables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from models.metrics.generation import GenerationScores
from models.metrics.manifold import ManifoldScores
from models.metrics.memorisation import PERCENTILE
from models.metrics.spectrum import BANDS
from pipeline.evaluation.tables import markdown_table

if TYPE_CHECKING:
    from pipeline.evaluation.generation import GenerationReport


@dataclasses.dataclass(frozen=True)
class CategoryScores:
    """Figures of one category.

    Attributes:
      real, generated: pictures of the reference and generated ones.
      agreement: share of generated pictures that the classifier takes for this category.
      real_agreement: share of the test pictures that it tells right.
      manifold: generated against the reference's pictures of the category; None where there are too few.
      floor: half of the reference's pictures of the category against the other half; None likewise.
    """

    real: int
    generated: int
    agreement: float
    real_agreement: float
    manifold: ManifoldScores | None
    floor: ManifoldScores | None


def within_categories(scores: dict[str, CategoryScores], kind: str, figure: str) -> float:
    """Returns the mean of a figure of ``manifold`` or ``floor`` over the categories, which count by their size."""
    found = [(one.real, getattr(getattr(one, kind), figure)) for one in scores.values() if getattr(one, kind)]
    return sum(count * value for count, value in found) / sum(count for count, _ in found) if found else float("nan")


def describe(report: GenerationReport) -> str:
    """Returns all tables."""
    head = f"# {report.name}" + (f" ({report.sha256[:12]})" if report.sha256 else "")
    parts = [head, scores_table(report.scores, "Generated pictures against real ones")]
    if report.inception:
        parts.append(scores_table(report.inception, "With Inception's features: FID, KID and IS"))
    if report.spoilt:
        parts.append(scores_table(report.spoilt, "Half of train, spoilt, against the other half"))
    parts += [spectra_table(report.spectra), memorisation_table(report), category_table(report)]
    return "\n\n".join(parts)


def scores_table(scores: dict[str, GenerationScores], title: str) -> str:
    """Tabulates distances, score, precision, recall, density and coverage."""
    rows = []
    for name, one in scores.items():
        manifold, kernel = one.manifold, one.kernel
        rows.append([
            name, f"{one.count:,} / {one.reference_count:,}", f"{one.frechet:.3f}",
            f"{1000 * kernel.value:.2f} ± {1000 * kernel.deviation:.2f}",
            f"{one.inception_type[0]:.2f} ± {one.inception_type[1]:.2f}",
            *(f"{value:.3f}" for value in (manifold.precision, manifold.recall, manifold.density, manifold.coverage)),
        ])  # fmt: skip
    any_of = next(iter(scores.values()))
    head = ["set", "N / real N", "Fréchet distance", "kernel distance × 1000", "Inception-type score",
            "precision", "recall", "density", "coverage"]  # fmt: skip
    note = (
        f"Features of {any_of.label}; k = {any_of.manifold.k}; kernel distance over 100 subsets of at most 1,000. "
        "A Fréchet distance grows as N shrinks: compare rows of equal N."
    )
    return f"## {title}\n\n{note}\n\n{markdown_table(head, rows)}"


def spectra_table(spectra: dict[str, tuple[float, ...]]) -> str:
    """Tabulates how far detail is from that of real pictures."""
    rows = [[name, *(f"{value:.3f}" for value in values)] for name, values in spectra.items()]
    head = ["set", *(f"{low:g} to {high:g}" for low, high in BANDS)]
    note = (
        "Mean |log10 of the ratio of power| by frequency, in cycles a pixel: what features do not see. 0.3 is detail "
        "of half or twice the power."
    )
    return f"## Detail, from coarse to fine\n\n{note}\n\n{markdown_table(head, rows)}"


def memorisation_table(report: GenerationReport) -> str:
    """Tabulates what says whether pictures are new, of the class that was asked for, useful and fast."""
    rows = [
        [f"nearer to training than {PERCENTILE:g} % of test, by {name}", f"{one.share:.2%}",
         f"median distance {one.median_ratio:.2f} × that of test"]
        for name, one in report.memorised.items()
    ]  # fmt: skip
    rows.append(
        ["perceptual hash of a training picture", f"{report.same_hash[0]:.2%}", f"test {report.same_hash[1]:.2%}"]
    )
    if not np.isnan(report.agreement):
        rows.append(
            [
                "taken for the category asked for",
                f"{report.agreement:.1%}",
                f"test told right {report.real_agreement:.1%}",
            ]
        )
    for figure in ("density", "coverage"):
        ours, halves = (within_categories(report.categories, kind, figure) for kind in ("manifold", "floor"))
        if not np.isnan(ours):
            rows.append(
                [f"{figure} within the category asked for", f"{ours:.3f}", f"real half against half {halves:.3f}"]
            )
    if score := report.classification:
        rows.append([
            "classification accuracy score", f"{score.ratio:.1%}",
            f"trained on {score.generated_count:,} generated {score.generated:.1%}, on {score.real_count:,} real "
            f"{score.real:.1%} of test, {score.steps:,} steps each",
        ])  # fmt: skip
    if report.speed is not None:
        rows.append(["pictures a second, batches of 64", f"{report.speed:.0f}", ""])
    return "## New, right and useful\n\n" + markdown_table(["what", "generated", "beside it"], rows)


def category_table(report: GenerationReport) -> str:
    """Tabulates the categories."""
    rows = []
    for name, one in report.categories.items():
        manifold = ["-"] * 3
        if one.manifold:
            manifold = [
                f"{value:.2f}" for value in (one.manifold.precision, one.manifold.density, one.manifold.coverage)
            ]
        shares = ["-" if np.isnan(share) else f"{share:.0%}" for share in (one.agreement, one.real_agreement)]
        rows.append([name, f"{one.real:,}", f"{one.generated:,}", *shares, *manifold])
    head = ["category", "real", "generated", "generated taken for it", "test told right", "precision", "density",
            "coverage"]  # fmt: skip
    return "## By category, against the reference's pictures of it\n\n" + markdown_table(head, rows)
