"""Files wherever Beam can reach them: local paths, ``file://``, ``gs://`` and ``s3://``."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import urllib.parse
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems

from pipeline.sinks import storage
from pipeline.sources.names import address_of_path

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_GLOB_CHARACTERS = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """A file that exists.

    Attributes:
      uri: path or URI that ``open_file`` takes.
      relative: its path below the folder that was searched, with forward slashes.
      size: bytes.
      version: changes with its bytes, as ``pipeline.sinks.storage.Entry`` has it; None where it is not known.
    """

    uri: str
    relative: str
    size: int
    version: str | None


def scheme_of(uri: str) -> str:
    """Returns the scheme in lower case, or ``file`` for a plain path."""
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else "file"


def beam_path(uri: str) -> str:
    """Returns a URI as Beam's file systems take it: they know no ``file://``."""
    if _SCHEME.match(uri) and scheme_of(uri) == "file":
        return urllib.parse.unquote(urllib.parse.urlsplit(uri).path, errors="surrogateescape")
    return uri


def resolve(uri: str, beside: str) -> str:
    """Returns a URI that may be relative to the folder of a file, as an absolute one or as that file's is.

    Args:
      uri: anything with a scheme, an absolute path, or a path relative to the folder of ``beside``.
      beside: the file in which ``uri`` stands.
    """
    if _SCHEME.match(uri) or uri.startswith(("/", "data:")):
        return uri
    folder, slash, _ = beam_path(beside).rpartition("/")
    return folder + slash + uri.removeprefix("./")


def open_file(uri: str) -> BinaryIO:
    """Opens a file for reading, seekable, as the bytes that are stored.

    Raises:
      OSError: the file cannot be read.
      ValueError: the URI names no file, or is of a scheme that no installed file system knows.
    """
    path = beam_path(uri)
    if scheme_of(path) == "file":
        return _open_local(path)
    if _is_bucket(path):  # Beam would try for minutes
        raise ValueError(f"{uri!r} names a bucket, not a file in it")
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _open_local(path: str) -> BinaryIO:
    # Without waiting: a pipe that nobody writes to would be waited for forever, as would some devices.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(f"{path!r} is a folder")
        raise ValueError(f"{path!r} is a pipe, a socket or a device, not a file")
    return open(descriptor, "rb")


def exists(uri: str) -> bool:
    """Whether there is a file (for local paths: or a folder) of this name."""
    path = beam_path(uri)
    return not _is_bucket(path) and FileSystems.exists(path)


def find_files(place: str) -> list[FoundFile]:
    """Lists a file, a folder with everything below it, or what a glob matches.

    Args:
      place: path or URI. In globs ``*`` and ``?`` stay within one folder, ``**`` goes below. A file or folder
        that exists under the very name is taken as such, whatever characters it has.

    Returns:
      The files, sorted by ``relative``: for a single file its name, for a glob the path below the last folder
      before the first wildcard. Locally everything counts that is no folder, also pipes and links that lead nowhere,
      lest a photo be lost without a word; links to folders are not followed.

    Raises:
      OSError, ValueError: the place or a folder in it cannot be listed, or its scheme is unknown here.
    """
    path = beam_path(place)
    if scheme_of(path) == "file":
        return _find_local(path)
    if _GLOB_CHARACTERS.search(path):
        fixed = _GLOB_CHARACTERS.split(path, maxsplit=1)[0]
        return _match(path, fixed.rpartition("/")[0] + "/")
    if not path.endswith("/") and exists(path):
        return _match(path, path.rpartition("/")[0] + "/")
    root = path.rstrip("/") + "/"
    return _match(root + "**", root)


def _find_local(path: str) -> list[FoundFile]:
    if os.path.isdir(path):
        return _walk(path, path)
    if os.path.lexists(path):
        return [_found(path, os.path.dirname(path))]
    fixed = _GLOB_CHARACTERS.split(path, maxsplit=1)[0]
    if fixed == path:
        return []
    root = fixed.rpartition("/")[0] if "/" in fixed else "."
    pattern = re.compile(FileSystem.translate_pattern(path if "/" in fixed else f"./{path}"))
    return [file for file in _walk(root or "/", root or "/") if pattern.match(os.path.join(root or "/", file.relative))]


def _walk(folder: str, root: str) -> list[FoundFile]:
    def fail(error: OSError) -> None:
        raise error

    if not os.path.isdir(folder):
        return []
    paths = (os.path.join(above, name) for above, _, names in os.walk(folder, onerror=fail) for name in names)
    return sorted((_found(path, root) for path in paths), key=lambda file: file.relative)


def _found(path: str, root: str) -> FoundFile:
    try:
        size, version = os.stat(path).st_size, storage.file_version(path)
    except (OSError, storage.StorageError):  # a link that leads nowhere, or a file just gone: reading it will say so
        size, version = 0, None
    relative = os.path.relpath(path, root or ".").replace(os.sep, "/")
    return FoundFile(address_of_path(path), relative, size, version)


def _is_bucket(path: str) -> bool:
    """Whether the path is an object store's bucket without any object in it."""
    return scheme_of(path) != "file" and "/" not in path.rstrip("/").partition("://")[2]


def _match(pattern: str, root: str) -> list[FoundFile]:
    """Lists the files whose paths match, all of which begin with ``root``."""
    if scheme_of(pattern) in ("gs", "s3"):
        files = _match_objects(pattern, root)
    else:
        files = [
            FoundFile(found.path, found.path.removeprefix(root), found.size_in_bytes, None)
            for found in _matched_by_beam(pattern)
        ]
    # Object stores have empty objects that stand for folders.
    files = [file for file in files if file.relative and not file.relative.endswith("/")]
    return sorted(files, key=lambda file: file.relative)


def _match_objects(pattern: str, root: str) -> list[FoundFile]:
    """Lists objects by the clients themselves, as Beam knows no versions."""
    regex = re.compile(FileSystems.get_filesystem(pattern).translate_pattern(pattern))
    begins = _GLOB_CHARACTERS.split(pattern, maxsplit=1)[0].removeprefix(root)
    try:
        return [
            FoundFile(root + found.name, found.name, found.size, found.version)
            for found in storage.list_files(root, begins)
            if regex.match(root + found.name)
        ]
    except storage.StorageError as error:
        raise OSError(str(error)) from error


def _matched_by_beam(pattern: str) -> list[FileMetadata]:
    try:
        return FileSystems.match([pattern])[0].metadata_list
    except BeamIOError as error:  # its text is a dict of the causes
        causes = "; ".join(f"{type(cause).__name__}: {cause}" for cause in error.exception_details.values())
        raise OSError(causes or str(error)) from error
