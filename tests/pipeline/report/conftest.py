"""Finished runs on disk, of drawn photos, with the tables' real schemas."""

import collections
import functools
import hashlib
import io
import json
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.records import REJECTIONS_SCHEMA, catalogue_schema

ATTRIBUTES = pa.schema([("category", pa.string())])


def encoded(image, form="JPEG", **options):
    """Returns an array as a file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()


def reading(read):
    """Returns a reader of many rows' photos, given one of a single row's."""
    return lambda rows: ((index, read(row)) for index, row in enumerate(rows))


def catalogue_rows(count, *, seed=0, review_every=4):
    """Returns catalogue rows without assets; every fourth is to review."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        reasons = [["low_presence"], ["cut_by_frame", "low_resolution"]][number // review_every % 2]
        reasons = reasons if number % review_every == 0 else []
        rows.append(
            {
                "id": f"photo-{number:06d}",
                "source_uri": f"/feed/photo-{number:06d}.jpg",
                "source_sha256": hashlib.sha256(f"photo {number}".encode()).hexdigest(),
                "status": "review" if reasons else "ready",
                "review_reasons": reasons,
                "refresh": "new",
                "width": 60,
                "height": 80,
                "coverage": float(draw.uniform(0.05, 0.9)),
                "bbox": {"x": 10, "y": 10, "width": 40, "height": 60},
                "touches_edge": False,
                "presence": float(draw.beta(20, 1)),
                "background_gain": [1.0, 1.0, 1.0],
                "colour_shift": float(draw.exponential(1.5)),
                "assets": [],
                "model": "packshot-seg",
                "model_sha256": "ab" * 32,
                "config_fingerprint": "cd" * 8,
                "packshot_version": "1.0",
                "category": ("shirt", "shoe", "hat")[number % 3],
            }
        )
    return rows


def rejection_rows(count, *, reason="truncated"):
    """Returns rows of the rejections table."""
    return [
        {
            "id": f"broken-{number:06d}",
            "source_uri": f"/feed/broken-{number:06d}.jpg",
            "source_sha256": None,
            "stage": "decode",
            "reason": reason,
            "detail": f"the file ends after {number} bytes",
            "config_fingerprint": "cd" * 8,
        }
        for number in range(count)
    ]


def write_run(output, run, rows, rejections=(), *, parts=2, row_group_size=10_000, schema=None):
    """Writes a run's tables and run.json; returns the content of the latter."""
    for table, members, kind in (
        ("catalogue", rows, schema or catalogue_schema(ATTRIBUTES)),
        ("rejections", list(rejections), REJECTIONS_SCHEMA),
    ):
        folder = output / table / run
        folder.mkdir(parents=True)
        for part in range(parts):
            content = pa.Table.from_pylist(members[part::parts], schema=kind)
            name = f"part-{part:05d}-of-{parts:05d}.parquet"
            pq.write_table(content, folder / name, row_group_size=row_group_size)
    status = collections.Counter(row["status"] for row in rows)
    run_json = {
        "read": len(rows) + len(rejections),
        "ready": status["ready"],
        "review": status["review"],
        "rejected": len(rejections),
        "unchanged": 0,
        "duplicate": 0,
        "removed": 0,
        "assets_written": 2 * len(rows),
        "seconds": 12.5,
        "images_per_second": 4.0,
        "stages": {"decode": 10.0, "segment": 30.0},
        "config": {"input": "/feed", "profile": "white-square", "outputs": ["packshot", "mask"]},
        "model": {"name": "packshot-seg", "sha256": "ab" * 32},
        "versions": {"packshot": "1.0", "pyarrow": pa.__version__},
        "started": "2026-02-03T02:00:11+00:00",
        "ended": "2026-02-03T02:14:40+00:00",
    }
    folder = output / "runs" / run
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(run_json))
    return run_json


def add_assets(output, row, *, side=(80, 60), noise=False, cutout=True):
    """Stores a packshot, a mask and a cut-out for a row; returns the photo's bytes."""
    draw = np.random.default_rng(int(row["source_sha256"][:8], 16))
    height, width = side
    y, x = np.mgrid[0:height, 0:width]
    alpha = (((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) < 0.12).astype(np.uint8) * 255
    photo = np.empty((height, width, 3), np.uint8)
    photo[:] = draw.integers(0, 256, photo.shape if noise else 3)
    photo[alpha > 0] = draw.integers(0, 256, (np.count_nonzero(alpha), 3) if noise else 3)
    packshot = photo if noise else np.where(alpha[..., None] > 0, photo, 255).astype(np.uint8)
    mask = draw.integers(0, 256, alpha.shape, np.uint8) if noise else alpha
    files = [
        ("packshot", "jpg", encoded(packshot, quality=92), "image/jpeg"),
        ("mask", "png", encoded(mask, "PNG"), "image/png"),
    ]
    if cutout:
        files.append(("cutout", "png", encoded(np.dstack([photo, mask]), "PNG"), "image/png"))
    for kind, extension, content, media_type in files:
        digest = hashlib.sha256(content).hexdigest()
        uri = f"assets/{kind}/{digest[:2]}/{row['source_sha256'][:12]}-{digest[:20]}.{extension}"
        path = output / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        row["assets"].append(
            {
                "kind": kind, "uri": uri, "width": width, "height": height, "bytes": len(content),
                "sha256": digest, "media_type": media_type,
            }
        )  # fmt: skip
    return encoded(photo, quality=92)


@pytest.fixture
def runs(tmp_path):
    """Makes runs below a folder: ``output``; its functions are those of this module."""
    return types.SimpleNamespace(
        output=str(tmp_path),
        rows=catalogue_rows,
        rejections=rejection_rows,
        write=functools.partial(write_run, tmp_path),
        add_assets=functools.partial(add_assets, tmp_path),
        encoded=encoded,
        reading=reading,
    )


@pytest.fixture
def small_run(runs):
    """A run named ``first`` of ten photos with all their files and three rejections, and a reader of its photos."""
    rows = runs.rows(10)
    photos = {row["id"]: runs.add_assets(row) for row in rows}
    run_json = runs.write("first", rows, runs.rejections(3))
    return types.SimpleNamespace(
        output=runs.output,
        rows=rows,
        run_json=run_json,
        read_sources=reading(lambda row: photos[row["id"]]),
    )
