"""Bytes in and out of local folders, ``gs://`` and ``s3://``: whole or not at all, and verified.

Beam's own file writing loses errors of the final rename (apache/beam#39993), so a job can succeed with a
file missing. Here every write either returns after the stored bytes were checked against the given ones,
or raises. Writing the same bytes to the same place twice does the work once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import logging
import os
import posixpath
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from apache_beam.io.filesystems import FileSystems

from pipeline.redaction import without_secrets
from pipeline.sinks import disk, local_store
from pipeline.sinks.local_store import is_partial
from pipeline.sinks.store import Entry, MismatchError, Outcome, StorageError, Store, SupersededError

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 4
_THROTTLED_ATTEMPTS = 8  # of what a store refused because too much was asked of it: half a minute in all
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds; they double with every attempt


@dataclasses.dataclass(frozen=True)
class Stored:
    """A file that is in its place and was verified.

    Attributes:
      path: where it is.
      size: bytes.
      sha256: of its bytes, 64 hexadecimal digits.
      outcome: ``written``; ``kept`` when it held these bytes already; ``replaced`` when it held others.
    """

    path: str
    size: int
    sha256: str
    outcome: Outcome


def join(folder: str, *parts: str) -> str:
    """Returns the path of something below a folder, with forward slashes."""
    return posixpath.join(folder, *parts)


def write_bytes(
    path: str, content: bytes, *, media_type: str = "application/octet-stream", synced: bool = True
) -> Stored:
    """Stores bytes under a path: all of them or nothing, and verified.

    Args:
      path: local path, ``gs://`` or ``s3://`` URI; local folders are made.
      content: the file's bytes.
      media_type: recorded by object stores.
      synced: whether a local file is to outlast a power cut from now on, rather than from when the caller brings many
        to disk (``pipeline.sinks.disk``); every other process sees it at once in either case.

    Raises:
      StorageError: they could not be stored or did not verify, transient errors having been retried.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    store = _store(path)
    failure = f"could not write {path!r} ({len(content)} bytes)"
    outcome = _retried(store, failure, lambda: store.write(path, content, sha256, media_type, synced=synced))
    if outcome == "replaced":
        _LOGGER.warning("%s held other bytes and was replaced.", path)
    return Stored(path, len(content), sha256, outcome)


def syncs_together(folder: str) -> bool:
    """Says whether ``pipeline.sinks.disk`` can bring to disk at once what is written below a folder; makes it.

    Raises:
      StorageError: it could not be made.
    """
    if not _is_local(folder):
        return False
    _make_folder(folder := local_store.local_path(folder))
    return disk.syncs_together(folder)


def write_text_last(path: str, text: str, *, expected: str | None) -> None:
    """Replaces a small text file at once, if it still is what the caller saw.

    On ``gs://`` and ``s3://`` the storage itself checks that nobody wrote in between; locally the folder is
    locked from the check to the rename. Not every network drive can lock a folder: there the check comes right
    before the rename, and two writers within a millisecond may both succeed.

    Args:
      path: the file.
      text: its new content, stored as UTF-8.
      expected: its content as last seen, None for no file.

    Raises:
      SupersededError: the file holds something else.
      StorageError: it could not be written.
    """
    store = _store(path)
    content = text.encode()
    before = None if expected is None else expected.encode()
    _retried(store, f"could not write {path!r}", lambda: store.write_if(path, content, before))


def read_bytes(path: str) -> bytes:
    """Returns a file's bytes.

    Raises:
      FileNotFoundError: there is no such file.
      StorageError: it could not be read.
    """
    store = _store(path)
    return _retried(store, f"could not read {path!r}", lambda: store.read(path))


def file_size(path: str) -> int | None:
    """Returns a file's size in bytes, or None where there is no such file."""
    store = _store(path)
    return _retried(store, f"could not look up {path!r}", lambda: store.size(path))


def file_version(path: str) -> str | None:
    """Returns what changes with a file's bytes, as ``Entry.version``, or None where there is no such file.

    Raises:
      StorageError: it could not be looked up.
    """
    store = _store(path)
    return _retried(store, f"could not look up {path!r}", lambda: store.version(path))


