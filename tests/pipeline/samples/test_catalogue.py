import collections
import hashlib
import io

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from pipeline.samples import BROKEN_REASONS, TRUTH_SCHEMA, render_samples
from transforms.reasons import RejectReason


def _digests(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return render_samples(tmp_path_factory.mktemp("samples"), count=11, seed=3, broken=7, processes=2)


@pytest.fixture(scope="module")
def truth(catalogue):
    return pq.read_table(catalogue.truth)


def test_same_seed_gives_same_bytes_whatever_the_number_of_processes(catalogue, tmp_path):
    again = render_samples(tmp_path, count=11, seed=3, broken=7, processes=1)
    assert _digests(again.directory) == _digests(catalogue.directory)


def test_other_seeds_give_other_photos(tmp_path):
    first, second = (render_samples(tmp_path / str(seed), count=2, seed=seed) for seed in (0, 1))
    contents = [{(s.input / sample_id).read_bytes() for sample_id in s.ids} for s in (first, second)]
    assert not contents[0] & contents[1]


def test_truth_has_a_row_for_each_file(catalogue, truth):
    assert truth.schema.equals(TRUTH_SCHEMA)
    assert truth["id"].to_pylist() == list(catalogue.ids)
    files = {path.relative_to(catalogue.input).as_posix() for path in catalogue.input.rglob("*") if path.is_file()}
    assert files == set(catalogue.ids)
    assert all(
        sample_id.split("/")[0] == category
        for sample_id, category in zip(catalogue.ids, truth["category"].to_pylist(), strict=True)
    )


def test_alpha_has_the_size_of_the_upright_photo(catalogue, truth):
    for row in truth.to_pylist():
        if row["broken"]:
            with pytest.raises(FileNotFoundError, match="broken"):
                catalogue.alpha(row["id"])
            continue
        photo = ImageOps.exif_transpose(Image.open(catalogue.input / row["id"]))
        alpha = catalogue.alpha(row["id"])
        assert photo.size == (row["width"], row["height"]) == alpha.shape[::-1]
        assert alpha.mean() / 255 == pytest.approx(row["coverage"], abs=1e-6)
        assert row["has_product"] == bool(alpha.any()) == (row["products"] > 0)


def test_broken_files_have_the_stated_reasons(catalogue):
    assert collections.Counter(catalogue.broken.values()) == {
        RejectReason.TRUNCATED: 1,
        RejectReason.EMPTY: 1,
        RejectReason.NOT_AN_IMAGE: 2,
        RejectReason.TOO_LARGE: 1,
        RejectReason.UNSUPPORTED_FORMAT: 1,
        RejectReason.TOO_SMALL: 1,
    }
    assert set(catalogue.broken.values()) == set(BROKEN_REASONS)
    for sample_id, reason in catalogue.broken.items():
        content = (catalogue.input / sample_id).read_bytes()
        assert (not content) == (reason == RejectReason.EMPTY)
        assert len(content) < 400_000


def test_parquet_holds_the_same_photos_in_small_row_groups(tmp_path, catalogue):
    parquet = render_samples(tmp_path, count=11, seed=3, broken=7, container="parquet", truth=False, processes=1)
    file = pq.ParquetFile(parquet.input)
    table = file.read()
    assert table.column_names == ["id", "category", "seller", "image"]
    assert max(file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)) <= 32
    assert {row["id"]: row["image"] for row in table.to_pylist()} == {
        sample_id: (catalogue.input / sample_id).read_bytes() for sample_id in catalogue.ids
    }
    assert not (tmp_path / "truth" / "alpha").exists()
    assert pq.read_table(parquet.truth)["alpha"].null_count == 11


def test_a_catalogue_replaces_the_one_before_it_and_nothing_else(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").write_bytes(b"mine")
    first = render_samples(tmp_path, count=1, seed=4)
    second = render_samples(tmp_path, count=1, seed=5)
    left = {path.relative_to(second.input).as_posix() for path in second.input.rglob("*") if path.is_file()}
    assert left == {"mine.jpg", *second.ids}
    assert not set(first.ids) & left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count is 0"),
        ({"count": 3, "broken": 4}, "broken is 4"),
        ({"count": 3, "seed": -1}, "seed is -1"),
        ({"count": 3, "container": "zip"}, "container is 'zip'"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        render_samples(tmp_path / "none", **arguments)
    assert not (tmp_path / "none").exists()


def test_photo_shows_the_product_where_the_alpha_says(catalogue, truth):
    # A product that differs from its surroundings differs across the alpha's edge more than along it.
    stronger = 0
    rows = [row for row in truth.to_pylist() if row["has_product"]]
    for row in rows:
        content = (catalogue.input / row["id"]).read_bytes()
        photo = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"), np.float32)
        solid = (catalogue.alpha(row["id"]) > 127).astype(np.uint8)
        inner, outer = cv2.erode(solid, np.ones((9, 9))), 1 - cv2.dilate(solid, np.ones((9, 9)))
        near = cv2.dilate(solid, np.ones((25, 25)))
        deep = cv2.erode(solid, np.ones((25, 25)))
        inside = (
            photo[(inner == 1) & (deep == 0)].mean(0)
            if ((inner == 1) & (deep == 0)).any()
            else photo[inner == 1].mean(0)
        )
        stronger += np.abs(inside - photo[(outer == 1) & (near == 1)].mean(0)).max() > 6
    assert stronger >= 0.7 * len(rows)
