"""Nightly runs, end to end: what is spared, what is shared, what is replayed."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli import main
from pipeline.samples import render_samples


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[bytes]:
    """Five photos of which one is cut short."""
    folder = tmp_path_factory.mktemp("rendered")
    render_samples(folder, count=5, seed=21)
    found = [path.read_bytes() for path in sorted((folder / "images").rglob("*")) if path.is_file()]
    return [*sorted(found, key=len)[:4], found[4][: len(found[4]) // 3]]


def rows(finished):
    return {row["id"]: row for row in pq.read_table(finished.output / "catalogue" / finished.run).to_pylist()}


def refresh_of(finished):
    return {photo_id: row["refresh"] for photo_id, row in rows(finished).items()}


def write(folder, files):
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def said(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_touched_file_is_compared_and_a_moved_one_shares_its_pictures(packshot, pictures, tmp_path, capsys):
    source = write(tmp_path / "in", {"a.jpg": pictures[0], "b.jpg": pictures[1], "c.jpg": pictures[2]})
    first = packshot(source, tmp_path / "out")
    before = first.assets()
    os.utime(source / "a.jpg", (1, 1))
    (source / "b.jpg").rename(source / "z.jpg")
    (source / "c.jpg").write_bytes(pictures[3])
    found = said(capsys, "plan", "--input", str(source), "--output", str(first.output))
    assert "0 new, 1 changed, 1 unchanged, 1 duplicate, 0 unreadable, 1 removed" in found
    again = packshot(source, first.output)
    assert refresh_of(again) == {"a.jpg": "unchanged", "c.jpg": "changed", "z.jpg": "duplicate"}
    assert rows(again)["a.jpg"]["source_version"] != rows(first)["a.jpg"]["source_version"]
    assert rows(again)["z.jpg"]["assets"] == rows(first)["b.jpg"]["assets"]
    assert {name: again.assets()[name] for name in before} == before
    assert (again.json["unchanged"], again.json["duplicate"], again.json["removed"]) == (1, 1, 1)
    assert again.json["assets_written"] == 2 and again.json["previous_run"] == first.run


def test_bytes_under_an_old_time_are_found_only_by_looking(packshot, pictures, tmp_path):
    source = write(tmp_path / "in", {"a.jpg": pictures[0], "b.jpg": pictures[1]})
    first = packshot(source, tmp_path / "out")
    stamp = (source / "a.jpg").stat()
    other = bytearray(pictures[0])
    other[-3] ^= 1  # of the same length, and the time is set back
    (source / "a.jpg").write_bytes(other)
    os.utime(source / "a.jpg", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    trusting = packshot(source, first.output)
    assert refresh_of(trusting) == {"a.jpg": "unchanged", "b.jpg": "unchanged"}
    assert not {"read", "fetch", "decode", "segment"} & trusting.json["stages"].keys()
    careful = packshot(source, first.output, "--verify_content")
    assert refresh_of(careful) == {"a.jpg": "changed", "b.jpg": "unchanged"}


def test_settings_that_do_not_matter_change_nothing(packshot, pictures, tmp_path, capsys):
    source = write(tmp_path / "in", {"a.jpg": pictures[0]})
    packshot(source, tmp_path / "out")
    flags = ["--batch_size", "3", "--max_rejected_fraction", "0.9", "--fetch_timeout", "3"]
    capsys.readouterr()
    assert refresh_of(packshot(source, tmp_path / "out", *flags)) == {"a.jpg": "unchanged"}
    assert "s, no photo worked on" in capsys.readouterr().out


def test_the_same_bytes_are_worked_on_once(packshot, pictures, tmp_path, capsys):
    cut = pictures[4]
    source = write(
        tmp_path / "in", {"b.jpg": pictures[0], "a.jpg": pictures[0], "c.jpg": pictures[0], "d.jpg": pictures[1]}
    )
    write(source, {"x.jpg": cut, "y.jpg": cut})
    found = said(capsys, "run", "--dry_run", "--input", str(source), "--output", str(tmp_path / "out"))
    assert "3 new, 0 changed, 0 unchanged, 3 duplicate" in found and not (tmp_path / "out").exists()
    done = packshot(source, tmp_path / "out")
    assert refresh_of(done) == {"a.jpg": "new", "b.jpg": "duplicate", "c.jpg": "duplicate", "d.jpg": "new"}
    assert rows(done)["b.jpg"]["assets"] == rows(done)["a.jpg"]["assets"]
    assert done.json["assets_written"] == 4 and done.json["duplicate"] == 2
    rejected = pq.read_table(done.output / "rejections" / done.run).to_pylist()
    assert [(row["id"], row["reason"]) for row in rejected] == [("x.jpg", "truncated"), ("y.jpg", "truncated")]
    assert rejected[1]["detail"].startswith("as 'x.jpg', of the same bytes: ")
    again = packshot(source, tmp_path / "out")
    assert set(refresh_of(again).values()) == {"unchanged"}


def test_rows_of_a_file_that_grew(packshot, pictures, tmp_path):
    def table(ids, kinds):
        images = [pictures[int(i) % 4] for i in ids]
        pq.write_table(pa.table({"id": ids, "image": images, "kind": kinds}), tmp_path / "in.parquet", row_group_size=2)

    table(["0", "1", "2"], ["x", "y", "z"])
    flags = ["--attribute_columns", "kind"]
    packshot(tmp_path / "in.parquet", tmp_path / "out", *flags)
    again = packshot(tmp_path / "in.parquet", tmp_path / "out", *flags)
    assert set(refresh_of(again).values()) == {"unchanged"} and "read" not in again.json["stages"]
    table(["2", "3", "1"], ["z", "w", "v"])
    grown = packshot(tmp_path / "in.parquet", tmp_path / "out", *flags)
    assert refresh_of(grown) == {"1": "unchanged", "2": "unchanged", "3": "new"}
    assert {photo_id: row["kind"] for photo_id, row in rows(grown).items()} == {"1": "v", "2": "z", "3": "w"}
    other = packshot(tmp_path / "in.parquet", tmp_path / "out")  # without the attribute: read, not worked on
    assert set(refresh_of(other).values()) == {"unchanged"} and "kind" not in rows(other)["1"]


def test_photos_behind_uris_are_asked_for_and_share_pictures(packshot, pictures, tmp_path):
    write(tmp_path, {"a.jpg": pictures[0], "b.jpg": pictures[0], "c.jpg": pictures[1]})
    names = {"1": "a.jpg", "2": "a.jpg", "3": "b.jpg", "4": "c.jpg"}
    uris = [str(tmp_path / name) for name in names.values()]
    pq.write_table(pa.table({"id": list(names), "image": uris}), tmp_path / "in.parquet")
    done = packshot(tmp_path / "in.parquet", tmp_path / "out")
    assert refresh_of(done) == {"1": "new", "2": "duplicate", "3": "duplicate", "4": "new"}
    assert rows(done)["3"]["assets"] == rows(done)["1"]["assets"] and done.json["assets_written"] == 4
    (tmp_path / "c.jpg").write_bytes(pictures[2])
    again = packshot(tmp_path / "in.parquet", tmp_path / "out")
    assert refresh_of(again) == {"1": "unchanged", "2": "unchanged", "3": "unchanged", "4": "changed"}


def test_replay_runs_over_rejections_alone(packshot, pictures, tmp_path, capsys):
    files = {"a.jpg": pictures[0], "b.jpg": pictures[4], "c.jpg": b"", "d.jpg": pictures[1]}
    source = write(tmp_path / "in", files)
    first = packshot(source, tmp_path / "out")
    write(source, {"a.jpg": pictures[2], "b.jpg": pictures[3], "c.jpg": pictures[2], "new.jpg": pictures[1]})
    (source / "d.jpg").unlink()
    output = str(first.output)
    assert main(["replay", "--output", output, "--reason", "fetch_failed"]) == 2
    assert "its rejections are: empty (1), truncated (1)" in capsys.readouterr().err
    plan = said(capsys, "replay", "--output", output, "--reason", "truncated", "--dry_run")
    assert "1 new" in plan and "2 unmoved" in plan
    said(capsys, "replay", "--output", output, "--reason", "truncated", "--max_rejected_fraction", "0.5")
    run = (first.output / "LATEST").read_text().strip()
    told = json.loads((first.output / "runs" / run / "run.json").read_text())
    assert (told["read"], told["rejected"], told["unchanged"], told["removed"]) == (4, 1, 2, 0)
    found = {row["id"]: row for row in pq.read_table(first.output / "catalogue" / run).to_pylist()}
    assert {i: row["refresh"] for i, row in found.items()} == {
        "a.jpg": "unchanged",
        "b.jpg": "new",
        "d.jpg": "unchanged",
    }
    assert found["a.jpg"]["source_sha256"] == rows(first)["a.jpg"]["source_sha256"]
    (left,) = pq.read_table(first.output / "rejections" / run).to_pylist()
    assert (left["id"], left["reason"]) == ("c.jpg", "empty")
    said(capsys, "replay", "--output", output)
    assert main(["replay", "--output", output]) == 2
    assert "nothing to replay" in capsys.readouterr().err
    assert main(["replay", "--output", str(tmp_path / "other")]) == 2


def test_photos_that_a_replay_does_not_find_stay_rejected(packshot, pictures, tmp_path, capsys):
    source = write(tmp_path / "in", {"a.jpg": pictures[0], "b.jpg": pictures[4]})
    first = packshot(source, tmp_path / "out")
    (source / "b.jpg").unlink()
    said(capsys, "replay", "--output", str(first.output), "--max_rejected_fraction", "0.5")
    run = (first.output / "LATEST").read_text().strip()
    assert run != first.run
    assert pq.read_table(first.output / "rejections" / run).column("id").to_pylist() == ["b.jpg"]
