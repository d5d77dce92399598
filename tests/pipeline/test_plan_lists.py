import pathlib

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline import plan_lists
from pipeline.plan_lists import ListPlanned, decode_reference, encode_reference, read_list
from pipeline.records import KnownPhoto
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.journal import clear_journal, lists_folder
from pipeline.sources.items import PlannedItem, WorkItem

RUN, LATER = "20261122T223000Z-3f9a1c", "20261123T223000Z-000001"
KNOWN = KnownPhoto("catalogue/r/part-00000-of-00001.parquet", 7, "gs://b/é.jpg", "a" * 64, None, True, "shoes")
REFERENCES = [
    PlannedItem(WorkItem("gs://b/é\n\udcff.jpg", None, 0, ("é\n\udcff.jpg",), "17639")),
    PlannedItem(WorkItem("f.parquet", 3, 90, ("a", "b", "c"), None, 5, 20), {"b": KNOWN}, (0, 2)),
    CarriedRows(2, "catalogue/r/part-00000-of-00001.parquet", (1, 5), {"refresh": "unchanged", "last_run": None}),
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_is_one_line_and_comes_back_as_it_was(reference):
    line = encode_reference(reference)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and line.isascii()
    assert decode_reference(line) == reference


def listed(output):
    pipeline = beam.Pipeline(runner=FnApiRunner())
    return pipeline, pipeline | "ListWork" >> ListPlanned(iter(REFERENCES), str(output), RUN, "work")


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("in_graph, files", [(10**6, []), (10, ["work-00000.jsonl.gz"])])
def test_few_references_are_in_the_graph_and_many_in_files(in_graph, files, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_lists, "IN_GRAPH", in_graph)
    pipeline, found = listed(tmp_path)
    assert names(tmp_path) == files
    assert_that(found, equal_to(REFERENCES))
    pipeline.run().wait_until_finish()


def test_files_are_the_same_bytes_whenever_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(plan_lists, "IN_GRAPH", 0)
    monkeypatch.setattr(plan_lists, "_FILE_BYTES", 100)
    stored = []
    for place in ("one", "two"):
        listed(tmp_path / place)
        folder = pathlib.Path(lists_folder(str(tmp_path / place), RUN))
        stored.append({name: (folder / name).read_bytes() for name in names(folder)})
    assert stored[0] == stored[1] and len(stored[0]) > 1
    assert [reference for name in stored[0] for reference in read_list(str(folder / name))] == REFERENCES


def test_of_a_long_list_only_some_files_are_held_at_a_time(tmp_path, monkeypatch):
    encoded, ahead = [], []
    monkeypatch.setattr(plan_lists, "IN_GRAPH", 0)
    monkeypatch.setattr(plan_lists, "_FILE_BYTES", 1)
    monkeypatch.setattr(plan_lists, "_CONNECTIONS", 4)
    monkeypatch.setattr(plan_lists, "_write", lambda path, content: ahead.append(len(encoded) - len(ahead)))
    monkeypatch.setattr(plan_lists, "encode_reference", lambda reference: encoded.append(reference) or b"line\n")
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | ListPlanned(range(2_000), str(tmp_path), RUN, "work")
    assert len(ahead) == 2_000 and max(ahead) <= 4


def test_a_commit_deletes_the_lists_of_its_run_and_of_older_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(plan_lists, "IN_GRAPH", 0)
    listed(tmp_path)
    clear_journal(str(tmp_path), "20261121T223000Z-000000")
    assert names(tmp_path) == ["work-00000.jsonl.gz"]
    clear_journal(str(tmp_path), LATER)
    assert not names(tmp_path)
