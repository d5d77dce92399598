"""What is pruned: by rules on names, by whole outputs made up, and by the command on rendered photos."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import pruning
from pipeline.cli import main
from pipeline.hashing import hashes
from pipeline.keeping import PrunePlan, PruneRefused, Verdict, committed_runs, plan_prune
from pipeline.markers import Marker, OutputBusy, run_marker
from pipeline.pruning import prune, prune_after_run, show
from pipeline.records import AUGMENTED_SCHEMA, Asset, Photo, catalogue_row, catalogue_schema
from pipeline.samples import render_samples
from pipeline.sinks import storage
from pipeline.sinks.assets import asset_name
from pipeline.sinks.tables import encode_table, read_table, to_arrow
from tests.pipeline.sinks.conftest import gs_options, output, s3_options  # noqa: F401

_DAY = 24 * 3600.0


def _run(number):
    return f"202611{1 + number:02}T223000Z-00000{number}"


def _asset(number):
    return asset_name(f"photo {number}", "a" * 64, "f", "m", ("packshot", "mask")[number % 2], "png")


def _write(place, name, content):
    if "://" in place:
        storage.write_bytes(storage.join(place, name), content)
        return
    path = pathlib.Path(place, name)  # without a sync to disk for each
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _store_run(place, number, assets, previous=None, described=True):
    """Stores a run whose catalogue names assets by their numbers, a photo each."""
    schema, rows = catalogue_schema(), []
    for asset in assets:
        content = b"picture %d" % asset
        sha256 = hashlib.sha256(content).hexdigest()
        stored = Asset("mask", _asset(asset), 4, 5, len(content), sha256, "image/png")
        photo = Photo(f"photo {asset}", "in/photo", source_sha256="a" * 64, assets=(stored,))
        rows.append(catalogue_row(photo, model="m", model_sha256="m", config_fingerprint="f", packshot_version="1"))
        _write(place, stored.uri, content)
    for part in range(2):
        name = f"catalogue/{_run(number)}/part-0000{part}-of-00002.parquet"
        _write(place, name, encode_table(to_arrow(rows[part::2], schema)))
    if described:
        text = json.dumps({"previous_run": None if previous is None else _run(previous)})
        _write(place, f"runs/{_run(number)}/run.json", text.encode())
        _write(place, f"runs/{_run(number)}/report.html", b"<p>")


def _store_samples(place, number, samples):
    """Gives a stored run a table of samples, with the file and the mask of each."""
    rows = []
    for sample in samples:
        digest = f"{sample:020x}"
        uri, mask = (f"assets/augmented/00/variant{name}-{digest}.png" for name in ("", "-mask"))
        empty = dict.fromkeys(AUGMENTED_SCHEMA.names)
        texts = dict.fromkeys(("generator", "purpose", "digital_source_type", "status", "config_fingerprint"), "x")
        rows.append({
            **empty, **texts, "id": f"variant-{digest}", "kind": "variant", "parents": [], "seed": 1, "operations": [],
            "final": True, "uri": uri, "bytes": 3, "mask_uri": mask, "mask_bytes": 3,
        })  # fmt: skip
        for name in (uri, mask):
            _write(place, name, b"abc")
    _write(
        place, f"augmented/{_run(number)}/part-00000-of-00001.parquet", encode_table(to_arrow(rows, AUGMENTED_SCHEMA))
    )
    path = pathlib.Path(place, "runs", _run(number), "run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "augmented": {}}))
    _write(place, f"runs/{_run(number)}/tfds/packshot_augmented/1.0.0/features.json", b"{}")


def _store(place, runs):
    """Stores committed runs, each with the numbers of its assets."""
    for number, assets in enumerate(runs):
        _store_run(place, number, assets, number - 1 if number else None)
    _write(place, "LATEST", f"{_run(len(runs) - 1)}\n".encode())


def _names(place):
    return {file.name for file in storage.list_files(place)}


def _assert_readable(place, run):
    rows = read_table(place, "catalogue", run).to_pylist()
    for asset in (asset for row in rows for asset in row["assets"]):
        content = storage.read_bytes(storage.join(place, asset["uri"]))
        assert hashlib.sha256(content).hexdigest() == asset["sha256"]


def _aged(place):
    """Makes all local files two days old."""
    for root, _, names in os.walk(place):
        for name in names:
            os.utime(os.path.join(root, name), (time.time() - 2 * _DAY,) * 2)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(storage, "_FIRST_PAUSE", 0.001)


_FILES = st.one_of(
    st.integers(0, 9).map(_asset),
    st.builds(
        "{}/{}/{}".format,
        st.sampled_from(["runs", "catalogue", "rejections", "removed", "unfinished", "assets", "elsewhere"]),
        st.integers(0, 5).map(_run) | st.sampled_from(["mine", "..", "LATEST"]),
        st.sampled_from(
            [
                "run.json",
                "part-00000-of-00001.parquet",
                "work-00000.jsonl.gz",
                "notes.txt",
                "a/b",
                ".host-1-0123abcd.partial",
            ]
        ),
    ),
    st.sampled_from(["assets/mask/0a/mine.png", "assets/x", "LATEST", "catalogue/part-00000-of-00001.parquet"]),
    st.text("ab/.-", min_size=1, max_size=12),
)


@settings(max_examples=120, deadline=None)
@given(
    files=st.lists(
        st.builds(storage.Entry, _FILES, st.just(1), st.sampled_from((1, 5)), st.booleans()), min_size=1, max_size=12
    ),
    runs=st.permutations(range(6)),
    bounds=st.tuples(st.integers(1, 5), st.integers(0, 5)),
    named=st.sets(st.integers(0, 9)),
    once=st.sets(st.integers(0, 9)),
    cutoff=st.sampled_from((0, 3, 9)),
)
def test_nothing_of_a_kept_run_and_nothing_foreign_ever_goes(files, runs, bounds, named, once, cutoff):
    kept = tuple(_run(number) for number in sorted(runs[: bounds[0]], reverse=True))
    others = sorted(_run(number) for number in runs[bounds[0] :])
    plan = PrunePlan(
        kept=kept,
        dropped=tuple(run for run in others if run < min(kept)),
        unfinished=tuple(run for run in others if run > min(kept)),
        named=np.unique(hashes(map(_asset, named))),
        once_named=np.unique(hashes(map(_asset, once - named))),
    )
    verdicts = plan.judge(files, cutoff)
    assert len(verdicts) == len(files)
    known = {_asset(number) for number in range(10)}
    for file, verdict in zip(files, verdicts, strict=True):
        if not verdict.goes:
            continue
        assert file.plain
        assert file.name not in {_asset(number) for number in named}
        parts = file.name.split("/")
        assert parts[0] in ("runs", "catalogue", "rejections", "removed", "unfinished", "assets")
        is_partial = storage.is_partial(parts[-1])
        assert is_partial or file.name in known or (len(parts) > 2 and parts[1] in others)
        if file.modified > cutoff:
            assert parts[1] in plan.dropped or file.name in {_asset(number) for number in once}


def test_runs_are_followed_back_from_the_current_one():
    before = {"e": "d", "d": "b", "b": None, "x": "d"}
    described = {*before, "a", "c"}
    assert list(committed_runs("e", described, before.get)) == ["e", "d", "b", "a"]  # a: of an earlier release
    assert list(committed_runs("e", {"e", "a"}, before.get)) == ["e"]  # d was pruned
    assert list(committed_runs("e", {"e", "d"}, {"e": "d", "d": "e"}.get)) == ["e", "d"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(st.sets(st.integers(0, 11), max_size=8), min_size=1, max_size=5),
    orphans=st.sets(st.integers(0, 15), max_size=4),
    keep_runs=st.integers(1, 6),
)
def test_what_stays_is_what_kept_runs_name(runs, orphans, keep_runs, tmp_path_factory):
    place = str(tmp_path_factory.mktemp("pruned") / "out")
    _store(place, runs)
    for number in orphans:
        _write(place, _asset(number), b"picture %d" % number)
    before = _names(place)
    _, shown = show(place, keep_runs=keep_runs, min_age=0)
    assert _names(place) == before
    plan, done = prune(place, keep_runs=keep_runs, min_age=0)
    assert (done.files, done.bytes, done.missing) == (shown.files, shown.bytes, 0)
    kept = range(len(runs))[-keep_runs:]
    assert sorted(plan.kept) == [_run(number) for number in kept]
    left = _names(place)
    assert {name for name in left if name.startswith("assets/")} == {_asset(a) for run in kept for a in runs[run]}
    assert {name.split("/")[1] for name in left if not name.startswith(("assets/", "LATEST"))} == set(plan.kept)
    for run in plan.kept:
        _assert_readable(place, run)
    assert prune(place, keep_runs=keep_runs, min_age=0)[1].going() == []


def test_pruning_on_every_storage(output):  # noqa: F811
    _store(output, [{0, 1, 2}, {1, 2, 3}, {2, 3, 4}])
    storage.write_bytes(storage.join(output, _asset(9)), b"of a run that was killed")
    storage.write_bytes(storage.join(output, "assets/notes.txt"), b"not Packshot's")
    storage.write_bytes(storage.join(output, "readme.txt"), b"not Packshot's")
    _, tally = show(output, keep_runs=2, min_age=_DAY)
    assert tally.files["younger"] == 1 and tally.files["not Packshot's"] == 2
    assert sum(tally.files[key] for key in tally.going()) == 5
    plan, _ = prune(output, keep_runs=2, min_age=0)
    assert _names(output) == {
        "LATEST", "assets/notes.txt", "readme.txt", *(_asset(number) for number in (1, 2, 3, 4)),
        *(f"runs/{run}/{name}" for run in plan.kept for name in ("run.json", "report.html")),
        *(f"catalogue/{run}/part-0000{part}-of-00002.parquet" for run in plan.kept for part in (0, 1)),
    }  # fmt: skip
    for run in plan.kept:
        _assert_readable(output, run)


def test_retention_on_every_storage(output):  # noqa: F811
    _store(output, [{0, 1}, {0, 1, 2}, {2, 3}, {3, 4}])
    storage.write_bytes(storage.join(output, _asset(9)), b"of a run that was killed")
    assert prune_after_run(output, 0) is None
    plan, tally = prune_after_run(output, 2)
    assert sum(tally.files[key] for key in tally.going() if key.startswith("assets")) == 2
    assert {name for name in _names(output) if name.startswith("assets")} == {_asset(n) for n in (2, 3, 4, 9)}
    assert {name.split("/")[1] for name in _names(output) if name.startswith(("runs", "catalogue"))} == set(plan.kept)


def test_a_failed_retention_is_a_warning(tmp_path, caplog):
    place = str(tmp_path)
    _store(place, [{0}, {1}])
    storage.write_bytes(run_marker(place, _run(5)), Marker.mine().text().encode())
    before = _names(place)
    assert prune_after_run(place, 1) is None
    assert "Older runs were not pruned" in caplog.text and f"run {_run(5)} may be in progress" in caplog.text
    assert _names(place) == before


@pytest.mark.parametrize("retention", [False, True])
@pytest.mark.parametrize("batches", range(9))
def test_a_killed_pruning_is_finished_by_the_next(tmp_path, monkeypatch, retention, batches):
    monkeypatch.setattr(pruning, "_AT_A_TIME", 2)
    place, undisturbed = str(tmp_path / "out"), str(tmp_path / "undisturbed")
    _store(place, [{0, 1, 2}, {2, 3, 4, 5}, {4, 5, 6}, {6, 7}])
    _aged(place)
    shutil.copytree(place, undisturbed)
    work = (lambda at: prune_after_run(at, 2)) if retention else (lambda at: prune(at, keep_runs=2, min_age=_DAY))
    work(undisturbed)
    delete, calls = storage.delete_files, []

    class Killed(BaseException):
        pass

    def killed(folder, names):
        if names != ["PRUNING"]:
            calls.append(names)
            if len(calls) > batches:
                delete(folder, names[: len(names) // 2])
                raise Killed
        delete(folder, names)

    monkeypatch.setattr(storage, "delete_files", killed)
    try:
        work(place)
    except Killed:
        pass
    else:
        assert len(calls) <= batches
    monkeypatch.setattr(storage, "delete_files", delete)
    for number in (2, 3):
        _assert_readable(place, _run(number))
    for number in (0, 1):  # what still says that it is a run is a whole one
        if storage.exists(storage.join(place, "runs", _run(number), "run.json")):
            _assert_readable(place, _run(number))
    work(place)
    assert _names(place) == _names(undisturbed)


def _refused(place, match, keep_runs=2):
    before = _names(place)
    for work in (show, prune):
        with pytest.raises(PruneRefused, match=match):
            work(place, keep_runs=keep_runs, min_age=0)
    assert _names(place) == before


def test_refused_unless_it_is_known_what_to_keep(tmp_path):
    place = str(tmp_path / "out")
    _refused(place, "holds no committed run")
    assert not os.path.exists(place)
    _store(place, [{0, 1}, {1, 2}, {3}])
    _refused(place, "at least 1", keep_runs=0)
    part = tmp_path / "out" / "catalogue" / _run(1) / "part-00001-of-00002.parquet"
    content = part.read_bytes()
    part.write_bytes(content[: len(content) // 2])
    _refused(place, f"catalogue of run '{_run(1)}', which is to be kept, is not whole")
    part.unlink()
    _refused(place, "is not whole: .* should hold 2 files")
    part.write_bytes(content)
    described = tmp_path / "out" / "runs" / _run(2) / "run.json"
    text = described.read_text()
    for broken in ("{", '"x"', '{"previous_run": "../../x"}'):
        described.write_text(broken)
        _refused(place, "cannot be read|no run's name")
    described.unlink()
    _refused(place, "the current run .* has no run.json")
    described.write_text(text)
    (tmp_path / "out" / "LATEST").write_text("../..")
    with pytest.raises(ValueError, match="no run's name"):
        prune(place, keep_runs=2, min_age=0)
    (tmp_path / "out" / "LATEST").unlink()
    (tmp_path / "out" / "LATEST").mkdir()
    _refused(place, "cannot be read")


def test_a_dropped_run_that_is_not_whole_goes_all_the_same(tmp_path):
    place = str(tmp_path)
    _store(place, [{0, 1, 2}, {2, 3}])
    part = tmp_path / "catalogue" / _run(0) / "part-00001-of-00002.parquet"
    part.write_bytes(part.read_bytes()[:40])
    prune(place, keep_runs=1, min_age=0)
    assert {name for name in _names(place) if name.startswith("assets")} == {_asset(2), _asset(3)}


@pytest.mark.parametrize("kept_by", [{}, {"host": "another"}, {"local": False, "pid": 2**22 + 1}])
def test_refused_while_a_run_is_in_progress(tmp_path, kept_by):
    place = str(tmp_path)
    _store(place, [{0}, {1}])
    marker = dataclasses.replace(Marker.mine(), **kept_by)
    storage.write_bytes(run_marker(place, _run(7)), marker.text().encode())
    before = _names(place)
    with pytest.raises(OutputBusy, match=f"run {_run(7)} may be in progress .process {marker.pid} on host"):
        prune(place, keep_runs=1, min_age=_DAY)
    assert _names(place) == before
    storage.delete_files(place, [f"runs/{_run(7)}/started.json"])
    prune(place, keep_runs=1, min_age=_DAY)


def test_a_run_that_died_does_not_stand_in_the_way_and_its_files_go_with_age(tmp_path):
    place = str(tmp_path)
    _store(place, [{0}, {1}])
    _store_run(place, 7, {5}, described=False)
    dead = dataclasses.replace(Marker.mine(), pid=2**22 + 1)
    storage.write_bytes(run_marker(place, _run(7)), dead.text().encode())
    storage.write_bytes(storage.join(place, "runs", _run(7), "deeper", "x"), b"x")
    prune(place, keep_runs=2, min_age=_DAY)
    assert storage.exists(run_marker(place, _run(7))) and storage.exists(storage.join(place, _asset(5)))
    _aged(place)
    prune(place, keep_runs=2, min_age=_DAY)
    assert not any(_run(7) in name for name in _names(place)) and _asset(5) not in _names(place)
    assert not os.path.exists(os.path.join(place, "runs", _run(7)))


def test_it_stops_when_another_run_is_committed_meanwhile(tmp_path, monkeypatch):
    place = str(tmp_path)
    _store(place, [{0, 1}, {1, 2}])
    delete = storage.delete_files

    def overtaken(folder, names):
        delete(folder, names)
        storage.write_bytes(storage.join(place, "LATEST"), f"{_run(8)}\n".encode())

    monkeypatch.setattr(storage, "delete_files", overtaken)
    with pytest.raises(OutputBusy, match="another run than .* was committed"):
        prune(place, keep_runs=1, min_age=0)
    assert _asset(0) in _names(place)


def test_links_are_neither_followed_nor_deleted(tmp_path, caplog):
    place, outside = tmp_path / "out", tmp_path / "outside"
    _store(str(place), [{0, 2}, {1}])
    shutil.move(place / "assets" / "packshot", outside)
    (place / "assets" / "packshot").symlink_to(outside)
    (place / "runs" / "elsewhere").symlink_to(tmp_path)
    linked = place / "assets" / "mask" / "0a" / f"photo-{'0a' * 10}.png"
    linked.parent.mkdir(parents=True, exist_ok=True)
    linked.symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("not Packshot's")
    _, tally = prune(str(place), keep_runs=1, min_age=0)
    assert tally.files["not Packshot's"] == 3
    assert linked.is_symlink() and (tmp_path / "victim").exists()
    assert len([path for path in outside.rglob("*") if path.is_file()]) == 2
    shutil.rmtree(place)
    outside.rename(tmp_path / "outside before")
    _store(str(place), [{0, 2}, {1}])
    shutil.move(place / "assets" / "packshot", outside)
    (place / "assets" / "packshot").symlink_to(outside)
    prune_after_run(str(place), 1)  # which goes by the names in tables
    assert len([path for path in outside.rglob("*") if path.is_file()]) == 2
    assert "reached through a symbolic link" in caplog.text


def test_names_in_tables_do_not_lead_out_of_the_folder(tmp_path, monkeypatch):
    place = tmp_path / "out"
    victim = tmp_path / "victim.png"
    victim.write_text("not Packshot's")
    monkeypatch.setattr(f"{__name__}._asset", lambda number: ["../victim.png", "LATEST", "runs/x"][number])
    _store_run(str(place), 0, set())
    rows = [{"uri": name, "bytes": 1} for name in ("../victim.png", "LATEST", str(victim), "a/../../victim.png")]
    schema = catalogue_schema()
    assets = [dict.fromkeys(("kind", "sha256", "media_type"), "x") | {"width": 1, "height": 1} | row for row in rows]
    photo = Photo("a", "in/a", source_sha256="a" * 64)
    row = catalogue_row(photo, model="m", model_sha256="m", config_fingerprint="f", packshot_version="1")
    content = encode_table(to_arrow([{**row, "assets": assets}], schema))
    (place / "catalogue" / _run(0) / "part-00000-of-00002.parquet").write_bytes(content)
    _store_run(str(place), 1, set(), 0)
    (place / "LATEST").write_text(_run(1))
    assert prune_after_run(str(place), 1) is not None
    assert victim.exists() and (place / "LATEST").exists() and not (place / "catalogue" / _run(0)).exists()


def test_the_plan_takes_few_bytes_a_name(tmp_path):
    place = str(tmp_path)
    _store(place, [set(range(200)), set(range(100, 250))])
    plan = plan_prune(place, 1)
    assert (len(plan.named), len(plan.once_named)) == (150, 100)
    assert plan.named.itemsize == plan.once_named.itemsize == 8
    verdicts = plan.judge([storage.Entry(_asset(n), 1, 0.0) for n in range(300)], 1.0)
    assert verdicts == [Verdict.KEPT if 100 <= n < 250 else Verdict.ASSET for n in range(300)]


@pytest.fixture(scope="module")
def three_runs(tmp_path_factory):
    """Three runs of the command on rendered photos, of which one goes and one changes each time."""
    folder = tmp_path_factory.mktemp("three")
    render_samples(folder / "samples", count=5, seed=3)
    source = folder / "in"
    shutil.copytree(folder / "samples" / "images", source)
    arguments = ["--input", str(source), "--output", str(folder / "out"), "--outputs", "mask"]
    photos = sorted(path for path in source.rglob("*") if path.is_file())
    removed = []
    for number in range(3):
        if number:
            removed.append(photos.pop(0).relative_to(source).as_posix())
            (source / removed[-1]).unlink()
            photos[-1].write_bytes(photos[0].read_bytes() + bytes(number))
        assert main(["run", *arguments]) == 0
    return folder / "out", arguments, removed


def _latest(place):
    run = (place / "LATEST").read_text().strip()
    return run, json.loads((place / "runs" / run / "run.json").read_text())


def test_removed_photos_are_listed_with_their_pictures(three_runs):
    place, _, removed = three_runs
    run, described = _latest(place)
    before = described["previous_run"]
    (row,) = pq.read_table(place / "removed" / run).to_pylist()
    assert described["removed"] == 1 and row["last_run"] == before
    assert sorted(os.listdir(place / "runs" / run)) == ["report.html", "run.json"]  # and no marker
    known = {row["id"]: row for row in pq.read_table(place / "catalogue" / before).to_pylist()}
    assert row == {name: known[removed[1]][name] for name in row if name != "last_run"} | {"last_run": before}
    report = (place / "runs" / run / "report.html").read_text()
    assert f"Mask: {removed[1]}" in report.split('<section id="removed">')[1].split("</section>")[0]


def test_the_command_shows_then_deletes_then_nothing_is_redone(three_runs, capsys, tmp_path):
    place, arguments, removed = three_runs
    shutil.copytree(place, tmp_path / "out")
    place = tmp_path / "out"
    arguments = [str(place) if value.endswith("/out") else value for value in arguments]
    run, _ = _latest(place)
    before = _names(str(place))
    files = tmp_path / "files.tsv"
    assert main(["prune", "--output", str(place), "--keep_runs", "1", "--list", str(files)]) == 0
    shown = capsys.readouterr().out
    assert "nothing was deleted; --delete does it" in shown and "goes      assets/mask: 4 files" in shown
    assert _names(str(place)) == before
    listed = {line.split("\t")[2] for line in files.read_text().splitlines()}
    assert main(["prune", "--output", str(place), "--keep_runs", "1", "--delete"]) == 0
    assert "deleted   assets/mask: 4 files" in capsys.readouterr().out
    assert before - _names(str(place)) == listed and listed < before
    _assert_readable(str(place), run)
    assert main(["run", *arguments]) == 0
    again, described = _latest(place)
    assert (described["unchanged"], described["assets_written"]) == (3, 0)
    assert described["previous_run"] == run
    assert main(["run", *arguments, "--keep_runs", "1"]) == 0
    assert {path.name for path in (place / "runs").iterdir()} == {_latest(place)[0]}
    assert "deleted   runs: 4 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--min_age", "-1"], "--min_age=-1.0 must be at least 0"),
        (["--keep_runs", "0"], "--keep_runs=0 must be at least 1"),
        (["--nosuchflag", "1"], "unknown arguments --nosuchflag"),
        (["--delete"], "holds no committed run"),
    ],
)
def test_wrong_usage_is_one_line(flags, says, tmp_path, capsys):
    assert main(["prune", "--output", str(tmp_path / "out"), *flags]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["sweep", "retire"])
def test_samples_stay_as_long_as_a_kept_run_names_them(tmp_path, way):
    _store(str(tmp_path), [[1], [1], [1]])
    for number, samples in enumerate([(1, 2), (2, 3), (3, 4)]):
        _store_samples(str(tmp_path), number, samples)
    if way == "sweep":
        prune(str(tmp_path), keep_runs=2, min_age=_DAY)
    else:
        assert prune_after_run(str(tmp_path), 2) is not None
    left = {name for name in _names(str(tmp_path)) if name.startswith("assets/augmented")}
    assert left == {
        f"assets/augmented/00/variant{mask}-{sample:020x}.png" for sample in (2, 3, 4) for mask in ("", "-mask")
    }
    assert not any(_run(0) in name for name in _names(str(tmp_path)))
    assert f"runs/{_run(1)}/tfds/packshot_augmented/1.0.0/features.json" in _names(str(tmp_path))


def test_nothing_is_pruned_while_a_kept_table_of_samples_is_missing(tmp_path):
    _store(str(tmp_path), [[1], [1]])
    for number in (0, 1):
        _store_samples(str(tmp_path), number, (1,))
    shutil.rmtree(tmp_path / "augmented" / _run(1))
    with pytest.raises(PruneRefused, match="no augmented table"):
        plan_prune(str(tmp_path), 1)
