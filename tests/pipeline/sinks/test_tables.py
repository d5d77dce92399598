import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sinks.tables import encode_table, read_table, shard_of, to_arrow
from tests.pipeline.sinks.example_tables import RUN, SCHEMA, row, write_table


def test_only_some_columns_are_read(tmp_path):
    write_table(tmp_path, [row(i) for i in range(4)])
    table = read_table(str(tmp_path), "catalogue", RUN, columns=["id", "status"])
    assert table.column_names == ["id", "status"]
    assert table.num_rows == 4


@pytest.mark.parametrize(
    "column, value, sentence",
    [
        ("width", "wide", "row 'sku-1': 'wide' does not fit column 'width' of type int32"),
        ("width", 2**40, "does not fit column 'width'"),
        ("width", 1.5, "1.5 does not fit column 'width'"),
        ("model", 7, "7 does not fit column 'model' of type string"),
        ("status", None, "row 'sku-1': column 'status' must not be null"),
        ("price", "cheap", "'cheap' does not fit column 'price' of type double"),
    ],
)
def test_value_that_does_not_fit_is_named(column, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        to_arrow([row(0), row(1, **{column: value}), row(2)], SCHEMA)


def test_missing_and_unknown_columns_are_named():
    incomplete = {name: value for name, value in row(1).items() if name != "model"}
    with pytest.raises(ValueError, match=r"'sku-1'.*missing=\['model'\], unknown=\[\]"):
        to_arrow([incomplete], SCHEMA)
    with pytest.raises(ValueError, match=r"missing=\[\], unknown=\['colour'\]"):
        to_arrow([row(1, colour="red")], SCHEMA)


def test_missing_file_of_a_table_is_an_error(tmp_path):
    write_table(tmp_path, [row(i) for i in range(9)])
    os.remove(tmp_path / "catalogue" / RUN / "part-00001-of-00003.parquet")
    with pytest.raises(ValueError, match="should hold 3 files"):
        read_table(str(tmp_path), "catalogue", RUN)
    with pytest.raises(FileNotFoundError, match="no rejections table of run"):
        read_table(str(tmp_path), "rejections", RUN)


@settings(max_examples=50, deadline=None)
@given(row_id=st.text(st.characters(codec="utf-8")), shards=st.integers(1, 64))
def test_shard_is_stable_and_in_range(row_id, shards):
    assert shard_of(row_id, shards) == shard_of(row_id, shards)
    assert 0 <= shard_of(row_id, shards) < shards


def test_shard_of_an_id_never_changes():
    assert [shard_of(i, 16) for i in ("sku-1", "sku-2", "日本語")] == [5, 10, 3]


def test_encoded_table_is_deterministic():
    table = to_arrow([row(i) for i in range(100)], SCHEMA)
    assert encode_table(table) == encode_table(table)
