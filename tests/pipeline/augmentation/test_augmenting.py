"""The graph of augmentation over a small catalogue: what is made, carried over, refused, and counted."""

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, translations

from models.gating import Gate, GatedGenerator, GateSettings
from tests.models.fakes_of_generation import FakeGenerator
from tests.pipeline.augmentation import catalogue
from tests.pipeline.augmentation.catalogue import FIRST, SECOND, augment, photo_of, prepared, write_catalogue
from transforms.privacy import is_for_training_only, read_labels
from transforms.source_type import SourceType

PHOTOS = "variants: {count: 2, operations: [flip, {name: rotate, chance: 1}]}\nbackdrops: {count: 1, kinds: [paper]}\n"
PRODUCTS = "balance: {to: 4, force: true}\ngenerator: fake.keras\ngate: {open: true, max_draws: 3}\n"


class _Picky(FakeGenerator):
    """Its pictures of hats are all refused, and every other first draw of the rest."""


def load_picky():
    gate = Gate(GateSettings(open=True), None, None)
    gate.judge = lambda images, categories, colours, generator: [
        ("memorised" if category == 1 or image[0, 0, 2] % 2 else None, verdict)
        for image, category, (_, verdict) in zip(
            images, categories, Gate(GateSettings(open=True), None, None).judge(images, 0, 0, generator), strict=True
        )
    ]
    return GatedGenerator(_Picky(), gate, None)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    summary = write_catalogue(folder, range(5))
    return folder, augment(folder, summary, prepared(folder, PHOTOS + PRODUCTS))


def test_every_sample_that_is_asked_for_is_there_and_counted(first):
    _, made = first
    assert made.counts.asked == made.counts.accepted == {"backdrop": 5, "product": 3, "variant": 10}
    assert made.counts.imbalance() is None and not made.counts.carried and not made.counts.missing
    assert sorted(row["category"] for row in made.of_kind("product")) == ["hat", "shirt", "shirt"]  # of 3 and 2 photos
    for row in made.rows.values():
        content = made.files[row["uri"].removeprefix("assets/")]
        assert len(content) == row["bytes"] and row["status"] == "accepted" and row["final"]
        assert cv2.imdecode(np.frombuffer(content, np.uint8), 1).shape[:2] == (row["height"], row["width"])


def test_samples_say_what_they_are_in_table_and_file(first):
    _, made = first
    wanted = {
        "variant": ("training", SourceType.ALGORITHMICALLY_ENHANCED, False),
        "backdrop": ("training", SourceType.COMPOSITE_SYNTHETIC, False),
        "product": ("training_only", SourceType.TRAINED_ALGORITHMIC_MEDIA, True),
    }
    for row in made.rows.values():
        purpose, term, training_only = wanted[row["kind"]]
        content = made.files[row["uri"].removeprefix("assets/")]
        assert (row["purpose"], row["digital_source_type"]) == (purpose, str(term))
        assert read_labels(content).source_type is term and is_for_training_only(content) is training_only
        assert row["uri"].startswith("assets/augmented/")
        assert (row["mask_uri"] is None) is (row["kind"] == "product") is (row["parents"] == [])


def test_a_product_on_a_backdrop_keeps_its_pixels(first):
    _, made = first
    for row in made.of_kind("backdrop"):
        image, alpha = photo_of(int(row["parents"][0].removeprefix("sku-")))
        content = made.files[row["uri"].removeprefix("assets/")]
        composed = cv2.imdecode(np.frombuffer(content, np.uint8), 1)[..., ::-1]
        assert np.array_equal(composed[alpha == 255], image[alpha == 255])
        assert not np.array_equal(composed[0, 0], image[0, 0])


def test_replayed_bundles_change_nothing(first, tmp_path):
    folder, made = first
    summary = write_catalogue(tmp_path, range(5))
    again = augment(tmp_path, summary, prepared(tmp_path, PHOTOS + PRODUCTS), runner=FnApiRunner(bundle_repeat=2))
    assert again.files == made.files
    assert again.tables == made.tables


