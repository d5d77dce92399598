"""Draws the README's picture: photo, mask and packshot of some photos of a run on a folder.

python docs/before_after.py build/demo/output docs/images/before-after.jpg ID [ID ...]
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

SIDE, GAP = 260, 10


def tile(picture: Image.Image) -> np.ndarray:
    """Fits a picture into a square tile on light grey."""
    small = ImageOps.contain(picture.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (SIDE, SIDE), (236, 236, 236))
    canvas.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.asarray(canvas)


def main(output: Path, picture: Path, ids: list[str]) -> None:
    """Draws two photos a line, each with its mask and packshot."""
    run = (output / "LATEST").read_text().strip()
    rows = {row["id"]: row for row in pq.read_table(output / "catalogue" / run).to_pylist()}
    groups = []
    for photo_id in ids:
        row = rows[photo_id]
        assets = {asset["kind"]: output / asset["uri"] for asset in row["assets"]}
        views = [
            ImageOps.exif_transpose(Image.open(row["source_uri"])),
            *map(Image.open, (assets["mask"], assets["packshot"])),
        ]
        groups.append(
            np.hstack([np.pad(tile(view), ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255) for view in views])
        )
    lines = [np.hstack(groups[i : i + 2]) for i in range(0, len(groups) - len(groups) % 2, 2)]
    Image.fromarray(np.vstack(lines)).save(picture, quality=85, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
