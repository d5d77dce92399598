"""A run's temporary folder on this machine, and those of runs that were killed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_LOGGER = logging.getLogger(__name__)
_PREFIX = "packshot-run-"
_FRESH = 60.0  # seconds in which a folder may have been made and not been locked yet


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """Makes a folder below ``TMPDIR`` that is deleted at the end, after those of killed processes.

    The kernel gives up a process's lock on its folder when the process ends, however it ends.
    """
    for found in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_abandoned(found)
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder,
        _open(folder) as descriptor,
    ):
        with contextlib.suppress(OSError):  # a drive that knows no locks: then nobody removes it, either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder


def _remove_abandoned(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime < _FRESH:
            return
        with _open(folder) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    except OSError as error:  # it is in use, somebody else's, or gone
        _LOGGER.debug("%s was left: %s", folder, error)


@contextlib.contextmanager
def _open(folder: str | Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
