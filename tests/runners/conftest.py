"""Runs of one catalogue on Beam's own local runner, on Prism and on a Flink cluster of this machine.

``make test-runners`` runs these tests; ``make test`` does not, for they need Java, Go and some hundred megabytes of
downloads. Where one of these is missing the tests that need it are skipped, and say so.

Settings from the environment: ``RUNNERS_INPUT`` (a catalogue of your own) or ``RUNNERS_PHOTOS`` (how many to render).
"""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PHOTOS = int(os.environ.get("RUNNERS_PHOTOS", "48"))
_BROKEN = min(4, _PHOTOS // 6)
_FLINK_PORT = 18081  # and the five that follow
_TIMEOUT = 900 + 2 * _PHOTOS  # seconds; a quiet machine needs a tenth of it


@dataclasses.dataclass(frozen=True)
class Output:
    """What a run left.

    Attributes:
      path: its output folder.
    """

    path: Path

    def run_json(self) -> dict:
        run = (self.path / "LATEST").read_text().strip()
        return json.loads((self.path / "runs" / run / "run.json").read_text())

    def assets(self) -> int:
        """Returns how many finished assets there are, committed or not."""
        return sum(not file.name.startswith(".") for file in self.path.glob("assets/*/*/*"))


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """The photos, and how to run over them.

    Attributes:
      photos: file or folder.
    """

    photos: Path

    def start(self, output: Path, *flags: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "pipeline", "run", "--input", str(self.photos), "--output", str(output)]
        return subprocess.Popen(
            [*command, "--max_rejected_fraction", "0.5", *flags],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, output: Path, *flags: str) -> Output:
        """Runs to the end, which must be a good one."""
        return finish(self.start(output, *flags), output)


def finish(process: subprocess.Popen, output: Path) -> Output:
    """Waits for the end of a run, which must be a good one."""
    try:
        said, _ = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, said
    return Output(output)


def assert_same_bytes(*outputs: Output) -> None:
    """Fails unless all assets and tables are the same bytes."""
    command = [sys.executable, "deploy/same_output.py", *(str(output.path) for output in outputs)]
    compared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert compared.returncode == 0, compared.stdout + compared.stderr
    print(compared.stdout)


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory) -> Catalogue:
    if given := os.environ.get("RUNNERS_INPUT"):
        return Catalogue(Path(given).resolve())
    folder = tmp_path_factory.mktemp("catalogue")
    arguments = ["samples", str(folder), "--count", str(_PHOTOS), "--seed", "1", "--broken", str(_BROKEN)]
    subprocess.run([sys.executable, "-m", "pipeline", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return Catalogue(folder / "images")


@pytest.fixture(scope="session")
def direct(catalogue, tmp_path_factory) -> Output:
    """The catalogue, run by Beam's local runner."""
    return catalogue.run(tmp_path_factory.mktemp("direct") / "out")


@pytest.fixture(scope="session")
def prism() -> tuple[str, ...]:
    """Flags for a run on Prism, which is built if need be."""
    if shutil.which("go") is None:
        pytest.skip("Prism is built from Beam's Go module, and there is no go on the path")
    built = subprocess.run([ROOT / "deploy/prism/install.sh"], capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"Prism could not be built: {_last_line(built.stderr)}")
    return ("--runner", "PrismRunner", "--prism_location", _last_line(built.stdout))


class Flink:
    """A cluster of two TaskManagers, each with two slots, of which a run takes two.

    Args:
      state: folder for its logs.
    """

    def __init__(self, state: Path):
        self._state = state
        settings = {"PYTHON": sys.executable, "STATE": str(state), "PORT": str(_FLINK_PORT)}
        self._environment = {**os.environ, **settings, "SLOTS": "2", "PARALLELISM": "2"}

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        script = [ROOT / "deploy/flink/cluster.sh", *arguments]
        return subprocess.run(script, env=self._environment, cwd=ROOT, capture_output=True, text=True, check=False)

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(self.command("flags").stdout.split())

    def kill(self, part: str) -> None:
        os.kill(int((self._state / f"{part}.pid").read_text()), signal.SIGKILL)

    def log(self, part: str) -> str:
        return (self._state / f"{part}.log").read_text(errors="replace")


@pytest.fixture(scope="session")
def flink(tmp_path_factory):
    if shutil.which("java") is None:
        pytest.skip("Flink needs Java 11 or 17, and there is no java on the path")
    fetched = subprocess.run([ROOT / "deploy/flink/download.sh"], capture_output=True, text=True, check=False)
    if fetched.returncode:
        pytest.skip(f"Flink could not be fetched: {_last_line(fetched.stderr)}")
    cluster = Flink(tmp_path_factory.mktemp("flink"))
    started = cluster.command("start")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield cluster
    finally:
        cluster.command("stop")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it did not say why"])[-1]


def wait_until(condition, process: subprocess.Popen) -> None:
    """Waits for something to happen while a run goes on."""
    while not condition():
        assert process.poll() is None, "the run ended before"
        time.sleep(0.2)
