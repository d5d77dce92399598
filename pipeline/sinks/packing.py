"""New rows packed by the hundred, so that waiting for their table they take next to no memory."""

from __future__ import annotations

import dataclasses
import io
import os
import tempfile

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from pipeline.sinks import storage
from pipeline.sinks.tables import Row, shard_of, to_arrow

# Measured for 10,000 rows of the catalogue: as dicts they took 206 MB on their way to the table.
_ROWS_A_PACK = 256


@dataclasses.dataclass(frozen=True)
class Aside:
    """A piece of a file of this machine: its path, where the piece begins, and its length in bytes."""

    path: str
    start: int
    length: int


@dataclasses.dataclass(frozen=True)
class PackedRows:
    """New rows of one shard on their way to the table, in a twentieth of the memory.

    Attributes:
      shard: to which all of them belong.
      content: an Arrow stream of the table's schema, compressed; or where ``SetAside`` has put it.
    """

    shard: int
    content: bytes | Aside


def unpacked(rows: PackedRows) -> pa.Table:
    """Returns packed rows as a table.

    Raises:
      storage.StorageError, FileNotFoundError: they were set aside, and are not there any more.
    """
    content = rows.content
    if isinstance(content, Aside):
        with open(content.path, "rb") as file:
            file.seek(content.start)
            found = file.read(content.length)
        if len(found) != content.length:
            raise storage.StorageError(f"{content.path!r} lost rows that a worker had put there; start the run again")
        return pa.ipc.open_stream(found).read_all()
    return pa.ipc.open_stream(content).read_all()


class SetAside(beam.DoFn):
    """Puts packed rows into files and sends on where they are: ``PackedRows`` to ``PackedRows``.

    Beam's local runner holds in memory what goes from stage to stage, up to four times over, which for a million photos
    is more than all else that a run needs. Only for runners all of whose workers are on this machine. A bundle that is
    replayed writes its rows again; nobody reads the first ones.

    Args:
      folder: of this machine, which is there as long as the job runs.

    Raises:
      storage.StorageError: they cannot be written there.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._file = -1

    def setup(self):
        self._file, self._path = tempfile.mkstemp(suffix=".rows", dir=self._folder)
        self._end = 0

    def process(self, rows: PackedRows):
        assert isinstance(rows.content, bytes)
        start, left = self._end, memoryview(rows.content)
        try:
            while left:
                written = os.write(self._file, left)
                left, self._end = left[written:], self._end + written
        except OSError as error:
            raise storage.StorageError(
                f"finished rows could not be put into {self._folder!r}: {error.strerror}. They take some 350 bytes a "
                "photo there; name a roomier folder in TMPDIR, then start the run again."
            ) from error
        yield PackedRows(rows.shard, Aside(self._path, start, len(rows.content)))

    def teardown(self):
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class PackRows(beam.PTransform):
    """Packs rows by shard and by the hundred, so that waiting for their table they take next to no memory.

    Applied before anything else is mixed with them: what a runner keeps between two stages is then the packs.

    Args:
      schema: of the table.
      shards: of the table.
      key: the column that a row's shard follows from.
      aside: a folder of this machine to keep the packs in, of ``SetAside``; None keeps them in the shuffle.

    Returns (of ``expand``):
      ``PackedRows``, from rows.
    """

    def __init__(self, schema: pa.Schema, shards: int, key: str = "id", *, aside: str | None = None):
        super().__init__()
        self._packer = _PackRows(schema, shards, key)
        self._aside = aside

    def expand(self, rows):
        packs = rows | beam.ParDo(self._packer)
        return packs if self._aside is None else packs | "SetAside" >> beam.ParDo(SetAside(self._aside))


class _PackRows(beam.DoFn):
    def __init__(self, schema: pa.Schema, shards: int, key: str):
        self._key = key
        self._schema = schema.serialize().to_pybytes()  # a schema's own pickle differs between pyarrow versions
        self._shards = shards
        self._waiting: dict[int, list[Row]] = {}

    def start_bundle(self):
        self._waiting = {}

    def process(self, row: Row):
        shard = shard_of(row[self._key], self._shards)
        rows = self._waiting.setdefault(shard, [])
        rows.append(row)
        if len(rows) == _ROWS_A_PACK:
            yield self._pack(shard)

    def finish_bundle(self):
        for shard in sorted(self._waiting):
            yield GlobalWindows.windowed_value(self._pack(shard))

    def _pack(self, shard: int) -> PackedRows:
        table = to_arrow(self._waiting.pop(shard), pa.ipc.read_schema(pa.py_buffer(self._schema)))
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        return PackedRows(shard, sink.getvalue())
