"""Near-duplicates: pairs of catalogue photos of different bytes that look the same.

Two hashes of 64 bits that differ in at most d bits agree wholly in one of d + 1 bands of their bits, since d
differences cannot touch d + 1 bands (M. Norouzi, A. Punjani, D. Fleet: Fast Search in Hamming Space with Multi-Index
Hashing, CVPR 2012). So only photos that share the bits of a band, a bucket, are compared, and no pair within the
distance is missed. A pair counts if the finer hash agrees too; see docs/NEAR-DUPLICATES.md for how far that goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline.report.columns import id_digest
from pipeline.sinks import storage
from pipeline.sinks.tables import part_name, read_part
from pipeline.sinks.write_table import ShardSummary
from transforms.perceptual_hash import DETAIL_BITS, HASH_BITS, colour_distances

# A photo is listed with so many near-duplicates before it, the nearest: a picture that is in a catalogue ten thousand
# times would else fill fifty million rows. Nor would it be compared with all of its kind in less than fifty million
# comparisons: of photos of the very same hash, only the first so many are compared with those after them.
MOST_NEIGHBOURS = 32
MOST_EQUAL = 64
# For each of the 64 coarse bits that may differ, so many of the 256 fine ones may.
DETAIL_PER_BIT = 6

ENTRY = np.dtype([("hash", "<u8"), ("detail", "<u8", (DETAIL_BITS // 64,)), ("key", "<u8"), ("content", "<u8")])
_PAIR = np.dtype([("first", "<u8"), ("second", "<u8"), ("distance", "u1"), ("detail_distance", "<u2"), ("more", "?")])
_EVERY_BAND = -1
_CELLS = 1 << 17  # comparisons at a time: a megabyte, which stays in the cache
_MOST_WAITING = 1 << 20  # pairs
_TEXTS = ("id", "source_uri", "refresh", "perceptual_hash")
_HASHES = ("perceptual_hash", "perceptual_detail", "perceptual_colours")

Batch = tuple[bytes, bytes, list[tuple[str, ...]]]  # ENTRY of each photo, colours, its _TEXTS


class NearPairs(NamedTuple):
    """Pairs of entries, each entry by its position; all arrays of shape (pairs,).

    Attributes:
      first, second: int64; ``first`` < ``second``.
      distance: uint8, bits of 64 that differ.
      detail_distance: uint16, bits of 256 that differ.
      more: bool, ``second`` is, or may be, near to more entries before it than are listed.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    detail_distance: np.ndarray
    more: np.ndarray


def find_near_pairs(entries: np.ndarray, limit: int, most: int = MOST_NEIGHBOURS) -> NearPairs:
    """Finds the near-duplicates among all entries, without Beam.

    Args:
      entries: ``ENTRY`` (n,).
      limit: bits of 64 that may differ; ``DETAIL_PER_BIT`` as many of the 256.
      most: near-duplicates listed of an entry among those before it: the nearest, by distance, detail distance and
        position.

    Returns:
      The pairs, by ``second``, then ``first``.
    """
    every = [find_in_band(entries, band, limit, most) for band in range(limit + 1)]
    return _nearest(NearPairs(*(np.concatenate(parts) for parts in zip(*every, strict=True))), most)


def find_in_band(entries: np.ndarray, band: int, limit: int, most: int) -> NearPairs:
    """Finds the near-duplicates that agree in a band of the hash, and in none before it; see ``find_near_pairs``.

    Args:
      entries: all that may share their bits of the band.
      band: 0 to ``limit``.
      limit, most: as there.
    """
    if len(entries) < 2:
        return _no_pairs()
    found, waiting, waits = [_no_pairs()], [], 0
    for pairs in _coarse_pairs(entries, band, limit):
        waiting.append(pairs)
        waits += pairs.shape[1]
        if waits > _MOST_WAITING:
            found.append(_confirmed(entries, np.concatenate(waiting, axis=1), band, limit, most))
            waiting, waits = [], 0
    if waiting:
        found.append(_confirmed(entries, np.concatenate(waiting, axis=1), band, limit, most))
    whole = NearPairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    crowded = _rank_among_equal(entries["hash"]) >= MOST_EQUAL
    return whole._replace(more=whole.more | crowded[whole.second])


