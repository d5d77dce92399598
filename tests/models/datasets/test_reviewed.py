import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.datasets.reviewed import read_reviewed, with_reviewed
from models.segmentation.examples import Examples


def png(value, size=(30, 40)):
    return cv2.imencode(".png", np.full(size, value, np.uint8))[1].tobytes()


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_reviewed_labels_stand_above_others(tmp_path):
    path = write(
        tmp_path / "reviewed.parquet",
        [
            {"id": "a", "mask": png(255), "weight": None, "verdict": "good"},
            {"id": "b", "mask": png(255), "weight": png(100), "verdict": "good"},
            {"id": "c", "mask": None, "weight": None, "verdict": "reject"},
            {"id": "gone", "mask": png(255), "weight": None, "verdict": "good"},
        ],
    )
    names = np.array(["a", "b", "c", "d"])
    plane = np.full((4, 320, 320), 7, np.uint8)
    before = Examples(names, names, np.zeros((4, 320, 320, 3), np.uint8), plane, plane)
    after = with_reviewed(before, read_reviewed(path))
    assert after.labels[:, 0, 0].tolist() == [255, 255, 7, 7]
    assert after.weights[:, 0, 0].tolist() == [255, 100, 0, 7]
    assert after.reviewed.tolist() == [True, True, True, False]
    assert (before.labels == 7).all() and not before.reviewed.any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "a", "mask": b"", "verdict": "fine"}, "verdict on 'a' .* is 'fine'; it must be 'good' or 'reject'"),
        ({"id": "a", "mask": b"?", "verdict": "good"}, "photo 'a' .*its mask of 1 bytes cannot be decoded"),
        ({"id": "a", "verdict": "good"}, "no column 'mask' .* which reviewed names"),
    ],
)
def test_what_is_wrong_with_a_review_is_named(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        read_reviewed(write(tmp_path / "r.parquet", [row]))
