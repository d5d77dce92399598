import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "segmentation"))
import catalogue  # noqa: E402

from models.datasets import cut_outs  # noqa: E402
from models.datasets.plan import DEVELOPMENT, TRAIN, plan_datasets  # noqa: E402
from models.datasets.sources import Catalogue, Products, Sources  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The small catalogue, with one photo of bytes that are no picture and one without bytes."""
    folder = catalogue.write(tmp_path_factory.mktemp("data"))
    file = folder / "clothing" / "part-0.parquet"
    rows = pq.read_table(file).to_pylist()
    rows[2]["image"], rows[4]["image"] = b"broken", None
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=4)
    return folder


@pytest.fixture(scope="module")
def plans(folder):
    sources = Sources(
        Catalogue(str(folder / "clothing")), str(folder / "masks.parquet"), Products(str(folder / "products")),
        development_percent=50,
    )  # fmt: skip
    return {plan.kind: plan for plan in plan_datasets(sources)}


@pytest.fixture(scope="module")
def built(plans, tmp_path_factory):
    data_dir = str(tmp_path_factory.mktemp("datasets"))
    return {kind: cut_outs.build_dataset(plan, data_dir, workers=1) for kind, plan in plans.items()}


def test_photos_of_the_training_split_become_examples(built):
    train, development = (cut_outs.read_examples(built["seller"], split) for split in (TRAIN, DEVELOPMENT))
    assert {*train.ids, *development.ids} == {f"p{i}" for i in range(1, 12)} - {"p2", "p4"}
    assert train.images.shape[1:] == (320, 320, 3) and train.labels.dtype == np.uint8
    assert train.trusted.mean() > 0.5  # the ellipses are easy
    assert 0.1 < (train.labels > 127).mean() < 0.35


def test_no_group_is_in_both_splits_of_any_kind(built):
    sets = [[cut_outs.read_examples(b, split).groups for b in built.values()] for split in (TRAIN, DEVELOPMENT)]
    train, development = (set(np.concatenate(groups)) for groups in sets)
    assert train and development and not train & development


def test_photos_that_cannot_be_read_are_counted_and_named(built):
    assert built["seller"].left_out() == [
        {"id": "p2", "reason": "its photo of 6 bytes cannot be decoded"},
        {"id": "p4", "reason": "its photo of 0 bytes cannot be decoded"},
    ]
    assert built["hand"].left_out() == []


def test_hand_masks_are_joined_by_id(built):
    found = [cut_outs.read_examples(built["hand"], split) for split in (TRAIN, DEVELOPMENT)]
    weights = {id: weight for part in found for id, weight in zip(part.ids.tolist(), part.weights, strict=True)}
    assert set(weights) == {"p1", "p3", "p5", "p7", "p9", "p11"}
    assert weights["p3"].min() == 64 and weights["p5"].min() == 255


def test_building_twice_gives_the_same_examples_in_the_same_order(plans, built, tmp_path):
    again = cut_outs.build_dataset(plans["product"], str(tmp_path), workers=2, file_format="array_record")
    one, other = (cut_outs.read_examples(builder, TRAIN) for builder in (built["product"], again))
    assert one.ids.tolist() == other.ids.tolist() and len(one) >= 10
    for name in ("groups", "images", "labels", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_built_dataset_is_not_built_again_and_is_one_of_tensorflow_datasets(plans, built):
    import tensorflow_datasets as tfds

    folder = Path(built["hand"].data_dir)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    cut_outs.build_dataset(plans["hand"], str(folder.parents[2]), workers=1)
    assert before == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    example = next(iter(tfds.builder_from_directory(folder).as_dataset(split="train")))
    assert example["image"].shape == (320, 320, 3) and example["label"].shape == (320, 320, 1)
    assert example["kind"].numpy() == b"hand"


def test_rendered_photos_bring_their_masks(folder, tmp_path):
    from pipeline.samples import render_samples

    render_samples(str(tmp_path / "rendered"), count=2, seed=3, broken=0, container="parquet")
    sources = Sources(Catalogue(str(folder / "clothing")), rendered=str(tmp_path / "rendered"), development_percent=0)
    plan = plan_datasets(sources)[-1]
    found = cut_outs.read_examples(cut_outs.build_dataset(plan, str(tmp_path / "sets"), workers=1), TRAIN)
    assert plan.kind == "rendered" and len(found) and (found.labels > 127).any() and set(found.groups) == {"rendered"}


def test_a_dataset_of_nothing_usable_is_refused(tmp_path):
    rows = [{"id": "a", "seller": "s", "image": b"broken"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "photos.parquet")
    (plan,) = plan_datasets(Sources(Catalogue(str(tmp_path / "photos.parquet")), development_percent=0))
    with pytest.raises(ValueError, match="none of the seller photos of a split of {'train': 1} could be used"):
        cut_outs.build_dataset(plan, str(tmp_path / "sets"), workers=1)


def test_what_to_install_is_said_in_one_line(folder, tmp_path, monkeypatch):
    import models.datasets
    from models.segmentation.settings import TrainingConfig
    from models.segmentation.train import load_examples

    monkeypatch.delattr(models.datasets, "cut_outs")
    monkeypatch.delitem(sys.modules, "models.datasets.cut_outs")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    config = TrainingConfig.from_mapping({"catalogue": str(folder / "clothing"), "output": str(tmp_path)})
    with pytest.raises(ValueError, match=r"pip install 'packshot\[train\]'$"):
        load_examples(config)
