"""The whole command on nothing but trouble: every photo has its row, the job ends 0, memory stays what it was."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.sinks.tables import OPTIONAL_TABLES, TABLES
from tests.hostile.catalogue import ordinary_photos, write_folder, write_parquet
from tests.hostile.names import Expected

_MEMORY_ABOVE_ORDINARY = 300  # MB
_LONGEST = 300  # seconds; a hang, not a slow machine


class Ended:
    """A finished process of ``packshot run``.

    Attributes:
      output: its output folder.
      status: exit status.
      says: what it wrote to standard error.
      peak: the most memory that it held, in MB.
    """

    def __init__(self, source: Path, output: Path, *flags: str):
        command = [sys.executable, "-m", "pipeline", "run", "--input", str(source), "--output", str(output)]
        command += ["--max_rejected_fraction", "1", *flags]
        self.output = output
        with tempfile.TemporaryFile() as says:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=says)
            deadline = time.monotonic() + _LONGEST
            self.peak = 0.0
            while process.poll() is None:
                self.peak = max(self.peak, _peak_memory(process.pid))
                if time.monotonic() > deadline:
                    process.kill()
                time.sleep(0.02)
            says.seek(0)
            self.says, self.status = says.read().decode(errors="replace"), process.returncode

    @property
    def run(self) -> str:
        return (self.output / "LATEST").read_text().strip()

    def rows(self, table: str) -> list[dict]:
        return pq.read_table(self.output / table / self.run).to_pylist()


def _peak_memory(pid: int) -> float:
    """Returns the most memory that a process has held so far, in MB, 0 where it has just ended.

    ``ru_maxrss`` would not do: it starts from what the parent of the process held.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def check_rows(ended: Ended, expected: dict[str, Expected]) -> None:
    """Each photo has one row, with the outcome that it should have; the ledger balances."""
    assert ended.status == 0, ended.says[-2000:]
    accepted, rejected = ended.rows("catalogue"), ended.rows("rejections")
    found = [(row["id"], None) for row in accepted]
    found += [(row["id"], (row["stage"], row["reason"])) for row in rejected]
    assert len(found) == len(expected)
    wrong = {name: (outcome, expected.get(name)) for name, outcome in found if outcome != expected.get(name, "none")}
    assert not wrong
    assert {row["status"] for row in accepted} <= {"ready", "review"}
    assert all(row["detail"] for row in rejected)
    ledger = json.loads((ended.output / "runs" / ended.run / "run.json").read_text())
    assert ledger["read"] == len(expected) == ledger["ready"] + ledger["review"] + ledger["rejected"]
    assert ledger["rejected"] == len(rejected)


def check_places(ended: Ended, above: Path) -> None:
    """Nothing was written but under the output folder, and of assets nothing but what the rows name."""
    root = ended.output / "assets"
    stored = {path.relative_to(ended.output).as_posix() for path in root.rglob("*") if path.is_file()}
    named = {asset["uri"] for row in ended.rows("catalogue") for asset in row["assets"]}
    assert stored == named
    assert all(name.isascii() and name.isprintable() and len(name) < 120 and ".." not in name for name in named)
    assert {path.name for path in above.iterdir()} == {"in", "out"}
    found = {path.name for path in ended.output.iterdir()}
    assert found == {"assets", *(set(TABLES) - OPTIONAL_TABLES), "unfinished", "runs", "LATEST"}
    assert not list((ended.output / "unfinished").iterdir())


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory) -> Ended:
    above = tmp_path_factory.mktemp("ordinary")
    (above / "in").mkdir()
    for index, content in enumerate(ordinary_photos(32)):
        (above / "in" / f"{index}.jpg").write_bytes(content)
    return Ended(above / "in", above / "out")


def test_a_folder_of_nothing_but_trouble(tmp_path, ordinary):
    source = tmp_path / "in"
    source.mkdir()
    expected = write_folder(source)
    assert len(expected) >= 200
    before = {os.fsdecode(name) for name in os.listdir(os.fsencode(source))}
    ended = Ended(source, tmp_path / "out")
    check_rows(ended, expected)
    check_places(ended, tmp_path)
    assert {os.fsdecode(name) for name in os.listdir(os.fsencode(source))} == before
    assert ended.peak - ordinary.peak <= _MEMORY_ABOVE_ORDINARY, (ended.peak, ordinary.peak)


def test_a_parquet_file_of_nothing_but_trouble(tmp_path, ordinary):
    source = tmp_path / "in"
    source.mkdir()
    expected = write_parquet(source / "feed.parquet")
    os.mkfifo(source / "pipe.jpg")
    flags = ("--attribute_columns", "seller,since")
    ended = Ended(source / "feed.parquet", tmp_path / "out", *flags)
    check_rows(ended, expected)
    check_places(ended, tmp_path)
    assert {row["seller"] for row in ended.rows("catalogue")} == {"plain", None}
    assert ended.peak - ordinary.peak <= _MEMORY_ABOVE_ORDINARY, (ended.peak, ordinary.peak)
