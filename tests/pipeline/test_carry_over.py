import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.carry_over import CarryOver, PreviousPictures, carry_over
from pipeline.records import KnownPhoto, Photo
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import shard_of
from tests.pipeline.previous_run import CONFIG, MODEL, RUN, SHA, row, store_run

KNOWN = KnownPhoto("catalogue/run/part-00000-of-00001.parquet", 7, "old/a.jpg", SHA, "v1", current=True)


def photo(photo_id="a", **changes):
    fields = {"source_uri": "new/a.jpg", "source_sha256": SHA, "source_version": "v2", "known": KNOWN}
    return Photo(photo_id, **{**fields, "attributes": {"category": "dress"}, **changes})


def test_an_unchanged_photo_keeps_its_row_but_not_its_place_and_attributes():
    assert carry_over(photo(), shards=3) == CarriedRows(
        shard_of("a", 3), KNOWN.part, (7,),
        {"source_uri": "new/a.jpg", "source_version": "v2", "category": "dress", "refresh": "unchanged"},
    )  # fmt: skip


@pytest.mark.parametrize("changes, refresh", [({"known": None}, "new"), ({"source_sha256": "0" * 64}, "changed")])
def test_other_photos_are_worked_on(changes, refresh):
    done = carry_over(photo(**changes), shards=3, find_pictures=lambda digest: None)
    assert done == photo(**changes).replace(refresh=refresh, known=None)


def test_pictures_of_the_same_bytes_are_shared():
    done = carry_over(photo("b", known=None), shards=3, find_pictures={SHA: ("part", 9)}.get)
    assert done.shard == shard_of("b", 3) and (done.part, done.positions) == ("part", (9,))
    assert done.changes["id"] == "b" and done.changes["refresh"] == "duplicate"
    unchanged = carry_over(photo(), shards=3, find_pictures={SHA: ("part", 9)}.get)
    assert unchanged.positions == (7,)


def test_a_photo_without_a_digest_is_a_mistake():
    with pytest.raises(ValueError, match="'a' has no source_sha256"):
        carry_over(photo(source_sha256=None), shards=1)


def test_previous_pictures(tmp_path):
    rows = [
        row("c"), row("b"), row("z"),
        row("d", source_sha256="1" * 64), row("e", source_sha256="2" * 64, model_sha256="0" * 64),
        row("f", source_sha256="1" * 15 + "0" * 49),
    ]  # fmt: skip
    store_run(tmp_path, rows)
    pictures = PreviousPictures(str(tmp_path), RUN, CONFIG, MODEL)
    part, position = pictures.find(SHA)
    (tmp_path / "assets" / "mask" / "00" / "b.png").unlink()
    second = pictures.find(SHA)
    assert (part, position) != second  # b came first while its asset was there
    assert pictures.find("2" * 64) is None  # of another model
    assert pictures.find("3" * 64) is None
    assert pictures.find("1" * 16 + "0" * 48) is None
    for name in ("c", "z"):
        (tmp_path / "assets" / "mask" / "00" / f"{name}.png").unlink()
    assert pictures.find(SHA) is None


def test_photos_are_parted_in_a_pipeline():
    photos = [photo("a"), photo("b", source_sha256="0" * 64), photo("c", known=None), photo("d", source_sha256=None)]
    photos.append(photo("e", leads=True))
    with beam.Pipeline(runner=FnApiRunner()) as p:
        work, carried, leading, rejections = p | beam.Create(photos) | CarryOver(1)
        work = work | "Work" >> beam.Map(lambda found: (found.id, found.refresh))
        carried = carried | "Refresh" >> beam.Map(lambda rows: rows.changes["refresh"])
        leading = leading | "Ids" >> beam.Map(lambda pair: pair[0])
        rejections = rejections | "Reasons" >> beam.Map(lambda r: (r.id, r.stage, r.reason))
        assert_that(work, equal_to([("b", "changed"), ("c", "new")]), label="work")
        assert_that(carried, equal_to(["unchanged", "unchanged"]), label="carried")
        assert_that(leading, equal_to(["e"]), label="leading")
        assert_that(rejections, equal_to([("d", "refresh", "internal")]), label="rejections")
