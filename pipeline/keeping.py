"""What is kept of an output folder: the last committed runs, and what they name. From that, what goes."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import itertools
import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from pipeline.hashing import among, hashes
from pipeline.refresh import RUN_NAME, latest_run
from pipeline.sinks import storage
from pipeline.sinks.tables import TABLES, read_part, table_parts

FOLDERS = ("runs", *TABLES, "unfinished", "assets")  # where Packshot puts its files; in no other one is looked
_ASSET = re.compile(r"assets/([a-z0-9]+)/([0-9a-f]{2})/[a-z0-9-]+-\2[0-9a-f]{18}\.[a-z0-9]+")
_PART = re.compile(rf"(?:{'|'.join(TABLES)})/([^/]+)/part-\d{{5}}-of-\d{{5}}\.parquet")
_NOTE = re.compile(r"unfinished/(\d{8}T\d{6}Z-[0-9a-f]{6})-[^/]+\.parquet")  # of photos that a run had finished
_LIST = re.compile(r"[a-z]+-\d{5}\.jsonl\.gz")  # below unfinished/<run>/: of what a run was to do
_ROWS_AT_A_TIME = 5000
_NOTHING = np.empty(0, np.int64)
_LOGGER = logging.getLogger(__name__)


class PruneRefused(ValueError):
    """It is not known for certain what is to be kept, so nothing is deleted."""


class Verdict(enum.Enum):
    """What becomes of a file."""

    KEPT = "kept"
    YOUNG = "younger"
    FOREIGN = "not Packshot's"
    ASSET = "assets"
    TABLE = "tables"
    RUN = "runs"
    PARTIAL = "unfinished files"

    @property
    def goes(self) -> bool:
        """Whether the file is deleted."""
        return self not in (Verdict.KEPT, Verdict.YOUNG, Verdict.FOREIGN)


@dataclasses.dataclass(frozen=True)
class PrunePlan:
    """What is kept, and from that what goes.

    Attributes:
      kept: names of the runs that stay, the current one first.
      dropped: of the runs that go, those older than all kept ones, oldest first.
      unfinished: the others: they were never committed, or ``LATEST`` was set back past them; oldest first.
      named: hashes of the assets that kept catalogues name, int64, sorted.
      once_named: hashes of those that only dropped catalogues name, int64, sorted.
    """

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    unfinished: tuple[str, ...]
    named: np.ndarray
    once_named: np.ndarray

    def judge(self, files: Sequence[storage.Entry], cutoff: float) -> list[Verdict]:
        """Says what becomes of files.

        A file that no committed run ever named may be one that a run is just about to name, so it must have some age
        to go. What a dropped run named is not waited for. Hashes stand for names, and the errors that they allow
        are on the safe side but for one in 10^13: two names of one hash are both kept if one of them is.

        Args:
          files: with names below the output folder.
          cutoff: seconds since 1970; what is stored later is young.
        """
        of_names = hashes(file.name for file in files)
        named, once = among(of_names, self.named), among(of_names, self.once_named)
        return [
            self._judge(file, bool(is_named), bool(was_named), file.modified > cutoff)
            for file, is_named, was_named in zip(files, named, once, strict=True)
        ]

    def _judge(self, file: storage.Entry, is_named: bool, was_named: bool, young: bool) -> Verdict:
        if is_named:
            return Verdict.KEPT
        if not file.plain:
            return Verdict.FOREIGN
        top, _, rest = file.name.partition("/")
        run, _, below = rest.partition("/")
        if top == "runs" and below and run not in self.kept and RUN_NAME.fullmatch(run):
            return Verdict.YOUNG if young and run not in self.dropped else Verdict.RUN
        if top == "unfinished" and _LIST.fullmatch(below) and run not in self.kept and RUN_NAME.fullmatch(run):
            return Verdict.YOUNG if young and run not in self.dropped else Verdict.RUN
        if top in FOLDERS and storage.is_partial(file.name.rpartition("/")[2]):
            return Verdict.YOUNG if young and run not in self.dropped else Verdict.PARTIAL
        if top == "runs" and below and run in self.kept:
            return Verdict.KEPT
        if _ASSET.fullmatch(file.name):
            return Verdict.YOUNG if young and not was_named else Verdict.ASSET
        if note := _NOTE.fullmatch(file.name):
            return Verdict.YOUNG if young and note[1] > self.kept[0] else Verdict.RUN
        part = _PART.fullmatch(file.name)
        if part is None or not RUN_NAME.fullmatch(part[1]):
            return Verdict.FOREIGN
        if part[1] in self.kept:
            return Verdict.KEPT
        return Verdict.YOUNG if young and part[1] not in self.dropped else Verdict.TABLE


def committed_runs(latest: str, described: Collection[str], previous_run: Callable[[str], str | None]) -> Iterator[str]:
    """Yields the committed runs, the current one first.

    Every run names the one that it was planned against, and was committed only while that was the current one; so
    the chain from ``LATEST`` holds all committed runs and no other. Where the chain ends, older runs that have a
    ``run.json`` follow by name: earlier releases did not write down the run before.

    Args:
      latest: the current run.
      described: runs that have a ``run.json``.
      previous_run: returns the run before, by what a run's ``run.json`` says, or None.
    """
    run: str | None = latest
    seen: set[str] = set()
    last = latest
    while run is not None and run in described and run not in seen:
        yield run
        seen.add(run)
        last, run = run, previous_run(run)
    if run is None:
        yield from (older for older in sorted(described, reverse=True) if older < last and older not in seen)


def plan_prune(output: str, keep_runs: int) -> PrunePlan:
    """Finds out what is kept: reads ``LATEST``, and the catalogues of the runs.

    Args:
      output: the output folder.
      keep_runs: how many committed runs to keep, at least 1.

    Raises:
      PruneRefused: ``LATEST`` or something of a run that is to be kept is missing, or is not whole.
      storage.StorageError: something could not be read.
    """
    if keep_runs < 1:
        raise PruneRefused(f"--keep_runs={keep_runs!r} must be at least 1: the current run is always kept")
    latest = current_run(output)
    present, described = _runs_present(output)
    if latest not in described:
        raise PruneRefused(f"the current run {latest!r} has no run.json in {output!r}, which tells the run before it")
    committed = committed_runs(latest, described, lambda run: _previous_run(output, run))
    kept = tuple(itertools.islice(committed, keep_runs))
    oldest = min(kept)
    going = sorted(present - set(kept))
    dropped = tuple(run for run in going if run < oldest)
    named = once_named = _NOTHING
    for run in kept:
        try:
            named = _union(named, named_assets(output, run), without=_NOTHING)
        except (OSError, ValueError) as error:
            raise PruneRefused(f"the catalogue of run {run!r}, which is to be kept, is not whole: {error}") from error
    for run in dropped:
        once_named = _union(once_named, readable_assets(output, run), without=named)
    return PrunePlan(
        kept=kept,
        dropped=dropped,
        unfinished=tuple(run for run in going if run > oldest),
        named=named,
        once_named=once_named,
    )


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Makes a storage's failure in the body a reason to delete nothing."""
    try:
        yield
    except storage.StorageError as error:
        raise PruneRefused(f"what is to be kept cannot be read: {error}") from error


