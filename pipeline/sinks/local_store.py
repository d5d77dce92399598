"""Files of this machine, or of a mounted network drive, as a store: written beside, synced, renamed, read back."""

from __future__ import annotations

import contextlib
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
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from pipeline.sinks.store import BusyError, Entry, MismatchError, Outcome, SupersededError

_LOGGER = logging.getLogger(__name__)
_PARTIAL_NAME = re.compile(r"\.\w+-\d+-[0-9a-f]{8}\.partial")  # host, process, attempt
_PARTIAL_MAX_AGE = 24 * 3600.0  # seconds; another host cannot be asked whether the process still lives
_UNLOCKABLE_ERRNOS = frozenset((errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP))
_TRANSIENT_ERRNOS = frozenset(
    (errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET)
)


def local_path(path: str) -> str:
    """Returns the path of a local file that may be written as a ``file://`` URI."""
    return path.removeprefix("file://")


def is_partial(name: str) -> bool:
    """Says whether a file name is that of an unfinished write, perhaps of a process that was killed."""
    return _PARTIAL_NAME.fullmatch(name) is not None


def remove_abandoned(folder: str) -> int:
    """Removes what writes of killed processes left in a folder and all those below it; returns how many files."""
    removed = 0
    for root, _, names in os.walk(local_path(folder)):
        for name in filter(is_partial, names):
            if _is_abandoned(leftover := os.path.join(root, name)):
                _remove(leftover)
                removed += 1
    return removed


@contextlib.contextmanager
def locked(folder: str, how: int) -> Iterator[None]:
    """Holds a lock on a folder itself, so that no lock file is left behind.

    The kernel gives it back when the process ends, however it ends. A drive that knows no locks lets everybody in,
    with a warning.

    Args:
      folder: a local folder that exists.
      how: of ``fcntl.flock``.

    Raises:
      BusyError: another process holds it, and ``how`` is not to wait.
    """
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


class LocalStore:
    """Files of this machine, or of a mounted network drive.

    A temporary file beside the target is written, synced (unless the writer does that for many files at once, with
    ``pipeline.sinks.disk``), renamed and read back. Its name tells the host and the process, so that what a killed
    process left can be told from what is being written now; see ``remove_abandoned``.
    """

    def __init__(self) -> None:
        self._made: set[str] = set()

    def write(self, path: str, content: bytes, sha256: str, media_type: str, *, synced: bool = True) -> Outcome:
        path = local_path(path)
        there = self.size(path)
        if there == len(content) and hashlib.sha256(self.read(path)).hexdigest() == sha256:
            return "kept"
        self._replace(path, content, synced or there is not None)  # a committed run may name what is there
        return "written" if there is None else "replaced"

    def write_if(self, path: str, content: bytes, expected: bytes | None) -> None:
        path = local_path(path)
        folder = os.path.dirname(path)
        self._make(folder)
        with locked(folder or ".", fcntl.LOCK_EX):
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
        with open(local_path(path), "rb") as file:
            return file.read()

    def size(self, path: str) -> int | None:
        try:
            return os.stat(local_path(path)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(local_path(folder)) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []

    def version(self, path: str) -> str | None:
        try:
            return _version(os.stat(local_path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def walk(self, folder: str, prefix: str) -> Iterator[Entry]:
        folder = local_path(folder)
        above, _, begins = prefix.rpartition("/")
        pending = [above]
        while pending:
            place = pending.pop()
            path = os.path.join(folder, place)
            if place and os.path.islink(path):
                yield Entry(place, 0, os.lstat(path).st_mtime, plain=False)
                continue
            try:
                with os.scandir(path or ".") as found:
                    entries = sorted((e for e in found if e.name.startswith(begins)), key=lambda entry: entry.name)
            except FileNotFoundError:
                continue
            begins = ""  # of what is deeper, all
            folders = []
            for entry in entries:
                name = f"{place}/{entry.name}" if place else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                    continue
                try:
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # renamed or removed since
                    continue
                plain = stat.S_ISREG(seen.st_mode)
                if not plain and entry.is_file():  # a link to one
                    with contextlib.suppress(FileNotFoundError):
                        seen = entry.stat()
                yield Entry(name, seen.st_size, seen.st_mtime, plain, _version(seen))
            pending.extend(reversed(folders))

    def delete(self, folder: str, names: Sequence[str]) -> None:
        folder = local_path(folder)
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

    def is_throttled(self, error: Exception) -> bool:
        return False

    def _replace(self, path: str, content: bytes, synced: bool = True) -> None:
        folder = os.path.dirname(path)
        self._make(folder)
        temporary = os.path.join(folder, f".{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial")
        try:
            with self._create(temporary) as file:
                file.write(content)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
            if synced:
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

    def _create(self, path: str) -> BinaryIO:
        try:
            return open(path, "xb")
        except FileNotFoundError:  # the folder was removed since it was made, as between two runs of one process
            folder = os.path.dirname(path)
            self._made.discard(folder)
            self._make(folder)
            return open(path, "xb")

    def _make(self, folder: str) -> None:
        if folder and folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)


def _host() -> str:
    return "".join(c if c.isalnum() else "_" for c in socket.gethostname())[:40]


def _is_abandoned(partial: str) -> bool:
    host, pid, _ = os.path.basename(partial).rsplit("-", 2)
    try:
        if time.time() - os.stat(partial).st_mtime > _PARTIAL_MAX_AGE:
            return True
        return host == f".{_host()}" and not _is_running(int(pid))
    except FileNotFoundError:  # finished meanwhile
        return False


def _is_running(pid: int) -> bool:
    """Says whether a process of this machine can still write.

    One that was killed and that nobody has waited for, as under a container's first process that waits for none,
    keeps its number for as long as the container lives, but writes no more.
    """
    try:
        os.kill(pid, 0)  # signal 0 only asks whether the process is there
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:  # a system without /proc, or it ended meanwhile: then the next run will see it
        return True


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


def _version(found: os.stat_result) -> str:
    return f"{found.st_size}:{found.st_mtime_ns}"
