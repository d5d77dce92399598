"""How far a local run is, told across threads and processes by the length of a file."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TextIO

import apache_beam as beam

from pipeline.sinks.carried import CarriedRows


class CountDone(beam.DoFn):
    """Passes elements on and adds a byte to a file for each photo.

    Appending a byte is atomic between processes, costs microseconds and needs no server; on a remote
    runner the file is the worker's own and nobody reads it.

    Args:
      path: the file, or None to count nothing.
    """

    def __init__(self, path: str | None):
        self._path = path
        self._file: int | None = None

    def setup(self):
        if self._path is not None and os.path.exists(self._path):
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def process(self, element):
        if self._file is not None:
            photos = len(element.positions) if isinstance(element, CarriedRows) else 1
            os.write(self._file, b"." * photos)
        yield element

    def teardown(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None


class ProgressLine:
    """Shows done, total, images/s and time left: a bar on a terminal, a line every so often elsewhere.

    Args:
      path: the file whose length is the number of finished photos.
      total: photos in the run.
      stream: where to write.
      interval: seconds between two looks on a terminal; elsewhere ten times that.
    """

    def __init__(self, path: str, total: int, *, stream: TextIO | None = None, interval: float = 1.0):
        self._path, self._total = path, total
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._interval = interval if self._terminal else 10 * interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> ProgressLine:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _watch(self) -> None:
        last = -1
        while not self._stop.wait(self._interval):
            done = os.path.getsize(self._path)
            if self._terminal or done != last:
                text = describe_progress(done, self._total, time.monotonic() - self._started)
                self._stream.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
                self._stream.flush()
            last = done


def describe_progress(done: int, total: int, seconds: float, *, width: int = 24) -> str:
    """Returns one line on how far a run is.

    Args:
      done, total: photos.
      seconds: since the start.
      width: of the bar in characters.
    """
    share = min(1.0, done / total) if total else 1.0
    filled = round(share * width)
    rate = done / seconds if seconds > 0 else 0.0
    left = f"{_duration((total - done) / rate)} left" if rate and done < total else ""
    bar = "█" * filled + "░" * (width - filled)
    return f"{bar} {done:,}/{total:,} photos  {rate:.1f} images/s  {left}".rstrip()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
