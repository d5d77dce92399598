"""What every kind of storage can do, what it says of a file, and how it fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

Outcome = Literal["written", "kept", "replaced"]


class StorageError(Exception):
    """Something could not be stored or read; the message says what, where and why."""


class SupersededError(StorageError):
    """A file that was to be replaced is no longer what the writer last saw."""


class MismatchError(StorageError):
    """A write went through, but what is stored is not what was sent."""


class BusyError(StorageError):
    """Another process of this machine is at work on the same folder."""


class Store(Protocol):
    """One kind of storage. Paths are whole: ``/folder/file``, ``s3://bucket/key``."""

    def write(self, path: str, content: bytes, sha256: str, media_type: str, *, synced: bool = True) -> Outcome:
        """Stores the bytes and verifies them; keeps a file that already holds them.

        Where ``synced`` is False a power cut may take a new local file until the caller has brought it to disk.
        """

    def write_if(self, path: str, content: bytes, expected: bytes | None) -> None:
        """Replaces a file if it holds ``expected`` (None: if there is none), or raises SupersededError."""

    def read(self, path: str) -> bytes:
        """Returns a file's bytes; raises FileNotFoundError where there is none."""

    def size(self, path: str) -> int | None:
        """Returns a file's size in bytes, or None where there is none."""

    def names(self, folder: str) -> list[str]:
        """Returns the names of the files right in a folder; none for a folder that is missing."""

    def version(self, path: str) -> str | None:
        """Returns what changes with the file's bytes, without reading them, or None where there is no file."""

    def walk(self, folder: str, prefix: str) -> Iterator[Entry]:
        """Yields the files below a folder whose names begin so, by name within each folder; none if it is missing."""

    def delete(self, folder: str, names: Sequence[str]) -> None:
        """Deletes files below a folder; one that is missing is no error."""

    def is_transient(self, error: Exception) -> bool:
        """Says whether the same request may well succeed a moment later."""

    def is_throttled(self, error: Exception) -> bool:
        """Says whether the store refused for too many requests, so that patience helps more than haste."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder, at whatever depth.

    Attributes:
      name: path below the folder that the listing is of, with forward slashes.
      size: bytes; of a symbolic link to a file, like ``modified`` and ``version``, as of that file.
      modified: when it was stored, seconds since 1970 by the storage's clock.
      plain: False for what is no file of its own: a symbolic link, a pipe.
      version: changes with its bytes: size and time of the last change locally, the ETag on ``s3://``, the
        generation on ``gs://``.
    """

    name: str
    size: int
    modified: float
    plain: bool = True
    version: str = ""
