import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources.lookup import SourceReader


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "feed.parquet"
    pictures = [f"picture {i}".encode() for i in range(10)]
    pq.write_table(pa.table({"sku": [f"s{i}" for i in range(10)], "photo": pictures}), path, row_group_size=4)
    return path


@pytest.mark.parametrize("row", [0, 3, 4, 9])
def test_a_row_of_a_parquet_file_is_found_again(table, row):
    reader = SourceReader("sku", "photo")
    assert reader({"id": f"s{row}", "source_uri": f"{table}#{row}"}) == f"picture {row}".encode()


def test_a_file_is_found_again(tmp_path):
    (tmp_path / "a b.jpg").write_bytes(b"jpeg")
    assert SourceReader("id", None)({"id": "a b.jpg", "source_uri": str(tmp_path / "a b.jpg")}) == b"jpeg"


@pytest.mark.parametrize("uri", ["{0}#10", "{0}.gone#1", "{0}.gone"])
def test_what_is_gone_is_none(table, uri):
    assert SourceReader("sku", "photo")({"id": "s1", "source_uri": uri.format(table)}) is None


def test_a_row_that_now_has_another_id_is_none(table):
    assert SourceReader("sku", "photo")({"id": "s7", "source_uri": f"{table}#1"}) is None