def band_mask(band: int, limit: int) -> np.uint64:
    """Returns the bits of a band, one of ``limit`` + 1: every so manieth, because bits of like place are alike."""
    return np.uint64(sum(1 << bit for bit in range(band, HASH_BITS, limit + 1)))


def _coarse_pairs(entries: np.ndarray, band: int, limit: int) -> Iterator[np.ndarray]:
    """Yields positions of entries of a bucket that are within the limit, int64 (2, n): the earlier, the later.

    All pairs of one later entry come at once. Of entries of the same hash only the first are paired with later ones.
    """
    hashes = entries["hash"].copy()  # contiguous
    listed = _rank_among_equal(hashes) < MOST_EQUAL
    values = hashes & band_mask(band, limit)
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=~values[order[-1:]])) + 1
    for start, end in zip(np.r_[0, ends[:-1]].tolist(), ends.tolist(), strict=True):
        if end - start < 2:
            continue
        bucket = order[start:end]  # ascending positions
        earlier = bucket[listed[bucket]]
        step = max(16, _CELLS // len(earlier))
        for top in range(0, len(bucket), step):
            later = bucket[top : top + step]
            before = earlier[: np.searchsorted(earlier, later[-1])]
            if not len(before):
                continue
            near = np.flatnonzero(np.bitwise_count(hashes[later, None] ^ hashes[before]) <= limit)
            if len(near):
                row, column = np.divmod(near, len(before))
                pairs = np.stack([before[column], later[row]])
                yield pairs[:, pairs[0] < pairs[1]]


def _confirmed(entries: np.ndarray, pairs: np.ndarray, band: int, limit: int, most: int) -> NearPairs:
    """Keeps the pairs that are of this band and near in the finer hash too, the nearest of each later entry."""
    first, second = pairs
    difference = entries["hash"][first] ^ entries["hash"][second]
    kept = np.ones(len(first), bool)
    for earlier in range(band):  # where that band agrees too, the pair is found there
        kept &= difference & band_mask(earlier, limit) != 0
    first, second, difference = first[kept], second[kept], difference[kept]
    detail = np.bitwise_count(entries["detail"][first] ^ entries["detail"][second]).sum(axis=1, dtype=np.uint16)
    near = detail <= DETAIL_PER_BIT * limit
    distance = np.bitwise_count(difference)
    found = NearPairs(first, second, distance, detail, np.zeros(len(first), bool))
    return _nearest(NearPairs(*(values[near] for values in found)), most)


def _rank_among_equal(hashes: np.ndarray) -> np.ndarray:
    """Returns how many entries before each one have the same hash, int64 (n,)."""
    order = np.argsort(hashes, kind="stable")
    place = np.arange(len(order))
    starts = np.r_[True, np.diff(hashes[order]) != 0][: len(order)]
    rank = np.empty(len(order), np.int64)
    rank[order] = place - np.maximum.accumulate(np.where(starts, place, 0))
    return rank


def _nearest(pairs: NearPairs, most: int) -> NearPairs:
    """Keeps of every ``second`` the nearest; sorted by ``second``, then ``first``."""
    # one number to sort by, which is much faster than four
    nearness = pairs.second << 14 | pairs.distance.astype(np.int64) << 9 | pairs.detail_distance
    order = np.argsort(pairs.first, kind="stable")
    order = order[np.argsort(nearness[order], kind="stable")]
    second = pairs.second[order]
    starts = np.searchsorted(second, second, side="left")
    sizes = np.searchsorted(second, second, side="right") - starts
    kept = order[np.arange(len(order)) - starts < most]
    more = pairs.more.copy()
    more[order] |= sizes > most
    crowded = np.unique(pairs.second[more])
    kept = kept[np.lexsort((pairs.first[kept], pairs.second[kept]))]
    kept_pairs = NearPairs(*(values[kept] for values in pairs))
    return kept_pairs._replace(more=np.isin(kept_pairs.second, crowded))


def _no_pairs() -> NearPairs:
    return NearPairs(
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.uint16), np.empty(0, bool)
    )


