"""Labels that a person judged: they stand above what any teacher or network says."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from models.datasets import labelling, parquet
from models.segmentation.examples import Examples, square

_VERDICTS = ("good", "reject")


@dataclasses.dataclass(frozen=True)
class Reviewed:
    """A judgement on one photo.

    Attributes:
      label: uint8 (size, size), 0 ground to 255 product; None for a photo to be ignored.
      weight: uint8 (size, size), 0 to be ignored to 255 trusted.
    """

    label: np.ndarray | None
    weight: np.ndarray | None


def read_reviewed(path: str) -> dict[str, Reviewed]:
    """Reads a Parquet file of reviewed masks.

    Args:
      path: file, folder or glob with the columns ``id``, ``verdict`` (``good``: the mask is right; ``reject``: the
        photo is not to be learnt from), ``mask`` (encoded, 0 ground to 255 product, any size) and, if there is one,
        ``weight`` (encoded likewise, 0 to be ignored to 255 trusted; null for trusted everywhere).

    Returns:
      The judgements by id, at the working size.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a column is missing, a verdict is unknown, or a good mask cannot be decoded.
    """
    files = parquet.find_parquet(path)
    needed = dict.fromkeys(("id", "mask", "verdict"), "reviewed")
    columns = [name for name in (*needed, "weight") if name in parquet.column_names(files, needed=needed)]
    found = {}
    for group in parquet.row_groups(files):
        for row in parquet.read_rows(group, columns):
            if row["verdict"] not in _VERDICTS:
                raise ValueError(
                    f"the verdict on {row['id']!r} in {group.uri!r} is {row['verdict']!r}; "
                    f"it must be 'good' or 'reject'"
                )
            found[str(row["id"])] = _judgement(row, group.uri)
    return found


def _judgement(row: dict, uri: str) -> Reviewed:
    if row["verdict"] == "reject":
        return Reviewed(None, None)
    try:
        label = square(labelling.decode(row["mask"] or b"", cv2.IMREAD_GRAYSCALE, "mask"))
        if row.get("weight") is None:
            return Reviewed(label, np.full_like(label, 255))
        return Reviewed(label, square(labelling.decode(row["weight"], cv2.IMREAD_GRAYSCALE, "weight")))
    except labelling.Unusable as error:
        raise ValueError(f"photo {row['id']!r} in {uri!r}: {error}") from error


def with_reviewed(examples: Examples, reviewed: dict[str, Reviewed]) -> Examples:
    """Puts reviewed labels in the place of others.

    Args:
      examples: any examples.
      reviewed: judgements by id; those of photos that are not among the examples are passed over.

    Returns:
      The examples, where judged with the reviewed label, or with no weight, and marked as reviewed.
    """
    labels, weights, marks = examples.labels.copy(), examples.weights.copy(), examples.reviewed.copy()
    for i, id in enumerate(examples.ids.tolist()):
        if id not in reviewed:
            continue
        judged, marks[i] = reviewed[id], True
        if judged.label is None or judged.weight is None:
            weights[i] = 0
        else:
            labels[i], weights[i] = judged.label, judged.weight
    return Examples(examples.ids, examples.groups, examples.images, labels, weights, marks)
