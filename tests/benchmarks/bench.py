"""What all sections share: sizes, photos and a folder to work in."""

from __future__ import annotations

import dataclasses
import functools
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import photos
from tests.benchmarks.processes import JobRun, run_job


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How many photos the sections take.

    Attributes:
      loop: pipeline against a plain loop, and the floor.
      job: the pipeline beside rembg, and by workers.
      rembg, rembg_alpha: for rembg, without and with ``-a``.
      small, large: for memory and refresh.
      rows: of a catalogue that is only planned and committed.
      rounds: how often what is compared is run, in turn; the fastest counts.
    """

    loop: int
    job: int
    rembg: int
    rembg_alpha: int
    small: int
    large: int
    rows: int
    rounds: int


QUICK = Sizes(loop=16, job=24, rembg=12, rembg_alpha=2, small=16, large=64, rows=2_000, rounds=1)
USUAL = Sizes(loop=400, job=1_200, rembg=120, rembg_alpha=16, small=1_000, large=3_000, rows=100_000, rounds=2)
FULL = dataclasses.replace(USUAL, small=1_000, large=10_000, rows=1_000_000)


# Few pictures make up the large catalogues, so each is there some hundred times, a near-duplicate of all the others as
# in no real catalogue: pairs by the hundred thousand, on which most of a refresh would be spent.
WITHOUT_NEAR_DUPLICATES = "--near_duplicate_distance=-1"


@dataclasses.dataclass(frozen=True)
class Bench:
    """One call of the benchmarks.

    Attributes:
      folder: where everything is put; what was rendered or installed there is used again.
      sizes: how many photos.
      given: a real catalogue to take the photos from, or None for rendered ones.
    """

    folder: Path
    sizes: Sizes
    given: str | None = None

    @functools.cached_property
    def pictures(self) -> list[bytes]:
        """Distinct photos of ``photos.LONG_SIDE`` pixels."""
        return photos.base_photos(self.folder, self.given)

    def scratch(self, name: str) -> Path:
        """Returns an empty folder."""
        folder = self.folder / "scratch" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def catalogue(self, count: int, changed: int = 0) -> Path:
        """Returns a Parquet file of so many photos, the first few of them ``changed``."""
        path = self.folder / "catalogues" / f"{count}-{changed}.parquet"
        return photos.write_parquet(self.pictures, path, count, changed=range(changed))

    @functools.cached_property
    def large_run(self) -> tuple[Path, JobRun]:
        """The output and what a full run of ``sizes.large`` photos took; made once for all sections."""
        output = self.scratch("large")
        return output, run_job(self.catalogue(self.sizes.large), output, WITHOUT_NEAR_DUPLICATES)


def fastest(rounds: int, runs: dict[str, Callable[[], Any]], key: Callable[[Any], float]) -> dict[str, Any]:
    """Runs things in turn, round after round, so that all meet the same load; returns each one's best.

    Args:
      rounds: how often.
      runs: what to run, by name.
      key: what is to be small.
    """
    best: dict[str, Any] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            found = run()
            if name not in best or key(found) < key(best[name]):
                best[name] = found
    return best


def circumstances() -> dict[str, Any]:
    """Returns the machine, and how busy it was at the start."""
    model = platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0))
    return {"cores": cores, "processor": model, "load_before": round(os.getloadavg()[0], 1)}
