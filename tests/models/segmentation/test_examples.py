import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import catalogue  # noqa: E402

from models.segmentation import examples  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return catalogue.write(tmp_path_factory.mktemp("data"))


def test_seller_photos_are_those_of_the_training_split(folder):
    found = examples.seller_photos(folder / "clothing", processes=1)
    assert set(found.ids) == {f"p{i}" for i in range(1, 12)}
    assert found.images.shape[1:] == (320, 320, 3) and found.labels.dtype == np.uint8
    trusted = found.weights.reshape(len(found), -1).max(1) > 0
    assert trusted.mean() > 0.5  # the ellipses are easy


def test_hand_masks_are_joined_by_id_and_doubtful_edges_count_less(folder):
    found = examples.hand_masks(folder / "clothing", folder / "masks.parquet", "train")
    assert set(found.ids) == {"p1", "p3", "p5", "p7", "p9", "p11"}
    assert found.weights[list(found.ids).index("p3")].min() == 64
    assert found.weights[list(found.ids).index("p5")].min() == 255


def test_a_mask_of_another_split_is_refused(folder):
    with pytest.raises(ValueError, match="wanted 'validation'"):
        examples.hand_masks(folder / "clothing", folder / "masks.parquet", "validation")


def test_clean_products_are_cut_out(folder):
    found = examples.product_cut_outs(folder / "products", processes=1)
    assert len(found) >= 10
    assert 0.1 < (found.labels > 127).mean() < 0.35


def test_examples_survive_a_round_trip(folder, tmp_path):
    found = examples.hand_masks(folder / "clothing", folder / "masks.parquet", "train")
    found.save(tmp_path / "set.npz")
    again = examples.Examples.load(tmp_path / "set.npz")
    np.testing.assert_array_equal(found.images, again.images)
    assert list(found.groups) == list(again.groups)


def test_the_development_split_is_a_matter_of_the_name_alone():
    names = [f"seller{i}" for i in range(2000)]
    away = [examples.held_out(name, 20) for name in names]
    assert 0.17 < np.mean(away) < 0.23
    assert away == [examples.held_out(name, 20) for name in names]
    assert all(not a or examples.held_out(n, 30) for n, a in zip(names, away, strict=True))


def test_a_folder_without_parquet_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Parquet files"):
        list(examples.read_rows(tmp_path, ["id"]))