def test_the_next_run_makes_what_is_new_and_carries_the_rest(tmp_path):
    made = augment(tmp_path, write_catalogue(tmp_path, range(3)), prepared(tmp_path, PHOTOS + PRODUCTS))
    lost = next(row for row in made.of_kind("variant"))
    (tmp_path / "out" / lost["uri"]).unlink()
    larger = (PHOTOS + PRODUCTS).replace("to: 4", "to: 5").replace("count: 2", "count: 3")
    summary = write_catalogue(tmp_path, range(1, 6), SECOND, categories=("shirt", "hat"))
    (tmp_path / "in" / "4.png").unlink()
    (tmp_path / "in" / "5.png").write_bytes(b"other bytes")
    again = augment(tmp_path, summary, prepared(tmp_path, larger, FIRST), SECOND)
    counts = again.counts
    assert counts.asked == {"backdrop": 5, "product": 5, "variant": 15} and counts.imbalance() is None
    gone = {row["id"] for row in made.rows.values() if row["parents"] == ["sku-0"]}
    kept = {name for name, row in made.rows.items() if row["kind"] != "product"} - gone - {lost["id"]}
    # of hats there were two generated and are three, of shirts there were three and are two
    assert counts.carried == {"backdrop": 2, "product": 4, "variant": sum(name.startswith("variant") for name in kept)}
    for name in made.rows.keys() & again.rows.keys():
        assert again.rows[name] == made.rows[name]
    assert kept <= again.rows.keys() and not gone & again.rows.keys()
    assert (lost["id"] in again.rows) is (lost["id"] not in gone)
    assert counts.missing == {"backdrop": 2, "variant": 6}  # of the photo that is gone, and of the one that changed
    failed = {(row["parents"][0], row["refused_reason"]) for row in again.rows.values() if row["status"] == "refused"}
    assert failed == {("sku-4", "not_found"), ("sku-5", "fetch_failed")}


def test_refused_pictures_are_replaced_and_a_shortfall_is_told(tmp_path):
    summary = write_catalogue(tmp_path, range(3), categories=("hat", "shirt", "kilt"))
    plan = PRODUCTS.replace("to: 4", "to: 9")
    made = augment(tmp_path, summary, prepared(tmp_path, plan), load=load_picky)
    counts = made.counts
    assert counts.withheld == {"unknown_to_generator": {"kilt": 8}}
    assert counts.asked == {"product": 16} and counts.imbalance() is None
    assert counts.missing_categories["hat"] == 8 and counts.missing["product"] >= 8
    refused = [row for row in made.rows.values() if row["status"] == "refused"]
    assert counts.refused == {"memorised": len(refused)}
    assert len([row for row in refused if row["category"] == "hat"]) == 24  # every draw of each
    for row in refused:
        assert row["refused_reason"] == "memorised" and row["uri"].startswith("assets/refused/")
        assert is_for_training_only(made.files[row["uri"].removeprefix("assets/")])
    assert sum(row["final"] for row in made.rows.values()) == 16


def test_no_picture_crosses_a_shuffle(tmp_path):
    summary = write_catalogue(tmp_path, range(1))
    pipeline = beam.Pipeline(runner=FnApiRunner())
    places = catalogue.SamplePlaces(str(tmp_path), FIRST, catalogue.SourceOptions(), {}, catalogue.DecodeLimits())
    augmentation = prepared(tmp_path, PHOTOS + PRODUCTS)
    _ = (
        pipeline
        | beam.Create([summary])
        | "Augment" >> catalogue.AugmentCatalogue(places, augmentation, catalogue.load_gated)
    )
    primitives = translations.common_urns.primitives
    _, stages = translations.create_and_optimize_stages(
        pipeline.to_runner_api(), phases=translations.standard_optimize_phases(),
        known_runner_urns=frozenset([primitives.GROUP_BY_KEY.urn, primitives.IMPULSE.urn]),
    )  # fmt: skip

    def stage_of(step):
        return {i for i, s in enumerate(stages) for t in s.transforms if t.unique_name.startswith(f"Augment/{step}")}

    pixels = stage_of("GenerateProducts")
    assert len(pixels) == 1  # what leaves it are rows
    assert len(stage_of("MakeSamples")) == 1
