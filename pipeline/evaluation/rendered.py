"""Rendered photos with exact alpha, as ``packshot samples`` writes them.

The renderer lights and composes in linear light and keeps no picture of the product alone, so their true edge colours
are not known: these photos measure mattes and presence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipeline.evaluation.cases import ALL, EMPTY, RENDERED, Case, appearance, read_picture, read_rows

_LONGEST = 1000  # larger ones are shrunk: what is measured is not the decoder


def rendered_cases(folder: str) -> Iterator[Case]:
    """Reads a rendered catalogue; photos without a product come as cases of the set ``EMPTY``.

    Args:
      folder: made by ``packshot samples FOLDER --container parquet`` or ``--container folder``, with a seed that no
        training has seen.

    Raises:
      FileNotFoundError: there is no rendered catalogue.
      ValueError: a table lacks a column.
    """
    root = Path(folder)
    truth = {
        row["id"]: row
        for row in read_rows(
            _there(root / "truth.parquet"),
            ["id", "category", "staging", "backdrop", "tone", "has_product", "broken", "alpha", "format"],
        )
    }
    for id, content in _files(root, list(truth)):
        row = truth[id]
        if row["broken"] or row["format"] == "alpha_png" or not row["alpha"]:
            continue  # a file with its own alpha needs no network
        image = read_picture(content, f"rendered photo {id!r}").image
        alpha = read_picture(_there(root / row["alpha"]).read_bytes(), f"alpha of {id!r}").image[..., 0]
        if alpha.shape != image.shape[:2]:
            raise ValueError(f"the alpha of {id!r} has shape {alpha.shape!r}, its photo {image.shape[:2]!r}")
        image, alpha = _shrunk(image), _shrunk(np.ascontiguousarray(alpha))
        if not row["has_product"]:
            yield Case(id, EMPTY, id, image, np.zeros_like(alpha), (ALL, "rendered grounds"))
            continue
        slices = [ALL, *appearance(image, alpha > 127), f"category {row['category']}", f"staging {row['staging']}"]
        if row["tone"]:
            slices.append({"light": "light on light", "dark": "dark on dark"}[row["tone"]])
        yield Case(id, RENDERED, id, image, alpha, tuple(slices), soft=True)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {str(path)!r}; make one with packshot samples FOLDER --seed 2000")
    return path


def _files(root: Path, ids: list[str]) -> Iterator[tuple[str, bytes]]:
    if (root / "catalogue.parquet").is_file():
        for row in read_rows(root / "catalogue.parquet", ["id", "image"]):
            yield row["id"], row["image"]
        return
    for id in ids:
        yield id, _there(root / "images" / id).read_bytes()


def _shrunk(picture: np.ndarray) -> np.ndarray:
    scale = _LONGEST / max(picture.shape[:2])
    return picture if scale >= 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
