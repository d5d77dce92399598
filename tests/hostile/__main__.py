"""``python -m tests.hostile`` prints what every hostile file costs, and exits 1 if a bomb costs more than 50 ms."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings

from tests.hostile.catalogue import hostile_files
from tests.hostile.pictures import Hostile
from transforms.decode import decode
from transforms.privacy import read_labels
from transforms.reasons import PhotoError

_MOST = 50.0  # milliseconds
_REPEATS = 5


def cost(file: Hostile) -> float:
    """Returns the processor time of labels and decoding together, in milliseconds: the least of some tries."""
    times = []
    for _ in range(_REPEATS):
        started = time.process_time()
        read_labels(file.content)
        with contextlib.suppress(PhotoError):
            decode(file.content, wanted=1000)
        times.append(1000 * (time.process_time() - started))
    return min(times)


def main() -> int:
    """Prints bytes, outcome and milliseconds of every file, the dearest first; returns the exit status."""
    warnings.simplefilter("ignore")
    costs = sorted(((cost(file), file) for file in hostile_files()), key=lambda pair: -pair[0])
    for milliseconds, file in costs:
        print(f"{milliseconds:8.2f} ms {len(file.content):9} bytes  {file.reason or 'decoded':20} {file.name}")
    return int(any(milliseconds > _MOST for milliseconds, file in costs if file.name.startswith("bomb")))


if __name__ == "__main__":
    sys.exit(main())
