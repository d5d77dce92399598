"""From the input argument to work items."""

import dataclasses
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.sources import SourceError, WorkItem, open_source

PNG = b"\x89PNG not really"


def parquet(table: dict | pa.Table, **options) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), stream, **options)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    def write(files: dict[str, bytes]) -> str:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return str(tmp_path)

    return write


def unversioned(source) -> list[WorkItem]:
    """The items without their versions and sizes, of which it is made sure that they have some."""
    items = list(source.items())
    assert all(item.version and (item.bytes > 0) == source.is_parquet for item in items)
    return [dataclasses.replace(item, version=None, bytes=0) for item in items]


def error_of(*args, **kwargs) -> str:
    with pytest.raises(SourceError) as caught:
        list(open_source(*args, **kwargs).items())
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- image files ---


def test_image_files_have_their_path_for_id(store):
    place, put = store
    for name in ("shoes/b.JPG", "shoes/a.png", "hat.heic"):
        put(name, PNG)
    source = open_source(place)
    assert not source.is_parquet
    assert unversioned(source) == [
        WorkItem(f"{place}/{name}", None, 0, (name,)) for name in ("hat.heic", "shoes/a.png", "shoes/b.JPG")
    ]
    assert [item.ids for item in open_source(place + "/shoes/*.png").items()] == [("a.png",)]


def test_hidden_files_are_left_out_and_others_named(folder):
    place = folder({"a.png": PNG, ".DS_Store": b"x", ".cache/b.png": PNG, "__MACOSX/._a.png": PNG, "notes.txt": b"x"})
    source = open_source(place)
    assert [file.relative for file in source.files] == ["a.png"]
    assert source.passed_over == (f"{place}/notes.txt",)


def test_camera_names_are_not_hidden(folder):
    assert len(open_source(folder({"_DSC0001.jpg": PNG})).files) == 1


def test_no_input(folder):
    place = folder({})
    assert "no file at the input" in error_of(place)
    assert "no file at the input" in error_of(place + "/nothing")
    assert "no file at the input" in error_of(place + "/*.png")
    assert "cannot be listed" in error_of("nfs://server/x")
    assert "no Parquet and no image file" in error_of(folder({"readme.txt": b"x"}))


def test_mixed_input(folder):
    place = folder({"a.png": PNG, "b.parquet": parquet({"id": ["1"], "image": [PNG]})})
    assert "mixes 1 Parquet files ('b.parquet' ...) with 1 image files ('a.png' ...)" in error_of(place)
    assert open_source(place + "/*.parquet").is_parquet


def test_image_files_have_no_columns(folder):
    place = folder({"a.png": PNG})
    assert "have no columns, but 'category'" in error_of(place, attribute_columns=["category"])
    assert "have no columns, but 'picture'" in error_of(place, image_column="picture")


# --- Parquet ---


def test_one_item_for_each_row_group(store):
    place, put = store
    put("b.parquet", parquet({"id": list("uvw"), "image": [PNG] * 3}, row_group_size=2))
    put("a/a.parquet", parquet({"id": list("xyz"), "image": [PNG] * 3}, row_group_size=3))
    put("_SUCCESS", b"")
    items = unversioned(open_source(place))
    assert items == [
        WorkItem(f"{place}/a/a.parquet", 0, 0, ("x", "y", "z")),
        WorkItem(f"{place}/b.parquet", 0, 0, ("u", "v")),
        WorkItem(f"{place}/b.parquet", 1, 2, ("w",)),
    ]
    assert unversioned(open_source(place + "/b.parquet")) == items[1:]


def test_a_single_file_is_known_by_its_content(folder):
    place = folder({"feed.dat": parquet({"id": ["1"], "image": [PNG]})})
    assert open_source(place + "/feed.dat").is_parquet


def test_temporary_folders_of_table_writers_are_left_out(folder):
    file = parquet({"id": ["1"], "image": [PNG]})
    source = open_source(folder({"part.parquet": file, "_temporary/0/part.parquet": file}))
    assert [item.ids for item in source.items()] == [("1",)]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint64()])
def test_integer_ids_become_strings(folder, kind):
    table = pa.table({"id": pa.array([7, 12], kind), "image": [PNG, PNG]})
    (item,) = open_source(folder({"a.parquet": parquet(table)})).items()
    assert item.ids == ("7", "12")


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_string_ids_of_any_layout(folder, kind):
    table = pa.table({"id": pa.array(["a", "b"], pa.string()).cast(kind), "image": [PNG, PNG]})
    (item,) = open_source(folder({"a.parquet": parquet(table)})).items()
    assert item.ids == ("a", "b")


