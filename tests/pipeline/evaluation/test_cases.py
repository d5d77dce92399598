import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.evaluation.cases import appearance, masked_photos, read_rows


def test_photos_with_masks_are_joined_and_sliced(data):
    found = list(masked_photos(str(data / "photos"), str(data / "masks.parquet")))
    assert [photo.id for photo in found] == ["p1", "p2", "p3", "p4"]
    assert "seller unseen" in found[0].slices and "seller seen" in found[1].slices
    assert found[1].doubtful and not found[0].doubtful
    assert [photo.group for photo in found] == ["s0", "s1", "s1", "s2"]
    assert all({"all", "plain backdrop", "dark product"} <= set(photo.slices) for photo in found)


def test_product_shots_need_neither_seller_nor_category_and_only_good_masks_count(products, traced):
    (photo,) = masked_photos(products, traced)
    assert photo.id == photo.group == "shaded" and "source shop" in photo.slices
    assert photo.alpha[100, 80] == 255 and photo.alpha[5, 5] == 0 and not photo.doubtful


def test_masks_without_photos_are_an_error(data):
    pq.write_table(pa.table({"id": ["x"], "mask": [b""]}), data / "other.parquet")
    with pytest.raises(ValueError, match="no photo"):
        list(masked_photos(str(data / "photos"), str(data / "other.parquet")))
    rows = [*pq.read_table(data / "masks.parquet").to_pylist(), {"id": "x", "mask": b""}]
    pq.write_table(pa.Table.from_pylist(rows), data / "more.parquet")
    with pytest.raises(ValueError, match="1 masks of .* such as 'x'"):
        list(masked_photos(str(data / "photos"), str(data / "more.parquet")))


def test_a_mask_of_another_size_is_named(data):
    mask = cv2.imencode(".png", np.zeros((90, 140), np.uint8))[1].tobytes()
    pq.write_table(pa.table({"id": ["p1"], "mask": [mask]}), data / "small.parquet")
    with pytest.raises(ValueError, match="'p1' is 140 x 90 pixels, its photo 140 x 180"):
        list(masked_photos(str(data / "photos"), str(data / "small.parquet")))


def test_missing_columns_files_and_broken_pictures_are_named(data):
    with pytest.raises(ValueError, match="no column 'licence'; it has 'id', 'mask'"):
        list(read_rows(data / "masks.parquet", ["id", "licence"]))
    with pytest.raises(FileNotFoundError, match="no Parquet files"):
        list(read_rows(data / "nowhere", ["id"]))
    (data / "text.parquet").write_text("text")
    with pytest.raises(ValueError, match="is no Parquet file"):
        list(read_rows(data / "text.parquet", ["id"]))
    pq.write_table(pa.table({"id": ["p1"], "mask": [b"nothing"]}), data / "broken.parquet")
    with pytest.raises(ValueError, match="mask of 'p1' cannot be decoded"):
        list(masked_photos(str(data / "photos"), str(data / "broken.parquet")))


def test_appearance_tells_light_and_busy():
    truth = np.zeros((80, 80), bool)
    truth[20:60, 20:60] = True
    image = np.full((80, 80, 3), 128, np.uint8)
    image[truth] = 240
    assert appearance(image, truth) == ("light product", "plain backdrop")
    image[~truth] = np.random.default_rng(0).integers(0, 256, (int((~truth).sum()), 3))
    image[truth] = 20
    assert appearance(image, truth) == ("dark product", "busy backdrop")
