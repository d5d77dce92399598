import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.evaluate import evaluate_segmentation, masked_photos, score


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(1)
    photos, masks = [], []
    for i in range(5):
        image = np.full((90, 70, 3), (210, 205, 200), np.float32) + rng.normal(0, 2, (90, 70, 3))
        mask = np.zeros((90, 70), np.uint8)
        cv2.ellipse(mask, (35, 45), (18, 26), 15 * i, 0, 360, 255, -1)
        image[mask > 0] = (30, 40, 120)
        content = cv2.imencode(".png", np.clip(image, 0, 255).astype(np.uint8)[..., ::-1])[1].tobytes()
        photos.append({"id": f"p{i}", "category": "hat" if i % 2 else "shoe", "image": content})
        if i:
            drawn = cv2.imencode(".png", mask)[1].tobytes()
            masks.append({"id": f"p{i}", "mask": drawn, "seller_seen": i != 1, "doubtful": i == 2})
    (tmp_path / "photos").mkdir()
    pq.write_table(pa.Table.from_pylist(photos), tmp_path / "photos" / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(masks), tmp_path / "masks.parquet")
    return tmp_path


def test_photos_with_masks_are_joined_and_sliced(data):
    found = list(masked_photos(str(data / "photos"), str(data / "masks.parquet")))
    assert [photo.id for photo in found] == ["p1", "p2", "p3", "p4"]
    assert "seller unseen" in found[0].slices and "seller seen" in found[1].slices
    assert found[1].doubtful and not found[0].doubtful
    assert all("plain backdrop" in photo.slices and "dark product" in photo.slices for photo in found)


def test_a_perfect_matte_scores_perfectly(data):
    photo = next(iter(masked_photos(str(data / "photos"), str(data / "masks.parquet"))))
    result = score(photo, photo.truth.astype(np.uint8) * 255)
    assert (result.iou, result.boundary_iou, result.mae, result.max_f) == (1, 1, 0, 1)


def test_the_table_names_method_slices_and_baselines(data):
    table = evaluate_segmentation(
        str(data / "photos"), str(data / "masks.parquet"), "packshot-seg", baselines=True,
        sheet=str(data / "worst.png"), figures=str(data / "figures.json"),
    )  # fmt: skip
    for name in ("packshot-seg", "GrabCut from the border", "flood fill in CIELAB", "seller unseen", "category hat"):
        assert name in table
    figures = json.loads((data / "figures.json").read_text())
    assert np.mean([s["iou"] for s in figures["flood fill in CIELAB"]]) > 0.95
    assert cv2.imread(str(data / "worst.png")) is not None


def test_masks_of_other_photos_are_an_error(data):
    pq.write_table(pa.table({"id": ["x"], "mask": [b""]}), data / "other.parquet")
    with pytest.raises(ValueError, match="no photo"):
        list(masked_photos(str(data / "photos"), str(data / "other.parquet")))
