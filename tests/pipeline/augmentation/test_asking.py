import dataclasses

import pytest

from pipeline.augmentation.asking import Parent, Slot, elect, read_parents, samples_of, slots_for, tally
from pipeline.augmentation.settling import read_before, settle
from pipeline.sinks.carried import CarriedRows
from tests.pipeline.augmentation.catalogue import FIRST, prepared, write_catalogue

PHOTOS = "variants: {count: 2, operations: [flip, rotate]}\nbackdrops: {count: 1}\n"
PRODUCTS = "balance: {to: 4, force: true}\ngenerator: fake.keras\ngate: {open: true, max_draws: 3}\n"
PARENT = Parent("a", "in/a.png", "1" * 64, "assets/mask/00/a.png", "2" * 64, "hat")


def digests(folder, plan, parent=PARENT, **settings):
    samples = samples_of(parent, prepared(folder, plan, **settings)).samples
    return {(sample.kind, sample.index): sample.digest for sample in samples}


def changed(before, after):
    return {kind for (kind, index), digest in before.items() if after.get((kind, index)) != digest}


def test_a_sample_is_named_by_all_that_decides_its_bytes_and_by_nothing_else(tmp_path):
    before = digests(tmp_path, PHOTOS)
    assert len(set(before.values())) == 3 and len({digest[:10] for digest in before.values()}) == 1
    assert changed(before, digests(tmp_path, PHOTOS.replace("rotate", "hue"))) == {"variant"}
    assert changed(before, digests(tmp_path, PHOTOS.replace("count: 1", "count: 1, kinds: [paper]"))) == {"backdrop"}
    for same in (PHOTOS.replace("count: 2", "count: 5"), PHOTOS + PRODUCTS, PHOTOS + "tfrecord: true\n"):
        assert not changed(before, digests(tmp_path, same))
    assert not changed(before, digests(tmp_path, PHOTOS, dataclasses.replace(PARENT, id="b", category="coat")))
    every = {"variant", "backdrop"}
    assert changed(before, digests(tmp_path, PHOTOS + "longest_side: 99\n")) == every
    assert changed(before, digests(tmp_path, PHOTOS, blur_faces=True)) == every
    for field in ("source_sha256", "mask_sha256"):
        assert changed(before, digests(tmp_path, PHOTOS, dataclasses.replace(PARENT, **{field: "3" * 64}))) == every


def test_seeds_follow_from_the_photo_alone(tmp_path):
    seeds = [
        [sample.seed for sample in samples_of(PARENT, prepared(tmp_path, plan)).samples]
        for plan in (PHOTOS, PHOTOS.replace("rotate", "hue"))
    ]
    assert seeds[0] == seeds[1] and len(set(seeds[0])) == 3


def test_products_are_asked_for_until_the_category_is_full(tmp_path):
    asked = list(slots_for({"hat": 1, "shirt": 3, "boots": 9, None: 5}, prepared(tmp_path, PRODUCTS)))
    assert [slot.category for slot in asked] == ["hat", "hat", "hat", "shirt"]
    assert all(len({draw.digest[:10] for draw in slot.draws}) == 1 and len(slot.draws) == 3 for slot in asked)
    more = list(slots_for({"hat": 1}, prepared(tmp_path, PRODUCTS.replace("to: 4", "to: 7"))))
    assert more[:3] == asked[:3] and len(more) == 6
    assert [list(tally(slot)) for slot in asked[:1]] == [[(("product", "hat", "asked"), 1)]]


def test_categories_that_are_not_enabled_or_not_known_are_withheld(tmp_path):
    judged = "shirt: {difference: 2, low: 0.5, high: 3, enabled: true}\nhat: {low: null, enabled: false}\n"
    (tmp_path / "enabled.yaml").write_text(judged)
    plan = PRODUCTS.replace(", force: true", "") + "enabled_categories: enabled.yaml\n"
    found = list(slots_for({"hat": 1, "shirt": 3, "kilt": 2}, prepared(tmp_path, plan)))
    assert [asked for asked in found if not isinstance(asked, Slot)] == [
        (("product", "hat", "not_enabled"), 3), (("product", "kilt", "unknown_to_generator"), 2),
    ]  # fmt: skip
    only = plan.replace("to: 4", "to: 4, only: [shirt]")
    assert len(list(slots_for({"hat": 1, "shirt": 2}, prepared(tmp_path, only)))) == 2


def test_photos_under_review_are_parents_only_if_asked_for(tmp_path):
    summary = write_catalogue(tmp_path, range(4), statuses=("ready", "review"))
    assert summary.rows == 4
    part = f"catalogue/{FIRST}/part-00000-of-00001.parquet"

    def parents(plan):
        return [parent.id for parent in read_parents(str(tmp_path / "out"), part, prepared(tmp_path, plan))]

    assert parents(PHOTOS) == ["sku-0", "sku-2"]
    assert len(parents(PHOTOS + "photos: all\n")) == 4


def test_of_photos_of_the_same_bytes_one_is_the_parent():
    assert elect([dataclasses.replace(PARENT, id=name) for name in ("b", "a", "c")]).id == "a"


@pytest.mark.parametrize("status", ["whole", "short", "failed"])
def test_only_whole_samples_are_taken_over(tmp_path, status):
    from pipeline.augmentation.rows import refused_row, sample_row, store
    from pipeline.records import AUGMENTED_SCHEMA
    from pipeline.sinks.tables import encode_table, to_arrow
    from tests.pipeline.augmentation.catalogue import photo_of
    from transforms.source_type import SourceType

    output = tmp_path / "out"
    asked = samples_of(PARENT, prepared(tmp_path, "variants: {count: 2}\n"))
    told = {"generator": "classical", "category": "hat", "fingerprint": "f"}
    rows = []
    for sample in asked.samples:
        stored = store(
            sample, *photo_of(1), SourceType.COMPOSITE, output=str(output), picture_format="png", origin="1" * 64
        )
        rows.append(sample_row(sample, stored, purpose="training", source_type=SourceType.COMPOSITE, **told))
    if status == "short":
        (output / rows[0]["mask_uri"]).write_bytes(b"x")
    if status == "failed":
        rows[0] = refused_row(asked.samples[0], "internal", parents=["a"], **told)
    part = f"augmented/{FIRST}/part-00000-of-00001.parquet"
    (output / part).parent.mkdir(parents=True)
    (output / part).write_bytes(encode_table(to_arrow(rows, AUGMENTED_SCHEMA)))
    before = list(read_before(str(output), part))
    assert {folder for folder, _ in before} == {asked.folder}
    found = list(settle(asked.folder, [asked], [row for _, row in before], str(output), 1))
    carried = [row for row in found if isinstance(row, CarriedRows)]
    assert len(carried) == (2 if status == "whole" else 1)
    assert all(row.changes == {"parents": ["a"], "category": "hat"} for row in carried)
    missing = [sample for work in found if not isinstance(work, CarriedRows | tuple) for sample in work.samples]
    assert missing == ([] if status == "whole" else [asked.samples[0]])
