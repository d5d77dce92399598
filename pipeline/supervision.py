"""Ends a local job whose worker process died; Beam's own runner may wait for it, or fails with pages of traces."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator

# Beam's FnApiRunner has a thread of this name wait for each worker process, and raise when one fails.
_WATCHING_THREAD = "run_worker"
# And threads of these names read from its connection; their traces say the same at length.
_READING_THREADS = ("beam_control_read", "read_grpc_client_inputs")
_EXIT_CODE = re.compile(r"return code (-?\d+)")


@contextlib.contextmanager
def watching_workers(end: Callable[[str], None]) -> Iterator[None]:
    """Calls a function with one line as soon as a worker process of a local run dies.

    Args:
      end: is to end this process; called in a thread of its own, once.
    """
    before = threading.excepthook
    lock = threading.Lock()

    def hook(failure) -> None:
        name = failure.thread.name if failure.thread else ""
        if name == _WATCHING_THREAD:
            if lock.acquire(blocking=False):
                end(describe_death(str(failure.exc_value)))
        elif name not in _READING_THREADS:
            before(failure)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


def kill_workers() -> None:
    """Kills all processes below this one, where ``/proc`` tells them; elsewhere they end with their connection."""
    below = [os.getpid()]
    for parent in below:  # which grows on the way
        for children in glob.glob(f"/proc/{parent}/task/*/children"):
            with contextlib.suppress(OSError), open(children) as file:
                below.extend(int(child) for child in file.read().split())
    for child in below[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def describe_death(message: str) -> str:
    """Returns a sentence on how a worker ended.

    Args:
      message: Beam's, which ends with the return code: that of a process, or of a shell that waited for it.
    """
    found = _EXIT_CODE.search(message)
    code = int(found[1]) if found else 1
    number = -code if code < 0 else code - 128  # of a signal, told by the kernel or by the shell
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"a worker process ended with status {code}"
    memory = "; it may have run out of memory: try fewer workers" if name == "SIGKILL" else ""
    return f"a worker process was killed by {name}{memory}"