class FindNearDuplicates(beam.PTransform):
    """Finds the near-duplicates in a run's catalogue table, among all its rows, whichever run made them.

    What is shuffled are packed arrays: 56 bytes a photo, where there are partitions a photo and band, and once a photo
    what its rows will say. A row without hashes, of a release that had none, takes no part; of photos of the same
    bytes one takes part.

    Applied to the ``ShardSummary`` of each file of the table, which is read again when it is written.

    Args:
      output: the output folder.
      run: the run's name.
      limit: bits of 64 that may differ, 0 to ``MOST_DISTANCE``; below 0 nothing is looked for.
      partitions: pieces of every band that may be searched side by side.

    Returns (of ``expand``):
      Rows of ``NEAR_DUPLICATES_SCHEMA``, in no order.
    """

    def __init__(self, output: str, run: str, limit: int, partitions: int):
        super().__init__()
        self._output = output
        self._run = run
        self._limit = limit
        self._partitions = partitions

    def expand(self, summaries):
        if self._limit < 0:
            return summaries.pipeline | beam.Create([], reshuffle=False)
        batches = summaries | "ReadHashes" >> beam.Map(_read_hashes, self._output, self._run)  # Batch
        pairs = (
            batches
            | "ToBands" >> beam.FlatMap(_to_bands, self._limit, self._partitions)  # ((band, partition), entries)
            | "GatherBuckets" >> beam.GroupByKey()  # ((band, partition), [entries])
            | "CompareBuckets" >> beam.FlatMap(_compare, self._limit, self._partitions)  # (partition of first, pairs)
        )
        photos = batches | "ToPartitions" >> beam.FlatMap(_to_partitions, self._partitions)  # (partition, Batch)
        half = (
            {"photos": photos, "pairs": pairs}
            | "GatherFirsts" >> beam.CoGroupByKey()
            | "JoinFirsts" >> beam.FlatMap(_join_firsts, self._partitions)  # (partition of second, (pairs, Batch))
        )
        return (
            {"photos": photos, "half": half}
            | "GatherSeconds" >> beam.CoGroupByKey()
            | "JoinSeconds" >> beam.FlatMap(_join_seconds)  # near_duplicates row
        )


def _read_hashes(summary: ShardSummary, output: str, run: str) -> Batch:
    part = storage.join("catalogue", run, part_name(summary.shard, summary.shards))
    return pack(read_part(output, part, [*_TEXTS, *_HASHES[1:], "source_sha256"]))


