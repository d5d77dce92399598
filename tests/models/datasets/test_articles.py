import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.articles import ArticleSource
from models.datasets import articles
from models.datasets.article_plan import plan_articles


def png(picture):
    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A catalogue of 24 photos of eight sellers, and the output of a run that cut them out."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(3)
    photos, rows = [], []
    (folder / "run" / "catalogue" / "r1").mkdir(parents=True)
    (folder / "run" / "assets").mkdir()
    for i in range(24):
        picture = rng.integers(0, 256, (20, 16, 3)).astype(np.uint8)
        content = b"broken" if i == 5 else png(picture)
        split = "validation" if i % 8 == 7 or i == 0 else "train"
        photos.append(
            {
                "id": f"p{i}",
                "seller": f"s{i % 8}",
                "category": "hat" if i % 2 else "bag",
                "split": split,
                "image": content,
            }
        )
        alpha = np.zeros((20, 16, 1), np.uint8)
        alpha[4:16, 4:12] = 255
        (folder / "run" / "assets" / f"p{i}.png").write_bytes(png(np.concatenate([picture, alpha], axis=2)))
        rows.append({
            "id": f"p{i}",
            "review_reasons": ["uncertain_mask"] if i == 1 else ["cut_by_frame"],
            "assets": [{"kind": "cutout", "uri": f"assets/p{i}.png"}],
        })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(photos), folder / "photos.parquet", row_group_size=5)
    pq.write_table(pa.Table.from_pylist(rows), folder / "run" / "catalogue" / "r1" / "part-0.parquet")
    (folder / "run" / "LATEST").write_text("r1\n")
    return folder


def source(shop, **settings):
    given = {"cutouts": str(shop / "run"), "size": 16, "test_percent": 30, "development_percent": 20, **settings}
    return ArticleSource(str(shop / "photos.parquet"), **given)


@pytest.fixture(scope="module")
def sets(shop, tmp_path_factory):
    return articles.load_articles(source(shop), str(tmp_path_factory.mktemp("built")), workers=1)


def test_no_seller_is_in_two_splits_and_kept_out_photos_are_never_trained_on(sets):
    groups = [set(found.groups) for found in sets.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert "s7" in groups[2]
    kept_out = {"p0", "p7", "p15", "p23"}
    assert not kept_out & {*sets["train"].ids, *sets["development"].ids}
    train = sets["train"]
    assert train.images.shape == (len(train), 16, 16, 3) and train.category_names == ("bag", "hat")
    for id, category in zip(train.ids, train.categories, strict=True):
        assert train.category_names[category] == ("hat" if int(id[1:]) % 2 else "bag")
    assert "p1" not in {id for found in sets.values() for id in found.ids}


def test_building_twice_gives_the_same_articles(shop, sets, tmp_path):
    again = articles.load_articles(source(shop), str(tmp_path), workers=2)["train"]
    assert again.ids.tolist() == sets["train"].ids.tolist()
    np.testing.assert_array_equal(again.images, sets["train"].images)


@pytest.mark.parametrize("fit", ["frame", "crop"])
def test_photos_that_cannot_be_read_are_named(shop, fit):
    plan = plan_articles(source(shop, fit=fit, cutouts=""))
    found = [out.value for group in plan.groups_of_rows for out in articles.FitArticles(plan).process(group)]
    assert [entry for entry in found if isinstance(entry, dict)] == [
        {"id": "p5", "reason": "its photo of 6 bytes cannot be decoded"}
    ]
    pictures = [example["image"] for _, example in (entry for entry in found if not isinstance(entry, dict))]
    assert {cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape for picture in pictures} == {
        (16, 16, 3)
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"category_column": "kind"}, "no column 'kind' in .*category_column"),
        ({"split": "elsewhere"}, "not one photo of .* may be trained on"),
        ({"left_out_reasons": ("uncertain_mask", "cut_by_frame")}, "wrote no usable cut-out"),
    ],
)
def test_what_is_missing_is_said(shop, settings, message):
    with pytest.raises(ValueError, match=message):
        plan_articles(source(shop, **settings))


def test_any_setting_that_matters_changes_the_fingerprint(shop):
    same = plan_articles(source(shop)).fingerprint
    assert plan_articles(source(shop)).fingerprint == same
    others = [plan_articles(source(shop, **change)).fingerprint for change in ({"size": 32}, {"test_percent": 20})]
    assert len({same, *others}) == 3
