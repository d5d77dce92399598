"""Model files, local or in cloud storage, through Beam's filesystems."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems


def list_files(path: str) -> list[str]:
    """Returns the files that make up a model, sorted: the file itself, or all below a folder.

    Args:
      path: local path or a URI such as ``gs://bucket/model``.
    """
    if "://" not in path:
        root = pathlib.Path(path)
        return [path] if root.is_file() else sorted(str(p) for p in root.rglob("*") if p.is_file())
    matched = FileSystems.match([path, path.rstrip("/") + "/**"])
    return sorted({metadata.path for result in matched for metadata in result.metadata_list})


def read_bytes(path: str) -> bytes:
    """Returns a file's content."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return file.read()


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """Gives a local path of a model for the runtimes that read files themselves.

    A local path is given as it is; what is in cloud storage is copied to a temporary folder that is removed at
    the end.
    """
    if "://" not in path:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="packshot-model-") as folder:
        root = path.rstrip("/")
        target = os.path.join(folder, root.rsplit("/", 1)[-1])
        for file in list_files(root):
            copy = pathlib.Path(target + file[len(root) :])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(read_bytes(file))
        yield target
