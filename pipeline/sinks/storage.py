"""Bytes in and out of local folders, ``gs://`` and ``s3://``: whole or not at all, and verified.

Beam's own file writing loses errors of the final rename (apache/beam#39993), so a job can succeed with a
file missing. Here every write either returns after the stored bytes were checked against the given ones,
or raises. Writing the same bytes to the same place twice does the work once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import logging
import os
import posixpath
import re
import secrets
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol, TypeVar

from apache_beam.io.filesystems import FileSystems

Outcome = Literal["written", "kept", "replaced"]
T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 4
_FIRST_PAUSE = 0.2  # seconds; doubles with every attempt
_PARTIAL_NAME = re.compile(r"\.\w+-\d+-[0-9a-f]{8}\.partial")  # host, process, attempt
_PARTIAL_MAX_AGE = 24 * 3600.0  # seconds; another host cannot be asked whether the process still lives
_UNLOCKABLE_ERRNOS = frozenset((errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP))
_TRANSIENT_ERRNOS = frozenset(
    (errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET)
)


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

    def write(self, path: str, content: bytes, sha256: str, media_type: str) -> Outcome:
        """Stores the bytes and verifies them; keeps a file that already holds them."""

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

    def below(self, prefix: str) -> Iterator[Listed]:
        """Lists all files whose paths begin so, at any depth; of a local path, all below that folder."""

    def remove(self, path: str) -> None:
        """Deletes a file; one that is not there is no error."""

    def walk(self, folder: str, below: str) -> Iterator[Entry]:
        """Yields every file below a folder of a folder, by name within each folder; none where it is missing."""

    def delete(self, folder: str, names: Sequence[str]) -> None:
        """Deletes files below a folder; one that is missing is no error."""

    def is_transient(self, error: Exception) -> bool:
        """Says whether the same request may well succeed a moment later."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """A file as a listing shows it.

    Attributes:
      path: where it is.
      size: bytes.
      version: changes with its bytes: size and time of the last change locally, the ETag on ``s3://``, the
        generation on ``gs://``.
    """

    path: str
    size: int
    version: str


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


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder, at whatever depth.

    Attributes:
      name: path below the folder that the listing is of, with forward slashes.
      size: bytes.
      modified: when it was stored, seconds since 1970 by the storage's clock.
      plain: False for what is no file of its own: a symbolic link, a pipe.
    """

    name: str
    size: int
    modified: float
    plain: bool = True


def join(folder: str, *parts: str) -> str:
    """Returns the path of something below a folder, with forward slashes."""
    return posixpath.join(folder, *parts)


