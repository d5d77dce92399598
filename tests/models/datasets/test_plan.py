import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.datasets import parquet
from models.datasets.plan import DEVELOPMENT, TRAIN, plan_datasets
from models.datasets.sources import Catalogue, Products, Sources


def table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=16)
    return str(path)


@pytest.fixture
def photos(tmp_path):
    """200 photos of 30 small sellers and a large one, the last ten not to be trained on."""
    rows = [
        {
            "id": f"p{i}",
            "seller": "large" if i < 60 else f"s{i % 30}",
            "split": "train" if i < 190 else "validation",
            "image": b"x" * i,
        }
        for i in range(200)
    ]
    table(tmp_path / "photos" / "a.parquet", rows[:100])
    table(tmp_path / "photos" / "deeper" / "b.parquet", rows[100:])
    table(tmp_path / "photos" / "_temporary" / "c.parquet", rows[:5])
    return str(tmp_path / "photos")


def fingerprint(sources):
    return plan_datasets(sources)[0].fingerprint


def test_only_small_groups_are_held_out_and_no_group_is_split(photos):
    (plan,) = plan_datasets(Sources(Catalogue(photos), development_percent=50))
    assert plan.counts[TRAIN] + plan.counts[DEVELOPMENT] == 190
    assert "large" not in plan.away and 5 <= len(plan.away) <= 25
    assert len(plan.groups_of_rows) == 14
    assert plan.split_of("large") == TRAIN and {plan.split_of(group) for group in plan.away} == {DEVELOPMENT}


def test_groups_can_be_held_out_by_name(photos):
    (plan,) = plan_datasets(Sources(Catalogue(photos), development_percent=0, development_groups=("large",)))
    assert plan.away == {"large"} and plan.counts == {TRAIN: 130, DEVELOPMENT: 60}


def test_the_limit_draws_by_id_and_keeps_what_was_drawn_before(photos):
    def drawn(limit):
        (plan,) = plan_datasets(Sources(Catalogue(photos, limit=limit)))
        rows = [row for group in plan.groups_of_rows for row in parquet.read_rows(group, ["id", "seller", "split"])]
        return {photo.id for photo in plan.photos(iter(rows))}

    assert len(drawn(50)) == 50 and drawn(50) < drawn(80) and len(drawn(1000)) == 190


def test_the_fingerprint_changes_with_data_and_settings_alone(photos, tmp_path):
    sources = Sources(Catalogue(photos))
    before = fingerprint(sources)
    assert before == fingerprint(sources)
    moved = tmp_path / "elsewhere"
    (tmp_path / "photos").rename(moved)
    assert before == fingerprint(Sources(Catalogue(str(moved))))
    assert before != fingerprint(Sources(Catalogue(str(moved), limit=10)))
    assert before != fingerprint(dataclasses.replace(Sources(Catalogue(str(moved))), development_percent=70))
    table(moved / "deeper" / "b.parquet", [{"id": "n", "seller": "s", "split": "train", "image": b"1"}])
    assert before != fingerprint(Sources(Catalogue(str(moved))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_column": "shop"}, "no column 'shop' in .* which catalogue.group_column names; .* id, seller, split"),
        ({"split_column": "part"}, "no column 'part' in .* which catalogue.split_column names"),
        ({"split": "test"}, "there are no photos with split='test'"),
        ({"id_column": "seller"}, "ids of column 'seller' stand more than once"),
    ],
)
def test_wrong_columns_are_named_before_anything_is_built(photos, changes, message):
    with pytest.raises(ValueError, match=message):
        plan_datasets(Sources(Catalogue(photos, **changes)))


def test_places_without_parquet_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no Parquet files at"):
        plan_datasets(Sources(Catalogue(str(tmp_path))))


def test_everything_held_out_is_refused(photos):
    groups = ("large", *(f"s{i}" for i in range(30)))
    with pytest.raises(ValueError, match="every group of .* is kept out of training"):
        plan_datasets(Sources(Catalogue(photos), development_groups=groups))


def test_masks_of_photos_that_may_not_be_trained_on_are_refused(photos, tmp_path):
    masks = table(tmp_path / "masks.parquet", [{"id": "p1", "mask": b""}, {"id": "p195", "mask": b""}])
    with pytest.raises(ValueError, match="1 masks of .* have no photo with split='train' .*'p195'"):
        plan_datasets(Sources(Catalogue(photos), masks=masks))


def test_globs_and_catalogues_without_splits_are_read(photos, tmp_path):
    bare = table(tmp_path / "bare.parquet", [{"sku": i, "shop": None, "image": b""} for i in range(3)])
    catalogue = Catalogue(bare, id_column="sku", group_column="shop")
    (plan, products) = plan_datasets(
        Sources(catalogue, products=Products(f"{photos}/*.parquet", group_column="seller"), development_percent=0)
    )
    assert plan.counts == {TRAIN: 3} and "split" not in plan.columns
    assert products.counts == {TRAIN: 100} and "kind" not in products.columns
