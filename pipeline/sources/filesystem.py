"""Files wherever Beam can reach them: local paths, ``file://``, ``gs://`` and ``s3://``."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipeline.sinks import storage

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_GLOB_CHARACTERS = re.compile(r"[*?\[]")


@dataclasses.dataclass(frozen=True)
class FoundFile:
    """A file that exists.

    Attributes:
      uri: path or URI that ``open_file`` takes.
      relative: its path below the folder that was searched, with forward slashes.
      size: bytes.
      version: changes with its bytes, as ``pipeline.sinks.storage.Listed`` has it.
    """

    uri: str
    relative: str
    size: int
    version: str


def scheme_of(uri: str) -> str:
    """Returns the scheme in lower case, or ``file`` for a plain path."""
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else "file"


def beam_path(uri: str) -> str:
    """Returns a URI as Beam's file systems take it: they know no ``file://``."""
    if _SCHEME.match(uri) and scheme_of(uri) == "file":
        return urllib.parse.unquote(urllib.parse.urlsplit(uri).path)
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
        return open(path, "rb")
    if _is_bucket(path):  # Beam would try for minutes
        raise ValueError(f"{uri!r} names a bucket, not a file in it")
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


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
      before the first wildcard.

    Raises:
      OSError, ValueError: the place cannot be listed, or its scheme is unknown here.
    """
    path = beam_path(place)
    local = scheme_of(path) == "file"
    literal = os.path.exists(path) if local else not _GLOB_CHARACTERS.search(path)
    if not literal:
        fixed = _GLOB_CHARACTERS.split(path, maxsplit=1)[0]
        return _match(path, fixed.rpartition("/")[0] + "/" if "/" in fixed else "")
    if os.path.isfile(path) if local else not path.endswith("/") and exists(path):
        return _match(_quoted(path), path.rpartition("/")[0] + "/" if "/" in path else "")
    root = path.rstrip("/") + "/"
    return _match(_quoted(root) + "**", root)


def _is_bucket(path: str) -> bool:
    """Whether the path is an object store's bucket without any object in it."""
    return scheme_of(path) != "file" and "/" not in path.rstrip("/").partition("://")[2]


def _match(pattern: str, root: str) -> list[FoundFile]:
    files = []
    for found in _matching(pattern):
        if scheme_of(found.path) == "file":
            relative = os.path.relpath(found.path, root or ".").replace(os.sep, "/")
        else:
            relative = found.path.removeprefix(root)
        if not relative.endswith("/"):  # object stores have empty objects that stand for folders
            files.append(FoundFile(found.path, relative, found.size, found.version))
    return sorted(files, key=lambda file: file.relative)


def _matching(pattern: str) -> Iterator[storage.Listed]:
    """Lists the files whose paths match; of object stores by the clients themselves, as Beam knows no versions."""
    if scheme_of(pattern) in ("gs", "s3"):
        regex = re.compile(FileSystems.get_filesystem(pattern).translate_pattern(pattern))
        try:
            for found in storage.list_below(_GLOB_CHARACTERS.split(pattern, maxsplit=1)[0]):
                if regex.match(found.path):
                    yield found
        except storage.StorageError as error:
            raise OSError(str(error)) from error
        return
    try:
        matched = FileSystems.match([pattern])[0].metadata_list
    except BeamIOError as error:  # its text is a dict of the causes
        causes = "; ".join(f"{type(cause).__name__}: {cause}" for cause in error.exception_details.values())
        raise OSError(causes or str(error)) from error
    for metadata in matched:
        yield storage.Listed(metadata.path, metadata.size_in_bytes, storage.file_version(metadata.path) or "")


def _quoted(path: str) -> str:
    """Returns a pattern that matches just this path: Beam's patterns have no escape but the character class."""
    return _GLOB_CHARACTERS.sub(lambda match: f"[{match.group()}]", path)