def current_run(output: str) -> str:
    """Returns the run that ``LATEST`` names.

    Raises:
      PruneRefused: there is none, or it cannot be read.
      ValueError: it is no run's name.
    """
    with refusing():
        latest = latest_run(output)
    if latest is None:
        raise PruneRefused(f"{output!r} holds no committed run: there is no LATEST to tell what is to be kept")
    return latest


def catalogue_assets(output: str, run: str) -> Iterator[tuple[list[str], list[int]]]:
    """Yields the uris and the sizes of the assets that a run's catalogue names, some thousand at a time.

    Raises:
      FileNotFoundError, ValueError: the catalogue is missing or not whole.
    """
    columns = ["assets.list.element.uri", "assets.list.element.bytes"]
    for part in table_parts(output, "catalogue", run):
        for batch in read_part(output, part, columns).to_batches(max_chunksize=_ROWS_AT_A_TIME):
            assets = batch.column("assets").flatten()
            yield assets.field("uri").to_pylist(), assets.field("bytes").to_pylist()


def sample_assets(output: str, run: str) -> Iterator[tuple[list[str], list[int]]]:
    """Yields the uris and the sizes of the samples that a run's table names, with their masks; nothing without one.

    Raises:
      FileNotFoundError, ValueError: the run made samples, but their table is missing or not whole.
    """
    if not _made_samples(output, run):
        return
    columns = ["uri", "bytes", "mask_uri", "mask_bytes"]
    for part in table_parts(output, "augmented", run):
        for batch in read_part(output, part, columns).to_batches(max_chunksize=_ROWS_AT_A_TIME):
            pairs = [
                (row[uri], row[size])
                for row in batch.to_pylist()
                for uri, size in (("uri", "bytes"), ("mask_uri", "mask_bytes"))
                if row[uri] is not None
            ]
            yield [uri for uri, _ in pairs], [size for _, size in pairs]


