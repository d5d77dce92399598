import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.records import Asset, Photo, catalogue_row
from pipeline.resuming import ResumePhotos, resume
from pipeline.sinks import storage
from pipeline.sinks.journal import FinishedRows, NoteFinished, noted_files

_SHA, _KEY = "a" * 64, "0" * 12


def _photo(name, **changes):
    values = {"source_uri": f"now/{name}.jpg", "source_sha256": _SHA, "attributes": {"category": "hat"}}
    return Photo(name, **{**values, **changes})


@pytest.fixture
def finished(tmp_path):
    """Rows of the photos a and b, with their assets."""
    note = NoteFinished(str(tmp_path), "20261122T223000Z-3f9a1c", _KEY)
    note.setup()
    for name in ("a", "b"):
        asset = Asset("mask", f"assets/mask/00/{name}.png", 4, 5, 6, "d" * 64, "image/png")
        storage.write_bytes(storage.join(str(tmp_path), asset.uri), b"sixsix")
        photo = _photo(name, source_uri="then", source_version="1", assets=(asset,), coverage=0.5)
        row = catalogue_row(photo, model="m", model_sha256="m", config_fingerprint="f", packshot_version="1")
        list(note.process(row))
    note.finish_bundle()
    return FinishedRows(str(tmp_path), noted_files(str(tmp_path), _KEY, None))


def test_a_finished_photo_gets_the_row_that_it_would_get_now(finished):
    row = resume(_photo("a", refresh="changed", source_version="2", attributes={"category": "coat"}), finished)
    assert (row["source_uri"], row["source_version"], row["category"]) == ("now/a.jpg", "2", "coat")
    assert (row["refresh"], row["coverage"], row["assets"][0]["bytes"]) == ("changed", 0.5, 6)


def test_other_photos_are_worked_on(finished, caplog):
    assert resume(_photo("c"), finished) is None
    assert resume(_photo("a", source_sha256="0" * 64), finished) is None


def test_photos_are_parted_in_a_pipeline(finished):
    photos = [_photo("a"), _photo("b", leads=True), _photo("c")]
    with beam.Pipeline(runner=FnApiRunner()) as p:
        work, rows, leading = p | beam.Create(photos) | ResumePhotos(finished)
        assert_that(work | "Work" >> beam.Map(lambda photo: photo.id), equal_to(["c"]), label="Worked")
        assert_that(rows | "Rows" >> beam.Map(lambda row: row["id"]), equal_to(["a", "b"]), label="Finished")
        leading = leading | "Leading" >> beam.Map(lambda pair: (pair[0], pair[1]["id"]))
        assert_that(leading, equal_to([("b", "b")]), label="Lead")
