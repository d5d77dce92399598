"""What the transfer to a category's look does to ground and product, measured."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.evaluation.cases import ALL
from pipeline.evaluation.colour_cases import AS_IT_IS, NEUTRAL, ColourCase
from pipeline.evaluation.tables import markdown_table
from transforms.colour_transfer import TRANSFERS, Look, look_of_ground, match_look, to_lab
from transforms.normalise import mean_colour_shift

_MOST = 80  # photos that are measured, as they come


def structural_similarity(one: np.ndarray, other: np.ndarray, within: np.ndarray) -> float:
    """Mean structural similarity of two lightness planes within a mask.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
    Similarity" (IEEE Transactions on Image Processing 2004): Gaussian windows of deviation 1.5, K1 .01, K2 .03.

    Args:
      one, other: L* of CIELAB, float (h, w), 0..100.
      within: bool (h, w), at least one pixel.
    """

    def blur(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, (11, 11), 1.5)

    one, other = one.astype(np.float64), other.astype(np.float64)
    mean1, mean2 = blur(one), blur(other)
    var1, var2 = blur(one * one) - mean1**2, blur(other * other) - mean2**2
    both = blur(one * other) - mean1 * mean2
    c1, c2 = 1.0, 9.0
    index = (2 * mean1 * mean2 + c1) * (2 * both + c2) / ((mean1**2 + mean2**2 + c1) * (var1 + var2 + c2))
    return float(index[within].mean())


class TransferMeter:
    """Brings photos to the look of the first neutral one that was met, and measures what comes of it."""

    def __init__(self) -> None:
        self._reference: Look | None = None
        self._figures: dict[str, list[tuple[float, ...]]] = {method: [] for method in TRANSFERS}

    def add(self, case: ColourCase) -> None:
        """Measures a photo as the camera left it; others are passed over."""
        if ALL not in case.slices or AS_IT_IS not in case.slices or not case.product.any():
            return
        alpha = case.product.astype(np.uint8) * np.uint8(255)
        own = look_of_ground(case.image, alpha)
        if own is None:
            return
        if self._reference is None:
            self._reference = own if case.set == NEUTRAL else None
            return
        if len(self._figures[TRANSFERS[0]]) >= _MOST:
            return
        for method, figures in self._figures.items():
            matched = match_look(case.image, case.image, alpha, self._reference, method)
            after = None if matched is None else look_of_ground(matched[0], alpha)
            if matched is None or after is None:
                continue
            before, now = to_lab(case.image)[..., 0], to_lab(matched[1])[..., 0]
            figures.append(
                (
                    float(np.linalg.norm(own.mean - self._reference.mean)),
                    float(np.linalg.norm(after.mean - self._reference.mean)),
                    mean_colour_shift(case.image, matched[1], alpha),
                    structural_similarity(before, now, case.product),
                )
            )

    def table(self) -> str:
        """Returns the table, empty where nothing was measured."""
        rows = []
        for method, figures in self._figures.items():
            if figures:
                values = np.array(figures)
                before, after, shift, similarity = values.T
                rows.append(
                    [method, str(len(values)), f"{before.mean():.1f}", f"{after.mean():.1f}", f"{shift.mean():.2f}",
                     f"{shift.max():.2f}", f"{similarity.mean():.4f}", f"{similarity.min():.4f}"]
                )  # fmt: skip
        if not rows:
            return ""
        head = ["transfer", "photos", "ground to reference before", "after", "product dE00, mean (bar 1)", "largest",
                "SSIM of L, mean (bar .98)", "least"]  # fmt: skip
        return f"## Transfer to one look\n\n{markdown_table(head, rows)}"
