import pyarrow as pa
import pytest

from pipeline import hashing
from pipeline.previous import load_previous
from pipeline.records import KnownPhoto
from pipeline.refresh import plan_refresh
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows, carried_tables
from pipeline.sinks.tables import shard_of
from pipeline.sources.items import WorkItem
from tests.pipeline.previous_run import CONFIG, MODEL, RUN, SCHEMA, SHA, in_memory, row, store_run


def loaded(output, **changes):
    return load_previous(str(output), RUN, **{"fingerprint": CONFIG, "model_sha256": MODEL, **changes})


def test_what_is_known_of_a_photo(tmp_path):
    rows = [row(f"id {i}") for i in range(20)]
    store_run(tmp_path, rows)
    previous = loaded(tmp_path)
    assert len(previous) == 20 and len(previous.parts) == 3 and previous.schema.equals(SCHEMA)
    known = previous.known(previous.positions([r["id"] for r in rows] + ["other"]))
    assert known.pop() is None
    for fact, expected in zip(known, rows, strict=True):
        assert fact == KnownPhoto(
            fact.part, fact.position, expected["source_uri"], SHA, expected["source_version"], current=True
        )
        (table,) = carried_tables(str(tmp_path), [CarriedRows(0, fact.part, (fact.position,), {})], SCHEMA)
        assert table.to_pylist() == [expected]


def test_a_missing_or_cut_table_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no catalogue table of run '{RUN}'"):
        loaded(tmp_path)
    store_run(tmp_path, [row("a")], shards=1)
    part = tmp_path / "catalogue" / RUN / "part-00000-of-00001.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(ValueError, match="is not a whole Parquet file .* name an older run of this folder in LATEST"):
        loaded(tmp_path)


def test_positions_when_hashes_collide(monkeypatch):
    monkeypatch.setattr(hashing, "hash", lambda text: len(text), raising=False)
    rows = [row(photo_id) for photo_id in ("aa", "b", "cc", "dd", "e")]
    previous = in_memory(rows, parts=2)
    assert previous.positions(["dd", "ee", "aa", "e", "x"]).tolist() == [3, -1, 0, 4, -1]
    assert previous.missing_from(["cc", "b", "zz"]).tolist() == [0, 3, 4]


@pytest.mark.parametrize(
    "changes, options, current",
    [
        ({}, {}, True),
        ({"config_fingerprint": "0" * 64}, {}, False),
        ({"model_sha256": "0" * 64}, {}, False),
        ({}, {"fingerprint": "0" * 64}, False),
        ({}, {"full_refresh": True}, False),
    ],
)
def test_pictures_are_current_if_nothing_that_decides_them_changed(tmp_path, changes, options, current):
    store_run(tmp_path, [row("a", **changes), row("b", config_fingerprint="1" * 64)])
    previous = loaded(tmp_path, **options)
    assert [fact.current for fact in previous.known(previous.positions(["a", "b"]))] == [current, False]


@pytest.mark.parametrize("content", [None, b"six"])
def test_pictures_that_are_gone_or_cut_are_not_current(tmp_path, content):
    store_run(tmp_path, [row("a"), row("b")])
    path = tmp_path / "assets" / "mask" / "00" / "a.png"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    previous = loaded(tmp_path)
    assert [fact.current for fact in previous.known(previous.positions(["a", "b"]))] == [False, True]


@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("suffix", ["", "/"])
def test_assets_are_found_however_the_folder_is_written(tmp_path, prefix, suffix):
    store_run(tmp_path, [row("a")])
    assert loaded(f"{prefix}{tmp_path}{suffix}").current.all()


def test_assets_may_lie_elsewhere_behind_links(tmp_path):
    store_run(tmp_path / "out", [row("a"), row("b")])
    mask = tmp_path / "out" / "assets" / "mask" / "00"
    (mask / "a.png").rename(tmp_path / "a.png")
    (mask / "a.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "out" / "assets").rename(tmp_path / "assets")
    (tmp_path / "out" / "assets").symlink_to(tmp_path / "assets")
    assert loaded(tmp_path / "out").current.all()


def test_assets_are_listed_by_parts_of_their_folders(tmp_path, monkeypatch):
    uris = {i: f"assets/{kind}/{i}/{i}.png" for i, kind in (("0f", "mask"), ("0a", "mask"), ("a0", "packshot"))}
    rows = [row(i, assets=[{**row(i)["assets"][0], "uri": uri}]) for i, uri in uris.items()]
    store_run(tmp_path, [*rows, row("away", assets=[{**row("away")["assets"][0], "uri": "elsewhere/away.png"}])])
    asked, listing = [], storage.list_files
    monkeypatch.setattr(
        storage, "list_files", lambda folder, begins="": asked.append(begins) or listing(folder, begins)
    )
    previous = loaded(tmp_path)
    found = previous.known(previous.positions(["0f", "0a", "a0", "away"]))
    assert [fact.current for fact in found] == [True, True, True, False]  # no asset is anywhere else
    assert sorted(asked) == ["mask/0", "packshot/a"]


def test_rows_of_an_older_version_are_not_current(tmp_path):
    schema = pa.schema([field for field in SCHEMA if field.name != "colour_shift"])
    older = {name: value for name, value in row("a").items() if name != "colour_shift"}
    store_run(tmp_path, [older], schema=schema)
    assert not loaded(tmp_path).current.any()


def test_rows_from_before_versions_were_kept_are_read_again(tmp_path):
    schema = pa.schema([field for field in SCHEMA if field.name != "source_version"])
    store_run(tmp_path, [{name: value for name, value in row("a").items() if name != "source_version"}], schema=schema)
    previous = loaded(tmp_path)
    (fact,) = previous.known(previous.positions(["a"]))
    assert fact.current and fact.source_version is None
    plan = plan_refresh([WorkItem("old/a.jpg", None, 0, ("a",), "v a")], previous)
    assert (plan.known, len(plan.unmoved)) == (1, 0)


def test_categories_come_along_where_pictures_depend_on_them(tmp_path):
    store_run(tmp_path, [row("a"), row("b", category=None)])
    previous = loaded(tmp_path, category_column="category")
    assert [fact.category for fact in previous.known(previous.positions(["a", "b"]))] == ["shirt", None]


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_carried_rows_are_named_by_their_new_shard(tmp_path, shards):
    rows = [row(f"id {i}") for i in range(30)]
    store_run(tmp_path, rows, shards=3)
    previous = loaded(tmp_path)
    taken = previous.positions([f"id {i}" for i in range(0, 30, 2)])
    found = []
    for carried in previous.carried(taken, shards, refresh="unchanged"):
        (table,) = carried_tables(str(tmp_path), [carried], SCHEMA)
        assert all(shard_of(r["id"], shards) == carried.shard for r in table.to_pylist())
        found += table.to_pylist()
    expected = [{**r, "refresh": "unchanged"} for r in rows[::2]]
    assert sorted(found, key=lambda r: r["id"]) == sorted(expected, key=lambda r: r["id"])