def write_bytes(path: str, content: bytes, *, media_type: str = "application/octet-stream") -> Stored:
    """Stores bytes under a path: all of them or nothing, and verified.

    Args:
      path: local path, ``gs://`` or ``s3://`` URI; local folders are made.
      content: the file's bytes.
      media_type: recorded by object stores.

    Raises:
      StorageError: they could not be stored or did not verify, transient errors having been retried.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    store = _store(path)
    failure = f"could not write {path!r} ({len(content)} bytes)"
    outcome = _retried(store, failure, lambda: store.write(path, content, sha256, media_type))
    if outcome == "replaced":
        _LOGGER.warning("%s held other bytes and was replaced.", path)
    return Stored(path, len(content), sha256, outcome)


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
    """Returns what changes with a file's bytes, as ``Listed.version``, or None where there is no such file.

    Raises:
      StorageError: it could not be looked up.
    """
    store = _store(path)
    return _retried(store, f"could not look up {path!r}", lambda: store.version(path))


def list_below(prefix: str) -> Iterator[Listed]:
    """Lists the files below a folder at any depth, or on object stores all whose paths begin so; in no order.

    Raises:
      StorageError: they could not be listed.
    """
    try:
        yield from _store(prefix).below(prefix)  # the clients try again by themselves, page by page
    except StorageError:
        raise
    except Exception as error:
        raise StorageError(f"could not list {prefix!r}: {type(error).__name__}: {error}") from error


def exists(path: str) -> bool:
    """Says whether there is such a file."""
    return file_size(path) is not None


def file_names(folder: str) -> list[str]:
    """Returns the sorted names of the files right in a folder, without temporary ones."""
    store = _store(folder)
    names = _retried(store, f"could not list {folder!r}", lambda: store.names(folder))
    return sorted(name for name in names if not is_partial(name))


def remove(path: str) -> None:
    """Deletes a file; one that is not there is no error.

    Raises:
      StorageError: it could not be deleted.
    """
    store = _store(path)
    _retried(store, f"could not delete {path!r}", lambda: store.remove(path))


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
    folder = _local(folder)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise StorageError(f"could not make the folder {folder!r}: {type(error).__name__}: {error}") from error
    with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        yield


def remove_abandoned(folder: str) -> int:
    """Removes what writes of killed processes left in a local folder and all those below it.

    Returns:
      How many files were removed; none for object stores, where there is nothing to remove.
    """
    if not _is_local(folder):
        return 0
    removed = 0
    for root, _, names in os.walk(_local(folder)):
        for name in filter(is_partial, names):
            if _is_abandoned(leftover := os.path.join(root, name)):
                _remove(leftover)
                removed += 1
    return removed


def list_files(folder: str, below: str = "") -> Iterator[Entry]:
    """Yields every file below ``folder/below``, unfinished ones too; symbolic links are listed, never followed.

    Takes the memory of one folder's names locally, and of one page of the listing on ``gs://`` and ``s3://``.

    Args:
      folder: names are relative to it.
      below: the folder in it that is listed; all of it by default.

    Raises:
      StorageError: it could not be listed.
    """
    store = _store(folder)
    try:
        yield from store.walk(folder, below)
    except Exception as error:
        place = join(folder, below) if below else folder
        raise StorageError(f"could not list {place!r}: {type(error).__name__}: {error}") from error


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


def is_partial(name: str) -> bool:
    """Says whether a file name is that of an unfinished write, perhaps of a process that was killed."""
    return _PARTIAL_NAME.fullmatch(name) is not None


def _retried(store: Store, failure: str, operation: Callable[[], T]) -> T:
    attempt = 1
    while True:
        try:
            return operation()
        except (FileNotFoundError, SupersededError):  # answers, not failures
            raise
        except Exception as error:
            if attempt == _ATTEMPTS or not (isinstance(error, MismatchError) or store.is_transient(error)):
                tries = "" if attempt == 1 else f" after {attempt} attempts"
                raise StorageError(f"{failure}{tries}: {type(error).__name__}: {error}") from error
        time.sleep(_FIRST_PAUSE * 2 ** (attempt - 1))
        attempt += 1


class _LocalStore:
    """Files of this machine, or of a mounted network drive.

    A temporary file beside the target is written, synced, renamed and read back. Its name tells the host
    and the process, so that what a killed process left can be told from what is being written now; see
    ``remove_abandoned``.
    """

    def __init__(self) -> None:
        self._made: set[str] = set()

    def write(self, path: str, content: bytes, sha256: str, media_type: str) -> Outcome:
        path = _local(path)
        there = self.size(path)
        if there == len(content) and hashlib.sha256(self.read(path)).hexdigest() == sha256:
            return "kept"
        self._replace(path, content)
        return "written" if there is None else "replaced"

    def write_if(self, path: str, content: bytes, expected: bytes | None) -> None:
        path = _local(path)
        folder = os.path.dirname(path)
        self._make(folder)
        with _locked(folder or ".", fcntl.LOCK_EX):
            try:
                current = self.read(path)
            except FileNotFoundError:
                current = None
            if current == content:
                return
            if current != expected:
                raise SupersededError(f"{path!r} holds {current!r}, not {expected!r}")
            self._replace(path, content)

    def read(self, path: str) -> bytes:
        with open(_local(path), "rb") as file:
            return file.read()

    def size(self, path: str) -> int | None:
        try:
            return os.stat(_local(path)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(_local(folder)) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []

    def version(self, path: str) -> str | None:
        try:
            return _local_version(os.stat(_local(path)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def below(self, prefix: str) -> Iterator[Listed]:
        pending = [_local(prefix)]
        while pending:
            try:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(entry.path)
                        elif entry.is_file():
                            found = entry.stat()
                            yield Listed(entry.path, found.st_size, _local_version(found))
            except FileNotFoundError:  # there is none, or it went while its neighbours were listed
                continue

    def remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_local(path))

    def walk(self, folder: str, below: str) -> Iterator[Entry]:
        folder = _local(folder)
        pending = [below]
        while pending:
            place = pending.pop()
            path = os.path.join(folder, place)
            if place and os.path.islink(path):
                yield Entry(place, 0, os.lstat(path).st_mtime, plain=False)
                continue
            try:
                with os.scandir(path or ".") as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except FileNotFoundError:
                continue
            folders = []
            for entry in entries:
                name = posixpath.join(place, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                    continue
                try:
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # renamed or removed since
                    continue
                yield Entry(name, seen.st_size, seen.st_mtime, plain=stat.S_ISREG(seen.st_mode))
            pending.extend(reversed(folders))

    def delete(self, folder: str, names: Sequence[str]) -> None:
        folder = _local(folder)
        root = os.path.realpath(folder)
        parents: dict[str, bool] = {}  # folder: whether it is what it seems to be
        for name in names:
            parent = posixpath.dirname(name)
            if parent not in parents:
                parents[parent] = os.path.realpath(os.path.join(root, parent)) == os.path.normpath(
                    os.path.join(root, parent)
                )
                if not parents[parent]:
                    _LOGGER.warning("%s is reached through a symbolic link and was left.", os.path.join(folder, name))
            if parents[parent]:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(root, name))
        for parent in parents:
            while posixpath.dirname(parent):  # the first level stays: runs lock it
                try:
                    os.rmdir(os.path.join(root, parent))
                except OSError:  # not empty, or gone
                    break
                parent = posixpath.dirname(parent)

    def is_transient(self, error: Exception) -> bool:
        return isinstance(error, OSError) and error.errno in _TRANSIENT_ERRNOS

    def _replace(self, path: str, content: bytes) -> None:
        folder = os.path.dirname(path)
        self._make(folder)
        temporary = os.path.join(folder, f".{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial")
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(folder)
            stored = self.read(path)
        except FileNotFoundError as error:
            self._made.discard(folder)  # perhaps it is gone: the next attempt makes it again
            _remove(temporary)
            raise MismatchError(f"{path!r} vanished while it was being written") from error
        except BaseException:
            _remove(temporary)
            raise
        if stored != content:
            _remove(temporary)  # still there, if the rename was none
            raise MismatchError(
                f"{len(content)} bytes were written to {path!r}, but {len(stored)} other bytes were read back"
            )

    def _make(self, folder: str) -> None:
        if folder and folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)


@contextlib.contextmanager
def _locked(folder: str, how: int) -> Iterator[None]:
    """Holds a lock on a folder itself, so that no lock file is left behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError as error:
            raise BusyError(f"another process of this machine is at work on {folder!r}") from error
        except OSError as error:
            if error.errno not in _UNLOCKABLE_ERRNOS:
                raise
            _LOGGER.warning("%s cannot be locked: %s. Let one run at a time write to it.", folder, error)
        yield
    finally:
        os.close(descriptor)  # and the lock with it


def _host() -> str:
    return "".join(c if c.isalnum() else "_" for c in socket.gethostname())[:40]


def _is_abandoned(partial: str) -> bool:
    host, pid, _ = os.path.basename(partial).rsplit("-", 2)
    try:
        if time.time() - os.stat(partial).st_mtime > _PARTIAL_MAX_AGE:
            return True
        if host == f".{_host()}":
            os.kill(int(pid), 0)  # signal 0 only asks whether the process is there
    except ProcessLookupError:
        return True
    except (FileNotFoundError, PermissionError):  # finished meanwhile; or a live process of another user
        return False
    return False


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            _LOGGER.warning("could not remove the temporary file %s: %s", path, error)


def _sync_folder(folder: str) -> None:
    """Makes a rename survive a power cut; not every file system can, and that is no error."""
    try:
        descriptor = os.open(folder or ".", os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)


def _local_version(found: os.stat_result) -> str:
    return f"{found.st_size}:{found.st_mtime_ns}"


def _local(path: str) -> str:
    return path.removeprefix("file://")


def _is_local(path: str) -> bool:
    return FileSystems.get_scheme(path) in (None, "file")


_LOCAL_STORE = _LocalStore()


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
