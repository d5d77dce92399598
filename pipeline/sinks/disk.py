"""Bringing many written files to disk at once, instead of waiting for the disk after each of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import sys

# of which it is known that syncfs(2) reaches the disk, or that there is none
_FILE_SYSTEMS = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs"))
_LEAST_KERNEL = (5, 8)  # from here on syncfs tells of files that could not be written
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def syncs_together(folder: str) -> bool:
    """Says whether all that is written below a folder can be brought to disk at once, and a failure be noticed.

    So it is on Linux from 5.8 on, on local file systems of a known kind, all of the folder on one of them. Elsewhere
    each file has to be synced by itself.

    Args:
      folder: a local folder that exists.
    """
    if _LIBC is None or _kernel() < _LEAST_KERNEL:
        return False
    try:
        device = os.stat(folder).st_dev
        with os.scandir(folder) as entries:
            if any(entry.stat().st_dev != device for entry in entries):
                return False
        return _kind(device) in _FILE_SYSTEMS
    except OSError:
        return False


class FileSystem:
    """The file system of a folder, as seen by one writer.

    The kernel tells each descriptor once of every failure since it was opened. So each writer opens its own before it
    writes anything, and keeps it: whoever opens one later may not be told of a failure that somebody else has seen.

    Args:
      folder: a local folder that exists.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY)

    def sync(self) -> None:
        """Brings to disk all that was written to it, by whatever process of this machine.

        Raises:
          OSError: something that was written since this object was made could not be brought there.
        """
        assert _LIBC is not None
        if _LIBC.syncfs(self._descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), self._folder)

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self._descriptor)


def _kernel() -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return tuple(map(int, found.groups())) if found else (0,)


def _kind(device: int) -> str | None:
    """Returns the kind of a mounted file system, such as ``ext4``, by its device number."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as file:
        for line in file:
            mount, _, what = line.partition(" - ")
            if mount.split()[2] == wanted:
                return what.split()[0]
    return None
