import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources import lookup
from pipeline.sources.lookup import SourceReader


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "feed.parquet"
    pictures = [f"picture {i}".encode() for i in range(10)]
    pq.write_table(pa.table({"sku": [f"s{i}" for i in range(10)], "photo": pictures}), path, row_group_size=4)
    return path


def read(*places):
    """Returns the photos at ``(id, source_uri)``, in order."""
    found = dict(SourceReader("sku", "photo")([{"id": name, "source_uri": str(uri)} for name, uri in places]))
    assert sorted(found) == list(range(len(places)))
    return [found[index] for index in range(len(places))]


@pytest.mark.parametrize("row", [0, 3, 4, 9])
def test_a_row_of_a_parquet_file_is_found_again(table, row):
    assert read((f"s{row}", f"{table}#{row}")) == [f"picture {row}".encode()]


def test_rows_and_files_in_any_order(tmp_path, table):
    names = [f"{number} b.jpg" for number in range(lookup._FETCHED_AT_ONCE + 3)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    rows = [(f"s{row}", f"{table}#{row}") for row in (9, 1, 2, 0, 8)]
    found = read(*rows[:2], *((name, tmp_path / name) for name in names), *rows[2:])
    assert found[:2] == [b"picture 9", b"picture 1"]
    assert found[2:-3] == [name.encode() for name in names]
    assert found[-3:] == [b"picture 2", b"picture 0", b"picture 8"]


def test_each_row_group_is_read_once(table, monkeypatch):
    items = []

    def read_photos(planned, options):
        items.append(planned.item)
        return read_all(planned, options)

    read_all = lookup.read_photos
    monkeypatch.setattr(lookup, "read_photos", read_photos)
    assert read(*((f"s{row}", f"{table}#{row}") for row in range(10))) == [f"picture {i}".encode() for i in range(10)]
    assert [item.row_group for item in items] == [0, 1, 2]


@pytest.mark.parametrize("uri", ["{0}#10", "{0}.gone#1", "{0}.gone"])
def test_what_is_gone_is_none(table, uri):
    assert read(("s1", uri.format(table)), ("s1", f"{table}#1")) == [None, b"picture 1"]


def test_a_row_that_now_has_another_id_is_none(table):
    assert read(("s7", f"{table}#1"), ("s1", f"{table}#1"), ("s8", f"{table}#1")) == [None, b"picture 1", None]


def test_a_file_that_is_no_table_any_more_costs_its_own_photos_only(tmp_path, table):
    (tmp_path / "other.parquet").write_bytes(b"PAR1 and then nothing")
    assert read(("s1", f"{tmp_path / 'other.parquet'}#1"), ("s1", f"{table}#1")) == [None, b"picture 1"]