def exists(path: str) -> bool:
    """Says whether there is such a file."""
    return file_size(path) is not None


def file_names(folder: str) -> list[str]:
    """Returns the sorted names of the files right in a folder, without temporary ones."""
    store = _store(folder)
    names = _retried(store, f"could not list {folder!r}", lambda: store.names(folder))
    return sorted(name for name in names if not is_partial(name))


@contextlib.contextmanager
def claimed(folder: str) -> Iterator[None]:
    """Keeps other processes of this machine from claiming the same local folder, which is made if need be.

    The kernel gives the claim back when the process ends, however it ends. Object stores and drives that know no
    locks let everybody in: what is written there last of all must be checked anyway, see ``write_text_last``.

    Raises:
      BusyError: another process has claimed it.
      StorageError: it could not be made.
    """
    if not _is_local(folder):
        yield
        return
    _make_folder(folder := local_store.local_path(folder))
    with local_store.locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        yield


def remove_abandoned(folder: str) -> int:
    """Removes what writes of killed processes left in a local folder and all those below it.

    Returns:
      How many files were removed; none for object stores, where there is nothing to remove.
    """
    return local_store.remove_abandoned(folder) if _is_local(folder) else 0


def list_files(folder: str, prefix: str = "") -> Iterator[Entry]:
    """Yields the files below a folder at any depth, unfinished ones too; symbolic links are listed, never followed.

    Takes the memory of one folder's names locally, and of one page of the listing on ``gs://`` and ``s3://``.

    Args:
      folder: names are relative to it; it may itself be a symbolic link.
      prefix: how the names begin of those that are listed, such as ``runs/``; all by default.

    Raises:
      StorageError: they could not be listed.
    """
    try:
        yield from _store(folder).walk(folder, prefix)  # the clients try again by themselves, page by page
    except StorageError:
        raise
    except Exception as error:
        raise StorageError(_because(f"could not list {join(folder, prefix)!r}", error)) from error


def delete_files(folder: str, names: Sequence[str]) -> None:
    """Deletes files below a folder, and the local folders that this leaves empty; a missing file is no error.

    A local file that is reached through a symbolic link is left: it may lie outside of the folder.

    Args:
      folder: nothing outside of it is deleted.
      names: paths below it, with forward slashes.

    Raises:
      ValueError: a name leads out of the folder.
      StorageError: some could not be deleted; others may have been.
    """
    for name in names:
        if name.startswith("/") or not name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(f"{name!r} is no path below {folder!r}")
    if names:
        store = _store(folder)
        failure = f"could not delete {names[0]!r} and {len(names) - 1} other files of {folder!r}"
        _retried(store, failure, lambda: store.delete(folder, names))


def _retried(store: Store, failure: str, operation: Callable[[], T]) -> T:
    attempt = 1
    while True:
        try:
            return operation()
        except (FileNotFoundError, SupersededError):  # answers, not failures
            raise
        except Exception as error:
            most = _THROTTLED_ATTEMPTS if store.is_throttled(error) else _ATTEMPTS
            if attempt >= most or not (isinstance(error, MismatchError) or store.is_transient(error)):
                tries = "" if attempt == 1 else f" after {attempt} attempts"
                raise StorageError(_because(failure + tries, error)) from error
        # by chance, or all workers that were refused at once come back at once
        time.sleep(min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0))
        attempt += 1


def _because(failure: str, error: Exception) -> str:
    return f"{failure}: {type(error).__name__}: {without_secrets(str(error))}"


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise StorageError(f"could not make the folder {folder!r}: {type(error).__name__}: {error}") from error


def _is_local(path: str) -> bool:
    return FileSystems.get_scheme(path) in (None, "file")


_LOCAL_STORE = local_store.LocalStore()


def _store(path: str) -> Store:
    if _is_local(path):
        return _LOCAL_STORE
    scheme = FileSystems.get_scheme(path)
    if scheme not in ("gs", "s3"):
        raise StorageError(
            f"{path!r} is on {scheme + '://'!r}, which cannot be written; use a local path, 'gs://' or 's3://'"
        )
    from pipeline.sinks import object_stores  # only here: the cloud libraries are optional extras

    return object_stores.connect(scheme, path)