def pack(rows: pa.Table) -> Batch:
    """Returns what is needed of catalogue rows that have hashes, as few objects.

    Args:
      rows: the columns of the catalogue that tell of photos and their looks.
    """
    rows = rows.filter(rows.column("perceptual_hash").is_valid())
    hashes, details, colours = (_bytes_of(rows.column(name).to_pylist()) for name in _HASHES)
    entries = np.zeros(rows.num_rows, ENTRY)
    entries["hash"] = np.frombuffer(hashes, "<u8")
    entries["detail"] = np.frombuffer(details, "<u8").reshape(-1, DETAIL_BITS // HASH_BITS)
    digests = [digest[:16] for digest in rows.column("source_sha256").to_pylist()]
    entries["content"] = np.frombuffer(_bytes_of(digests), "<u8")
    texts = list(zip(*(rows.column(name).to_pylist() for name in _TEXTS), strict=True))
    entries["key"] = [id_digest(text[0]) for text in texts]
    return entries.tobytes(), colours, texts


def _bytes_of(digits: Iterable[str]) -> bytes:
    return bytes.fromhex("".join(digits))


def _to_bands(batch: Batch, limit: int, partitions: int) -> Iterator[tuple[tuple[int, int], bytes]]:
    if partitions == 1:  # one worker is quick enough, and nothing need be sent once a band
        yield (_EVERY_BAND, 0), batch[0]
        return
    entries = np.frombuffer(batch[0], ENTRY)
    for band in range(limit + 1):
        for partition, members in _parted(entries["hash"] & band_mask(band, limit), partitions):
            yield (band, partition), entries[members].tobytes()


def _to_partitions(batch: Batch, partitions: int) -> Iterator[tuple[int, Batch]]:
    for partition, members in _parted(np.frombuffer(batch[0], ENTRY)["key"], partitions):
        yield partition, _take(batch, members)


def _compare(
    group: tuple[tuple[int, int], Iterable[bytes]], limit: int, partitions: int
) -> Iterator[tuple[int, bytes]]:
    (band, _), parts = group
    entries = _one_of_each_content(np.frombuffer(b"".join(parts), ENTRY))
    if band == _EVERY_BAND:
        found = find_near_pairs(entries, limit)
    else:
        found = find_in_band(entries, band, limit, MOST_NEIGHBOURS)
    pairs = np.empty(len(found.first), _PAIR)
    pairs["first"], pairs["second"] = entries["key"][found.first], entries["key"][found.second]
    for name in ("distance", "detail_distance", "more"):
        pairs[name] = getattr(found, name)
    for partition, members in _parted(pairs["first"], partitions):
        yield partition, pairs[members].tobytes()


def _one_of_each_content(entries: np.ndarray) -> np.ndarray:
    """Returns the entries by key, without those of the same bytes as one before: they are of the same band, too."""
    entries = entries[np.lexsort((entries["content"], entries["key"]))]
    _, first = np.unique(entries["content"], return_index=True)
    return entries[np.sort(first)]


def _join_firsts(
    group: tuple[int, Mapping[str, Iterable[Any]]], partitions: int
) -> Iterator[tuple[int, tuple[bytes, Batch]]]:
    _, parts = group
    pairs = np.frombuffer(b"".join(parts["pairs"]), _PAIR)
    if len(pairs):
        photos = _joined(parts["photos"])
        for partition, members in _parted(pairs["second"], partitions):
            wanted = pairs[members]
            yield partition, (wanted.tobytes(), _look_up(photos, np.unique(wanted["first"])))


def _join_seconds(group: tuple[int, Mapping[str, Iterable[Any]]]) -> Iterator[dict[str, Any]]:
    _, parts = group
    halves = list(parts["half"])
    pairs = np.frombuffer(b"".join(half[0] for half in halves), _PAIR)
    if not len(pairs):
        return
    keys = [np.unique(pairs[side], return_inverse=True) for side in ("first", "second")]
    sides = _joined(half[1] for half in halves), _joined(parts["photos"])
    firsts, seconds = (_look_up(side, unique) for side, (unique, _) in zip(sides, keys, strict=True))
    (_, first), (_, second) = keys
    found = NearPairs(first, second, pairs["distance"], pairs["detail_distance"], pairs["more"])
    found = _nearest(found, MOST_NEIGHBOURS)
    colours = colour_distances(_colours(firsts)[found.first], _colours(seconds)[found.second])
    values = (column.tolist() for column in (*found, colours))
    for one, other, distance, detail_distance, more, colour_distance in zip(*values, strict=True):
        row: dict[str, Any] = {
            "distance": distance,
            "detail_distance": detail_distance,
            "colour_distance": colour_distance,
            "more": more,
        }
        both = sorted((firsts[2][one], seconds[2][other]))
        for name, (photo_id, source_uri, refresh, digits) in zip("ab", both, strict=True):
            row[f"id_{name}"], row[f"hash_{name}"] = photo_id, digits
            row[f"source_uri_{name}"], row[f"refresh_{name}"] = source_uri, refresh
        yield row


def _colours(batch: Batch) -> np.ndarray:
    return np.frombuffer(batch[1], np.uint8).reshape(-1, 32)


def _joined(batches: Iterable[Batch]) -> Batch:
    batches = list(batches)
    return (
        b"".join(batch[0] for batch in batches),
        b"".join(batch[1] for batch in batches),
        [text for batch in batches for text in batch[2]],
    )


def _take(batch: Batch, members: np.ndarray) -> Batch:
    entries, colours, texts = batch
    return (
        np.frombuffer(entries, ENTRY)[members].tobytes(),
        np.frombuffer(colours, "V32")[members].tobytes(),
        [texts[member] for member in members.tolist()],
    )


def _look_up(batch: Batch, keys: np.ndarray) -> Batch:
    """Returns the photos of a batch that have the keys, in their order."""
    known = np.frombuffer(batch[0], ENTRY)["key"]
    order = np.argsort(known, kind="stable")
    return _take(batch, order[np.searchsorted(known, keys, sorter=order)])


def _parted(values: np.ndarray, partitions: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the positions of the values by partition; equal values are together on every machine."""
    mixed = values * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)  # Knuth's multiplicative hashing
    partition = (mixed % np.uint64(partitions)).astype(np.int64)
    for number in np.unique(partition).tolist():
        yield number, np.flatnonzero(partition == number)
