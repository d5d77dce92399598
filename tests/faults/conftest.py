"""A small rendered catalogue, a committed run of a part of it, and what a run of the whole ends with undisturbed."""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from pipeline.cli import main
from pipeline.sinks import storage

PHOTOS = 24
_PROFILE = "width: 160\nheight: 160\nbackground: [255, 255, 255]\nfill: 0.85\nformat: jpeg\nquality: 90\n"
_TIMEOUT = 120  # seconds; a run of this catalogue takes a tenth of it


@dataclasses.dataclass(frozen=True)
class Output:
    """An output folder of this machine.

    Attributes:
      path: the folder.
    """

    path: Path

    @property
    def latest(self) -> str:
        return (self.path / "LATEST").read_text().strip()

    def run_json(self) -> dict:
        return json.loads((self.path / "runs" / self.latest / "run.json").read_text())

    def tables(self, run: str = "") -> dict[str, bytes]:
        """Returns the bytes of a run's tables by file, of the committed run by default."""
        return {
            f"{table}/{part.name}": part.read_bytes()
            for table in ("catalogue", "rejections")
            for part in sorted((self.path / table / (run or self.latest)).iterdir())
        }

    def assets(self) -> dict[str, bytes]:
        """Returns the bytes of all finished assets by path."""
        files = self.path.glob("assets/*/*/*")
        return {str(file.relative_to(self.path)): file.read_bytes() for file in files if not _partial(file)}

    def report(self, run: str) -> bytes:
        return (self.path / "runs" / run / "report.html").read_bytes()

    def leftovers(self) -> list[str]:
        """Returns what a run that ended well leaves nowhere: temporary files and notes of finished photos."""
        return [str(file) for file in self.path.rglob("*") if _partial(file) or file.parent.name == "unfinished"]


@dataclasses.dataclass(frozen=True)
class Shop:
    """The catalogue, and how to run it.

    Attributes:
      photos: folder of all photos.
      some: folder of a third of them, from which the committed run was made.
      flags: of every run.
    """

    photos: Path
    some: Path
    flags: tuple[str, ...]

    def arguments(self, output, *flags: str, photos: Path | None = None) -> list[str]:
        return ["run", "--input", str(photos or self.photos), "--output", str(output), *self.flags, *flags]

    def run(self, output, *flags: str, photos: Path | None = None) -> tuple[int, str]:
        """Runs the command in this process; returns its status and what it said on standard error."""
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            status = main(self.arguments(output, *flags, photos=photos))
        return status, said.getvalue()

    def start(self, output, *flags: str, first: str = "") -> subprocess.Popen:
        """Starts the command in a process group of its own, after some Python code has prepared that process."""
        program = f"{first}\nimport sys, pipeline.cli\nsys.exit(pipeline.cli.main())"
        return subprocess.Popen(
            [sys.executable, "-c", program, *self.arguments(output, *flags)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def ended(self, process: subprocess.Popen) -> tuple[int, str]:
        """Waits for a started command, which must not hang; returns as ``run``."""
        try:
            _, said = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            kill(process)
            raise
        return process.returncode, said


def kill(process: subprocess.Popen) -> None:
    """Kills a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_until(condition, process: subprocess.Popen) -> None:
    """Waits for something that a process is to bring about before it ends."""
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        assert process.poll() is None, f"ended with status {process.returncode}: {process.communicate()[1]}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Shop:
    from pipeline.samples import render_samples

    root = tmp_path_factory.mktemp("shop")
    render_samples(root / "rendered", count=6, seed=5, truth=False, processes=1)
    photos, some = root / "photos", root / "some"
    photos.mkdir(), some.mkdir()
    rendered = [cv2.imread(str(path)) for path in sorted((root / "rendered").glob("images/*/*"))]
    for number in range(PHOTOS - 1):  # each rendered photo as it is, mirrored and closer
        photo = rendered[number % len(rendered)][:: 1 if number < 12 else -1]
        margin = 8 * (number // len(rendered))
        photo = cv2.resize(photo[margin:, margin:], (180, 240), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(photos / f"{number:02d}.jpg"), photo)
    whole = (photos / "00.jpg").read_bytes()
    (photos / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    for number in range(0, PHOTOS - 1, 3):
        shutil.copy2(photos / f"{number:02d}.jpg", some)
    (some / "03.jpg").write_bytes((photos / "04.jpg").read_bytes() + b"\0")  # will have changed
    profile = root / "small.yaml"
    profile.write_text(_PROFILE)
    return Shop(photos, some, ("--profile", str(profile), "--max_rejected_fraction", "0.2"))


@pytest.fixture(scope="session")
def committed(shop, tmp_path_factory) -> Output:
    """A committed run of some photos; copy it, do not write to it."""
    output = tmp_path_factory.mktemp("committed") / "out"
    assert shop.run(output, photos=shop.some)[0] == 0
    return Output(output)


@pytest.fixture(scope="session")
def undisturbed(shop, committed, tmp_path_factory) -> Output:
    """The same, and after it a run of all photos to which nothing happened."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    shutil.copytree(committed.path, output)
    assert shop.run(output)[0] == 0
    return Output(output)


@pytest.fixture
def output(committed, tmp_path) -> Output:
    """A folder with the committed run, for one test to write to."""
    shutil.copytree(committed.path, tmp_path / "out")
    return Output(tmp_path / "out")


@pytest.fixture
def check(committed, undisturbed):
    """What every fault test asks of an output folder."""
    return Check(committed, undisturbed)


@dataclasses.dataclass(frozen=True)
class Check:
    committed: Output
    undisturbed: Output

    def previous_run_is_untouched(self, output: Output, *, latest: bool = True) -> None:
        """Tables, report and assets of the committed run are as they were, and unless told otherwise it is LATEST."""
        run = self.committed.latest
        assert not latest or output.latest == run
        assert output.tables(run) == self.committed.tables()
        assert output.report(run) == self.committed.report(run)
        found = output.assets()
        assert {name: found.get(name) for name in self.committed.assets()} == self.committed.assets()

    def ended_as_if_undisturbed(self, output: Output) -> None:
        """The committed run is another one, has the bytes of the undisturbed one, and nothing else is left."""
        self.previous_run_is_untouched(output, latest=False)
        assert output.latest != self.committed.latest
        assert output.tables() == self.undisturbed.tables()
        assert output.assets() == self.undisturbed.assets()
        assert output.leftovers() == []
        counts = ("read", "ready", "review", "rejected", "unchanged", "duplicate", "removed", "assets_written")
        now, then = output.run_json(), self.undisturbed.run_json()
        assert {name: now[name] for name in counts} == {name: then[name] for name in counts}


def _partial(file: Path) -> bool:
    return storage.is_partial(file.name)
