"""Rendered photos under the light that ``packshot samples`` gave them.

The renderer keeps the light's colour and the product's mean colour without the cast, not a picture of it. So a truth is
made by undoing the light: exact but for what noise, sharpening and the shoulder of the highlights left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.evaluation.cases import ALL, RENDERED, read_rows
from pipeline.evaluation.colour_cases import UNDER_A_CAST, ColourCase, relight
from pipeline.evaluation.rendered import rendered_cases
from transforms.colour import LUMINANCE


def rendered_colour_cases(folder: str) -> Iterator[ColourCase]:
    """Reads a rendered catalogue; photos without a product, with an alpha of their own or in grey are passed over.

    Args:
      folder: made by ``packshot samples``.

    Raises:
      FileNotFoundError, ValueError: as ``rendered_cases``.
    """
    wanted = ["id", "illuminant", "backdrop", "format"]
    truth = {row["id"]: row for row in read_rows(Path(folder) / "truth.parquet", wanted)}
    for case in rendered_cases(folder):
        row = truth[case.id]
        if case.set != RENDERED or row["format"] == "grey_jpeg":
            continue
        light = np.array(row["illuminant"], float)
        light /= light @ LUMINANCE
        slices = (ALL, UNDER_A_CAST, f"backdrop {row['backdrop']}")
        corrected = relight(case.image, 1 / light)
        yield ColourCase(case.id, RENDERED, case.id, slices, case.image, corrected, 1.0, light, case.truth)