@pytest.mark.parametrize(("bad", "what"), [(None, "null"), ("", "empty")])
def test_missing_ids_are_named_with_file_and_row(folder, bad, what):
    table = pa.table({"id": pa.array(["a", "b", "c", bad]), "image": [PNG] * 4})
    message = error_of(folder({"a.parquet": parquet(table, row_group_size=2)}))
    assert f"the id is {what} in column 'id' of " in message and "a.parquet', row 3" in message


def test_missing_columns_list_those_there_are(folder):
    place = folder({"a.parquet": parquet({"sku": ["1"], "photo": [PNG], "seller": ["x"]})})
    listed = "the columns there are: sku, photo, seller"
    assert "no id column 'id'" in error_of(place) and listed in error_of(place)
    assert "no id column 'nr'" in error_of(place, id_column="nr")
    assert "no image column 'image'" in error_of(place, id_column="sku", image_column="image")
    message = error_of(place, id_column="sku", attribute_columns=["seller", "colour"])
    assert "no attribute column 'colour'" in message and listed in message


def test_the_image_column_is_found(folder, tmp_path):
    place = folder({"a.parquet": parquet({"id": ["1"], "photo": [PNG]})})
    assert open_source(place).options.image_column == "photo"
    struct = pa.array([{"bytes": PNG, "path": None}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    place = folder({"a.parquet": parquet({"id": ["1"], "picture": struct})})
    assert open_source(place).options.image_column == "picture"
    place = folder({"a.parquet": parquet({"id": ["1"], "image": ["http://x/y.png"], "hash": [b"x"]})})
    assert open_source(place).options.image_column == "image"
    place = folder({"a.parquet": parquet({"id": ["1"], "front": [PNG], "back": [PNG]})})
    assert "several could be it (front, back)" in error_of(place)
    place = folder({"a.parquet": parquet({"id": ["1"], "url": ["http://x/y.png"]})})
    assert "no other holds bytes" in error_of(place)
    assert open_source(place, image_column="url").options.image_column == "url"


def test_columns_of_wrong_types(folder):
    place = folder({"a.parquet": parquet({"id": [1.5], "image": [[1, 2]]})})
    assert "is of type double" in error_of(place)
    place = folder({"a.parquet": parquet({"id": [1], "image": [[1, 2]]})})
    assert "is of type list<" in error_of(place) and "struct<bytes, path>" in error_of(place)


def test_differing_schemas(folder):
    first = parquet({"id": ["1"], "image": [PNG], "size": [1]})
    place = folder({"a.parquet": first, "b.parquet": parquet({"id": ["2"], "image": [PNG], "size": ["L"]})})
    message = error_of(place, attribute_columns=["size"])
    assert "'size' is of type string in" in message and "b.parquet' but of type int64" in message
    assert len(list(open_source(place).items())) == 2  # the column is not used
    place = folder({"b.parquet": parquet({"id": ["2"], "picture": [PNG]})})
    assert "no column 'image' in" in error_of(place) and "b.parquet" in error_of(place)


def test_attributes_keep_their_types(folder):
    fields = [
        ("id", pa.string()),
        ("image", pa.binary()),
        ("price", pa.decimal128(9, 2)),
        ("tags", pa.list_(pa.string())),
    ]
    table = pa.Table.from_pylist([{"id": "1", "image": PNG}], pa.schema(fields))
    source = open_source(folder({"a.parquet": parquet(table)}), attribute_columns=["tags", "price"])
    assert source.attribute_schema == pa.schema([fields[3], fields[2]])
    assert source.options.attribute_columns == ("tags", "price")


def test_broken_and_empty_parquet(folder):
    place = folder({"a.parquet": parquet({"id": ["1"], "image": [PNG]})[:-9]})
    assert "a.parquet' cannot be read as Parquet" in error_of(place)
    place = folder({"a.parquet": parquet({"id": pa.array([], pa.string()), "image": pa.array([], pa.binary())})})
    assert "have no rows" in error_of(place)


def test_only_ids_are_read(folder, monkeypatch):
    """The picture's pages may be damaged: planning does not look at them."""
    table = pa.table({"id": ["1", "2"], "image": [b"A" * 5000, b"B" * 5000]})
    content = parquet(table, compression="none", use_dictionary=False)
    damaged = content.replace(b"A" * 5000 + (5000).to_bytes(4, "little") + b"B" * 5000, bytes(10004))
    assert damaged != content
    (item,) = open_source(folder({"a.parquet": damaged})).items()
    assert item.ids == ("1", "2")
