"""Images a second on one task slot and on two: python deploy/flink/scaling.py --input feed.parquet --output OUT

Starts the cluster of ``cluster.sh``, one slot to each of two TaskManagers, makes one run for each parallelism, and
stops it. On a machine that is busy otherwise the figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def cluster(*arguments: str, parallelism: int = 2) -> str:
    """Runs ``cluster.sh`` and returns what it said."""
    settings = {"PYTHON": sys.executable, "TASKMANAGERS": "2", "SLOTS": "1", "PARALLELISM": str(parallelism)}
    command = [HERE / "cluster.sh", *arguments]
    return subprocess.run(command, env={**os.environ, **settings}, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(photos: str, output: Path, parallelism: int) -> tuple[float, float]:
    """Runs the job.

    Args:
      photos: the input.
      output: a folder that is not there yet.
      parallelism: task slots to take.

    Returns:
      Images a second of the whole run, start-up and tables included; and from the first stored asset to the last,
      which is what a long run comes to.
    """
    flags = cluster("flags", parallelism=parallelism).split()
    command = [sys.executable, "-m", "pipeline", "run", "--input", photos, "--output", str(output), *flags]
    subprocess.run(command, check=True, cwd=HERE.parents[1], stdout=subprocess.DEVNULL)
    run = (output / "LATEST").read_text().strip()
    found = json.loads((output / "runs" / run / "run.json").read_text())
    stored = [file.stat().st_mtime for file in output.glob("assets/*/*/*")]
    return found["images_per_second"], (found["ready"] + found["review"]) / (max(stored) - min(stored))


def main() -> None:
    """Prints a line for each parallelism, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", required=True, help="a catalogue of at least some hundred photos")
    parser.add_argument("--output", required=True, type=Path, help="folder for the runs; must not exist")
    given = parser.parse_args()
    if given.output.exists():
        parser.error(f"--output={str(given.output)!r} exists; name a new folder, for runs over known photos do nothing")
    cluster("start")
    try:
        speeds = {
            slots: measure(os.path.abspath(given.input), given.output.resolve() / str(slots), slots) for slots in (1, 2)
        }
    finally:
        cluster("stop")
    for slots, (whole, steady) in speeds.items():
        print(f"{slots} task slots: {whole:.2f} images/s in all, {steady:.2f} from the first asset to the last")
    print(f"ratio {speeds[2][0] / speeds[1][0]:.2f} in all, {speeds[2][1] / speeds[1][1]:.2f} from first to last")


if __name__ == "__main__":
    main()
