"""The command, end to end, on rendered photos: contracts, refresh, faults."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.cli import main
from pipeline.records import CATALOGUE_COLUMNS, REJECTIONS_SCHEMA, TRAILING_COLUMNS


def rows(finished, table="catalogue"):
    return pq.read_table(finished.output / table / finished.run).to_pylist()


def copied(catalogue, folder, whole, broken=0):
    """Copies so many photos of the catalogue to a new folder, named by their number; returns the names in order."""
    folder.mkdir()
    truth = pq.read_table(catalogue / "truth.parquet").to_pylist()
    ids = [[row["id"] for row in truth if bool(row["broken"]) is bad] for bad in (False, True)]
    for number, name in enumerate([*ids[0][:whole], *ids[1][:broken]]):
        (folder / f"{number}{os.path.splitext(name)[1]}").write_bytes((catalogue / "images" / name).read_bytes())
    return sorted(path.name for path in folder.iterdir())


def test_every_photo_is_accounted_for(first_run, catalogue):
    run = first_run.json
    files = [path for path in (catalogue / "images").rglob("*") if path.is_file()]
    assert first_run.status == 0
    assert run["read"] == len(files) == run["ready"] + run["review"] + run["rejected"]
    ids = [row["id"] for row in rows(first_run)] + [row["id"] for row in rows(first_run, "rejections")]
    assert sorted(ids) == sorted(path.relative_to(catalogue / "images").as_posix() for path in files)


def test_run_tells_how_the_model_was_kept_at_work(first_run):
    run = first_run.json
    assert run["inference"]["photos"] == run["ready"] + run["review"] - run["duplicate"]
    assert 0 < run["inference"]["batch_fill"] <= 1 and 0 < run["inference"]["waiting"] < 1
    assert not [stage for stage in run["stages"] if " " in stage]


def test_tables_have_the_contract_columns(first_run):
    table = pq.read_table(first_run.output / "catalogue" / first_run.run)
    assert tuple(table.column_names) == CATALOGUE_COLUMNS + TRAILING_COLUMNS
    assert pq.read_table(first_run.output / "rejections" / first_run.run).schema.equals(REJECTIONS_SCHEMA)


def test_broken_files_are_rejected_for_the_reason_that_was_planted(first_run, catalogue):
    truth = {row["id"]: row for row in pq.read_table(catalogue / "truth.parquet").to_pylist()}
    planted = {i: row["broken"] for i, row in truth.items() if row["broken"]}
    assert {row["id"]: row["reason"] for row in rows(first_run, "rejections")} == planted
    assert len(planted) == 3


def test_assets_are_what_the_table_says(first_run):
    for row in rows(first_run):
        assert {asset["kind"] for asset in row["assets"]} == {"packshot", "mask", "cutout"}
        for asset in row["assets"]:
            content = (first_run.output / asset["uri"]).read_bytes()
            assert len(content) == asset["bytes"]
            assert hashlib.sha256(content).hexdigest() == asset["sha256"]
            picture = Image.open(io.BytesIO(content))
            assert picture.size == (asset["width"], asset["height"])
            if asset["kind"] == "packshot":
                assert picture.size == (1000, 1000) and picture.format == "JPEG"
                assert (
                    np.asarray(picture)[0, 0].tolist() == [255, 255, 255]
                    or row["touches_edge"]
                    or row["review_reasons"]
                )
            else:
                assert picture.size == (row["width"], row["height"])
                assert picture.mode == ("L" if asset["kind"] == "mask" else "RGBA")


def test_masks_agree_with_the_truth(first_run, catalogue):
    """The network never saw a rendered picture; that it finds them all the same is the point of the samples."""
    truth = {row["id"]: row for row in pq.read_table(catalogue / "truth.parquet").to_pylist()}
    scores = []
    for row in rows(first_run):
        if not truth[row["id"]]["has_product"]:
            continue
        mask = next(asset for asset in row["assets"] if asset["kind"] == "mask")
        found = np.asarray(Image.open(first_run.output / mask["uri"])) > 127
        alpha = np.asarray(Image.open(catalogue / "truth" / "alpha" / f"{row['id']}.png")) > 127
        scores.append((found & alpha).sum() / max((found | alpha).sum(), 1))
    assert np.mean(scores) > 0.6


def test_the_same_input_gives_the_same_bytes_elsewhere(first_run, packshot, catalogue, tmp_path):
    again = packshot(catalogue / "images", tmp_path / "out", "--outputs", "packshot,mask,cutout")
    assert again.tables() == first_run.tables()
    assert again.assets() == first_run.assets()


def test_two_worker_processes_give_the_same_bytes(first_run, packshot, catalogue, tmp_path):
    again = packshot(
        catalogue / "images", tmp_path / "out", "--outputs", "packshot,mask,cutout",
        "--direct_running_mode=multi_processing", "--direct_num_workers=2",
    )  # fmt: skip
    assert again.tables() == first_run.tables()
    assert again.assets() == first_run.assets()


def test_an_unchanged_catalogue_is_carried_over_without_work(first_run, packshot, catalogue, tmp_path):
    before = first_run.assets()
    again = packshot(catalogue / "images", first_run.output, "--outputs", "packshot,mask,cutout")
    assert again.run != first_run.run
    assert again.json["unchanged"] == first_run.json["ready"] + first_run.json["review"]
    assert again.json["assets_written"] == 0
    assert again.assets() == before
    for old, new in zip(rows(first_run), rows(again), strict=True):
        assert new == {**old, "refresh": "unchanged"}
    assert "segment" not in again.json["stages"]


def test_a_changed_photo_alone_is_done_again_and_a_removed_one_goes(packshot, catalogue, tmp_path):
    source = tmp_path / "in"
    names = copied(catalogue, source, whole=4)
    assert len(names) == 4
    packshot(source, tmp_path / "out")
    (source / names[0]).write_bytes((source / names[1]).read_bytes() + b"\0")
    (source / names[3]).unlink()
    again = packshot(source, tmp_path / "out")
    assert {row["id"]: row["refresh"] for row in rows(again)} == {
        names[0]: "changed", names[1]: "unchanged", names[2]: "unchanged",
    }  # fmt: skip
    assert again.json["removed"] == 1


def test_parquet_with_attributes(packshot, parquet_catalogue, tmp_path):
    done = packshot(parquet_catalogue, tmp_path / "out", "--attribute_columns", "category,seller")
    source = {
        row["id"]: row for row in pq.read_table(parquet_catalogue, columns=["id", "category", "seller"]).to_pylist()
    }
    assert done.json["read"] == len(source)
    for row in rows(done):
        assert (row["category"], row["seller"]) == (source[row["id"]]["category"], source[row["id"]]["seller"])
        assert row["source_uri"].startswith(f"{parquet_catalogue}#")


def test_too_many_rejections_end_with_status_3(packshot, catalogue, tmp_path, capsys):
    copied(catalogue, tmp_path / "in", whole=2, broken=1)
    done = packshot(tmp_path / "in", tmp_path / "out", "--max_rejected_fraction", "0.33")
    assert done.status == 3
    assert "1 of 3 photos were rejected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--input", "{in}", "--output", "{out}", "--profile", "ebay2"], "white-square"),
        (["run", "--input", "{in}/nothing", "--output", "{out}"], "nothing"),
        (["run", "--output", "{out}"], "--input is missing"),
        (["run", "--input", "{in}", "--output", "{out}", "--outputs", "masks"], "packshot, mask, cutout"),
        (["run", "--input", "{in}", "--output", "{out}", "--segmentation_model", "u2"], "packshot-seg"),
        (["run", "--input", "{in}", "--output", "{out}", "--nosuchflag", "1"], "--nosuchflag"),
        (["run", "--input", "{in}", "--output", "{out}", "--enhance", "polish"], "names 'polish'"),
        (["run", "--input", "{in}", "--output", "{out}", "--shadow", "soft"], "none, contact, drop, kept"),
        (["run", "--input", "{in}", "--output", "{out}", "--background", "#fff"], "'#rrggbb-#rrggbb'"),
        (["run", "--input", "{in}", "--output", "{out}", "--background", "{in}/none.png"], "cannot be read"),
        (["evaluate", "enhancement", "--photos", "{in}", "--masks", "{out}"], "no Parquet files"),
        (["run", "--input", "{in}", "--output", "{out}", "--max_pixels", "many"], "max_pixels"),
        (["report", "--output", "{out}"], "no committed run"),
        (["samples", "{out}", "--count", "-1"], "count"),
        (["frobnicate"], "frobnicate"),
        ([], "COMMAND"),
    ],
)
def test_wrong_usage_is_one_clear_line(arguments, says, catalogue, tmp_path, capsys):
    places = {"in": str(catalogue / "images"), "out": str(tmp_path / "out")}
    assert main([a.format(**places) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err and captured.err.count("\n") == 1 and "Traceback" not in captured.err


def test_plan_and_dry_run_spend_nothing(catalogue, tmp_path, capsys):
    arguments = ["--input", str(catalogue / "images"), "--output", str(tmp_path / "out")]
    assert main(["plan", *arguments]) == 0
    planned = capsys.readouterr().out
    assert main(["run", "--dry_run", *arguments]) == 0
    assert capsys.readouterr().out == planned
    assert "18 photos" in planned and "18 new" in planned
    assert not (tmp_path / "out").exists()


def test_the_report_can_be_written_anew(first_run):
    path = first_run.output / "runs" / first_run.run / "report.html"
    before = path.read_bytes()
    assert len(before) < 5e6
    path.unlink()
    assert main(["report", "--output", str(first_run.output), "--run", first_run.run]) == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("begun", ["runs/*/*", "assets/*/*/*"])  # the run's marker, the first picture
def test_ctrl_c_ends_cleanly(catalogue, tmp_path, begun):
    arguments = ["run", "--input", str(catalogue / "images"), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("input")  # the plan is printed: the job is about to run
    while not any(tmp_path.glob(f"out/{begun}")):  # not after a fixed time: machines differ
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished assets are kept" in error and "Traceback" not in error
    assert not (tmp_path / "out" / "LATEST").exists()


def test_looks_and_enhancements_reach_the_files_and_the_table(packshot, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    rng = np.random.default_rng(0)
    photo = np.full((240, 200, 3), 60.0) + rng.normal(0, 12, (240, 200, 3))  # dark and noisy
    photo[60:180, 60:140] = (10, 20, 60) + rng.normal(0, 12, (120, 80, 3))
    Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).save(source / "dark.png")
    flags = ["--enhance", "denoise,exposure,superres", "--shadow", "drop", "--background", "#ffffff-#8090a0"]
    done = packshot(source, tmp_path / "out", *flags)
    (row,) = rows(done)
    assert row["enhancements"] == ["exposure", "denoise", "superres"]
    assert row["digital_source_type"] == "algorithmicallyEnhanced"
    plain = packshot(source, tmp_path / "out")
    (before,) = rows(plain)
    assert before["enhancements"] == [] and before["refresh"] == "changed"
    pictures = []
    for one, finished in ((row, done), (before, plain)):
        asset = next(asset for asset in one["assets"] if asset["kind"] == "packshot")
        pictures.append(np.asarray(Image.open(finished.output / asset["uri"])).astype(int))
    assert np.abs(pictures[0][-1, 0] - (0x80, 0x90, 0xA0)).max() <= 3 and (pictures[1][-1, 0] == 255).all()
    assert pictures[0][450:550, 450:550].mean() > pictures[1][450:550, 450:550].mean() + 20
