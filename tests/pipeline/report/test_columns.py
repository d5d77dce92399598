import hashlib

import numpy as np
import pyarrow as pa
import pytest

from pipeline.records import catalogue_schema
from pipeline.report.columns import (
    EXAMPLES,
    find_ids,
    id_digest,
    read_catalogue,
    read_outcomes,
    read_rejections,
    read_rows,
)


def test_columns_hold_what_the_table_holds(runs):
    rows = runs.rows(50)
    runs.write("first", rows, parts=3)
    columns = read_catalogue(runs.output, "first")
    found = read_rows(columns, range(len(columns)))
    assert sorted(row["id"] for row in found) == [row["id"] for row in rows]
    np.testing.assert_array_equal(columns.presence, np.float32([row["presence"] for row in found]))
    np.testing.assert_array_equal(columns.coverage, np.float32([row["coverage"] for row in found]))
    assert [int(value) for value in columns.content] == [int(row["source_sha256"][:16], 16) for row in found]
    assert columns.category_column == "category"
    assert [columns.category_names[code] for code in columns.category] == [row["category"] for row in found]
    assert columns.reason_counts() == {"low_presence": 7, "cut_by_frame": 6, "low_resolution": 6}
    assert columns.refresh == {"new": 50}


def test_rows_come_in_the_order_asked_for_from_several_row_groups(runs):
    runs.write("first", runs.rows(40), parts=2, row_group_size=4)
    columns = read_catalogue(runs.output, "first")
    whole = read_rows(columns, range(40))
    wanted = [33, 2, 19, 0, 39, 2]
    assert read_rows(columns, wanted) == [whole[index] for index in wanted]


@pytest.mark.parametrize("table", ["empty", "missing"])
def test_no_photos(runs, table):
    if table == "empty":
        runs.write("first", [])
    columns = read_catalogue(runs.output, "first")
    assert len(columns) == 0
    assert columns.category_column is None
    assert read_rejections(runs.output, "first") == []


@pytest.mark.parametrize("values", ["every one different", "one", "null"])
def test_an_attribute_that_parts_nothing_is_no_category(runs, values):
    rows = runs.rows(60)
    for number, row in enumerate(rows):
        row["category"] = {"every one different": f"value {number}", "one": "shirt", "null": None}[values]
    runs.write("first", rows)
    assert read_catalogue(runs.output, "first").category_column is None


def test_the_attribute_of_most_values_among_the_small_ones_is_the_category(runs):
    rows = runs.rows(60)
    attributes = pa.schema([("sale", pa.bool_()), ("size", pa.int32()), ("text", pa.string()), ("bag", pa.binary())])
    for number, row in enumerate(rows):
        del row["category"]
        row.update(sale=number % 2 == 0, size=number % 5 if number else None, text=f"text {number}", bag=b"x")
    runs.write("first", rows, schema=catalogue_schema(attributes))
    columns = read_catalogue(runs.output, "first")
    assert columns.category_column == "size"
    assert sorted(columns.category_names) == ["0", "1", "2", "3", "4"]
    assert list(columns.category).count(255) == 1


def test_a_photo_takes_few_bytes(runs):
    runs.write("first", runs.rows(2000))
    columns = read_catalogue(runs.output, "first")
    arrays = [value for value in vars(columns).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) / len(columns) < 48


def test_rejections_are_grouped_with_examples_drawn_by_id(runs):
    rejections = runs.rejections(200) + [
        {**row, "id": f"other-{row['id']}", "stage": "fetch"} for row in runs.rejections(3, reason="not_found")
    ]
    runs.write("first", [], rejections)
    truncated, missing = read_rejections(runs.output, "first")
    assert (truncated.reason, truncated.count, dict(truncated.stages)) == ("truncated", 200, {"decode": 200})
    lowest = sorted((row["id"] for row in rejections[:200]), key=id_digest)[:EXAMPLES]
    assert [row["id"] for row in truncated.examples] == sorted(lowest)
    assert (missing.count, dict(missing.stages), len(missing.examples)) == (3, {"fetch": 3}, 3)


def test_outcomes_and_ids_by_digest(runs):
    rows, rejections = runs.rows(9), runs.rejections(2)
    runs.write("first", rows, rejections)
    digests, outcomes = read_outcomes(runs.output, "first")
    assert np.all(np.diff(digests.astype(object)) > 0)
    assert np.bincount(outcomes).tolist() == [6, 3, 2]
    names = find_ids(runs.output, "first", [int(digest) for digest in digests])
    assert sorted(names.values()) == sorted(row["id"] for row in rows + rejections)


def test_outcomes_of_a_pruned_run(runs):
    with pytest.raises(FileNotFoundError, match="no catalogue table of run 'gone'"):
        read_outcomes(runs.output, "gone")


def test_id_digest_does_not_change():
    assert id_digest("a") == int(hashlib.blake2b(b"a", digest_size=8).hexdigest(), 16)
    assert id_digest("\udcff") != id_digest("\udcfe")  # file names that are no UTF-8
