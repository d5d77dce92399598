"""Parts photos that need work from those whose pictures there are already."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import Photo
from pipeline.refresh import classify
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import read_part, shard_of, table_parts
from transforms.reasons import RejectReason
from transforms.stage import REJECTED

_ASSET_NAMES = ("assets.list.element.uri", "assets.list.element.bytes")
_LOCK = threading.Lock()


class PreviousPictures:
    """Finds pictures that a committed run has of a photo's bytes, whatever the id they stand under.

    It is light to send; the index, 16 bytes a row, is made where it is first asked.

    Args:
      output: the output folder.
      run: the committed run.
      fingerprint, model_sha256: only rows made with this configuration and model count.
    """

    def __init__(self, output: str, run: str, fingerprint: str, model_sha256: str):
        self._key = (output, run, fingerprint, model_sha256)

    def find(self, source_sha256: str) -> tuple[str, int] | None:
        """Returns the file and the position of a row of a photo of these bytes, or None.

        Of several the one of the smallest id that has all its assets still.

        Args:
          source_sha256: of the encoded photo, 64 hexadecimal digits.

        Raises:
          storage.StorageError: it cannot be looked up whether the assets are there.
        """
        with _LOCK:  # a second thread would only read the same files again
            index = _picture_index(*self._key)
        prefixes, files, positions = index.prefixes, index.files, index.positions
        wanted = _prefix(source_sha256)
        first, last = np.searchsorted(prefixes, wanted, "left"), np.searchsorted(prefixes, wanted, "right")
        rows = []
        for place in range(first, last):
            part, position = index.parts[files[place]], int(positions[place])
            table = index.table(part)
            if table.column("source_sha256")[position].as_py() == source_sha256:
                rows.append((table.column("id")[position].as_py(), part, position))
        for _, part, position in sorted(rows):
            assets = index.table(part).column("assets")[position].as_py()
            if all(storage.file_size(storage.join(self._key[0], a["uri"])) == a["bytes"] for a in assets):
                return part, position
        return None


class _PictureIndex:
    def __init__(self, output: str, run: str, fingerprint: str, model_sha256: str):
        self._output = output
        self._tables: dict[str, pa.Table] = {}
        self.parts = table_parts(output, "catalogue", run)
        prefixes, files, positions = [], [], []
        for number, part in enumerate(self.parts):
            table = read_part(output, part, ["source_sha256", "config_fingerprint", "model_sha256"])
            made = pc.and_(
                pc.equal(table.column("config_fingerprint"), fingerprint),
                pc.equal(table.column("model_sha256"), model_sha256),
            )
            rows = np.flatnonzero(pc.fill_null(made, False).to_numpy())
            digests = table.column("source_sha256").take(pa.array(rows)).to_pylist()
            prefixes.append(np.fromiter(map(_prefix, digests), np.uint64, len(rows)))
            files.append(np.full(len(rows), number, np.int32))
            positions.append(rows.astype(np.int32))
        found = np.concatenate(prefixes)
        order = np.argsort(found, kind="stable")
        self.prefixes = found[order]
        self.files, self.positions = np.concatenate(files)[order], np.concatenate(positions)[order]

    def table(self, part: str) -> pa.Table:
        """Returns the columns of a file by which a row is made sure of."""
        if part not in self._tables:
            self._tables[part] = read_part(self._output, part, ["id", "source_sha256", *_ASSET_NAMES])
        return self._tables[part]


@functools.lru_cache(maxsize=1)
def _picture_index(output: str, run: str, fingerprint: str, model_sha256: str) -> _PictureIndex:
    return _PictureIndex(output, run, fingerprint, model_sha256)


def _prefix(sha256: str) -> int:
    return int(sha256[:16], 16)


def carry_over(
    photo: Photo, *, shards: int, find_pictures: Callable[[str], tuple[str, int] | None] | None = None
) -> Photo | CarriedRows:
    """Finds out whether a photo needs any work.

    Args:
      photo: with ``source_sha256`` and ``known``.
      shards: files of the catalogue table.
      find_pictures: of ``PreviousPictures``; None to make the pictures of every photo that is not unchanged.

    Returns:
      The photo with ``refresh`` set; or the row of its id in the last run, or of another photo of the same bytes
      there, with the attributes and the place it has now.
    """
    if photo.source_sha256 is None:
        raise ValueError(f"photo {photo.id!r} has no source_sha256; it is compared with that of the last run")
    refresh = classify(photo.source_sha256, photo.known)
    now = {"source_uri": photo.source_uri, "source_version": photo.source_version, **photo.attributes}
    if refresh == "unchanged":
        assert photo.known is not None
        changes = {**now, "refresh": "unchanged"}
        return CarriedRows(shard_of(photo.id, shards), photo.known.part, (photo.known.position,), changes)
    if find_pictures is not None and (found := find_pictures(photo.source_sha256)) is not None:
        part, position = found
        changes = {**now, "id": photo.id, "refresh": "duplicate"}
        return CarriedRows(shard_of(photo.id, shards), part, (position,), changes)
    return photo.replace(refresh=refresh, known=None)


class CarryOver(beam.PTransform):
    """Parts photos that need work from those that need none; see ``carry_over``.

    Args:
      shards: files of the catalogue table.
      pictures: of the last run; None for none, or where pictures depend on more than a photo's bytes.

    Returns (of ``expand``):
      Four PCollections: photos with ``refresh`` set, ``CarriedRows`` of the others, the same with its id for each of
      the others that leads, and rejections.
    """

    def __init__(self, shards: int, pictures: PreviousPictures | None = None):
        super().__init__()
        self._do_fn = _CarryOver(shards, pictures)

    def expand(self, photos):
        parted = photos | beam.ParDo(self._do_fn).with_outputs("carried", "leading", REJECTED, main="photos")
        return parted.photos, parted.carried, parted.leading, parted[REJECTED]


class _CarryOver(beam.DoFn):
    def __init__(self, shards: int, pictures: PreviousPictures | None):
        self._carry_over = functools.partial(
            carry_over, shards=shards, find_pictures=None if pictures is None else pictures.find
        )

    def process(self, photo: Photo):
        try:
            done = self._carry_over(photo)
        except Exception as error:  # as in every stage: one photo must never cost the bundle
            detail = f"{type(error).__name__}: {error}"
            yield beam.pvalue.TaggedOutput(REJECTED, photo.rejected("refresh", RejectReason.INTERNAL, detail))
            return
        if isinstance(done, Photo):
            yield done
            return
        yield beam.pvalue.TaggedOutput("carried", done)
        if photo.leads:
            yield beam.pvalue.TaggedOutput("leading", (photo.id, done))