def _made_samples(output: str, run: str) -> bool:
    """Says whether a run has a table of samples: by its run.json, or where that is gone already, by its files."""
    try:
        told = json.loads(storage.read_bytes(storage.join(output, "runs", run, "run.json")))
    except FileNotFoundError:
        return bool(storage.file_names(storage.join(output, "augmented", run)))
    return isinstance(told, Mapping) and "augmented" in told


def named_assets(output: str, run: str) -> Iterator[tuple[list[str], list[int]]]:
    """Yields all assets that a run's tables name; see ``catalogue_assets`` and ``sample_assets``."""
    yield from catalogue_assets(output, run)
    yield from sample_assets(output, run)


def readable_assets(output: str, run: str) -> Iterator[tuple[list[str], list[int]]]:
    """Yields a dropped run's assets as far as they can be read; an earlier pruning may have been at it."""
    try:
        yield from named_assets(output, run)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        _LOGGER.warning("The catalogue of run %s, which goes, is not whole: %s", run, error)


def _runs_present(output: str) -> tuple[set[str], set[str]]:
    """Returns the runs of which anything is there, and those that have a run.json."""
    present, described = set(), set()
    for folder in ("runs", *TABLES):
        for file in storage.list_files(output, f"{folder}/"):
            _, run, *below = file.name.split("/")
            if below and RUN_NAME.fullmatch(run):
                present.add(run)
                if folder == "runs" and below == ["run.json"]:
                    described.add(run)
    return present, described


def _previous_run(output: str, run: str) -> str | None:
    path = storage.join(output, "runs", run, "run.json")
    try:
        content = json.loads(storage.read_bytes(path))
        previous = content["previous_run"] if isinstance(content, Mapping) else ""
    except FileNotFoundError as error:
        raise PruneRefused(f"{path!r} was removed at this moment; start again") from error
    except KeyError:
        return None
    except ValueError as error:
        raise PruneRefused(f"{path!r} cannot be read, so it is not known which run was before it: {error}") from error
    if previous is not None and not (isinstance(previous, str) and RUN_NAME.fullmatch(previous)):
        raise PruneRefused(f"{path!r} says that the run before was {previous!r}, which is no run's name")
    return previous


def _union(known: np.ndarray, assets: Iterable[tuple[list[str], list[int]]], without: np.ndarray) -> np.ndarray:
    """Returns the known hashes and those of the assets that are not in ``without``, sorted."""
    pieces = [known]
    for uris, _ in assets:
        found = hashes(uris)
        pieces.append(found[~among(found, known) & ~among(found, without)])  # next to none after the first run
    return known if sum(map(len, pieces)) == len(known) else np.unique(np.concatenate(pieces))
