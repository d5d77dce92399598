"""A night on paper: photos, money and what gives way next, for fleets of workers on Dataflow.

``python -m deploy.night`` prints the tables of docs/SCALING.md, ``--write docs/SCALING.md`` puts them there. What a
photo takes was measured (docs/BENCHMARKS.md, docs/SCALING.md); everything about the service is an assumption or a list
price, and stands in one place below.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import itertools
import math
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

HOUR = 3600.0
NIGHT = 8 * HOUR
WORKERS = (10, 100, 1000)


@dataclasses.dataclass(frozen=True)
class Work:
    """What a photo takes, of a feed of addresses, with a packshot and a mask.

    Attributes:
      processor_ms: of one virtual processor, all of it (docs/BENCHMARKS.md, two workers).
      segment_ms: of that, the network.
      gpu_ms: what the network takes on a GPU instead. Assumed.
      reads, writes: requests of storage, class B and class A.
      shuffle_bytes: that cross shuffles: references, keys, and rows on their way to the table.
      piece: photos that a process takes at a time, at most (``pipeline.refresh``).
    """

    processor_ms: float = 69.0
    segment_ms: float = 17.9
    gpu_ms: float = 1.0
    reads: int = 3
    writes: int = 2
    shuffle_bytes: float = 1_500.0
    piece: int = 1_000


@dataclasses.dataclass(frozen=True)
class Serial:
    """What one process does for a whole catalogue, and the files of its tables.

    Attributes:
      plan_s, plan_bytes: of planning, a photo of which the last run knows something else; new ones take a tenth.
      list_s: of listing a photo's two assets: a page of a thousand takes .2 s (assumed), eight come at a time.
      start_s, start_bytes: of planning, with no photo at all.
      shard_s, shard_rows: to write a file of the catalogue table, and its rows.
      commit_s: of the ledger and the report, a photo.
    """

    plan_s: float = 35e-6
    plan_bytes: float = 1_250.0
    list_s: float = 2 / 1_000 * 0.2 / 8
    start_s: float = 4.0
    start_bytes: float = 0.27e9
    shard_s: float = 1.6
    shard_rows: int = 50_000
    commit_s: float = 5.6e-6

    def plan(self, photos: float) -> float:
        """Returns the seconds from the start of the command to the start of the job."""
        return self.start_s + (self.plan_s + self.list_s) * photos

    def commit(self, photos: float, processes: int) -> float:
        """Returns the seconds from the last photo to ``LATEST``."""
        return math.ceil(photos / self.shard_rows / processes) * self.shard_s + self.commit_s * photos

    def memory(self, photos: float) -> float:
        """Returns the bytes that planning takes."""
        return self.start_bytes + self.plan_bytes * photos


@dataclasses.dataclass(frozen=True)
class Service:
    """How machines and storage behave. All but the rates is assumed.

    Attributes:
      start_s: from the start of the job until a worker works, on average; half of that is the same for all.
      slow_share, slow_by: stragglers among the workers, and how many times as long they take.
      write_rate, read_rate: requests a second that a fresh bucket takes.
      doubling_s: the time in which it can be brought to take twice as many.
    """

    start_s: float = 180.0
    slow_share: float = 0.02
    slow_by: float = 3.0
    write_rate: float = 1_000.0
    read_rate: float = 5_000.0
    doubling_s: float = 1_200.0


@dataclasses.dataclass(frozen=True)
class Prices:
    """US dollars; where each is from stands in docs/SCALING.md."""

    processor_hour: float = 0.056
    memory_hour: float = 0.003557
    disk_hour: float = 0.000054
    shuffle_gb: float = 0.011
    gpu_hour: float = 0.70
    write: float = 0.005 / 1000
    read: float = 0.0004 / 1000


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Workers of one kind.

    Attributes:
      workers: how many.
      processors: of each, virtual; one process runs on each.
      gigabytes, disk: memory and disk of each.
      gpu: whether each has one.
    """

    workers: int
    processors: int = 4
    gigabytes: float = 16.0
    disk: float = 25.0
    gpu: bool = False

    def seconds(self, work: Work, photos: float) -> float:
        """Returns how long a worker takes for so many photos on each of its processors."""
        if not self.gpu:
            return photos * work.processor_ms / 1000
        return photos * max(work.processor_ms - work.segment_ms, work.gpu_ms * self.processors) / 1000

    def hour(self, prices: Prices) -> float:
        """Returns the price of one worker's hour."""
        machine = self.processors * prices.processor_hour + self.gigabytes * prices.memory_hour
        return machine + self.disk * prices.disk_hour + self.gpu * prices.gpu_hour


class Bucket:
    """Requests of one kind, of which a bucket takes more the longer it is used; times are of the job.

    Args:
      rate: requests a second at first.
      doubling: seconds in which it doubles.
    """

    def __init__(self, rate: float, doubling: float):
        self._scale, self._growth = rate * doubling / math.log(2), math.log(2) / doubling
        self._taken = 0.0

    def serve(self, now: float, requests: float) -> float:
        """Returns when so many requests are served that come now."""
        self._taken = max(self._taken, self._scale * math.expm1(self._growth * now)) + requests
        return math.log1p(self._taken / self._scale) / self._growth


@dataclasses.dataclass(frozen=True)
class Progress:
    """Photos that are certain to be done, and what was spent until then.

    Attributes:
      seconds: since the job began.
      photos: done by then, with all that were begun before.
      waited: seconds that workers waited for storage, summed.
    """

    seconds: float
    photos: int
    waited: float


def simulate(fleet: Fleet, work: Work, service: Service, until: float, seed: int = 1) -> Iterator[Progress]:
    """Lets a fleet work through pieces, each worker taking the next one when it is done; yields its progress.

    A worker computes while its requests are on their way, and takes no new piece before they are served.

    Args:
      fleet, work, service: what works, on what, under which circumstances.
      until: seconds of the job after which no piece is begun.
      seed: of start-up times and stragglers.
    """
    draw = random.Random(seed)
    free = [(service.start_s * (0.5 + 0.5 * draw.expovariate(1)), worker) for worker in range(fleet.workers)]
    pace = [service.slow_by if draw.random() < service.slow_share else 1.0 for _ in free]
    writes, reads = (Bucket(rate, service.doubling_s) for rate in (service.write_rate, service.read_rate))
    heapq.heapify(free)
    photos, last, waited = 0, 0.0, 0.0
    while free[0][0] < until:
        now, worker = free[0]
        done = work.piece * fleet.processors
        computed = now + fleet.seconds(work, work.piece) * pace[worker]
        served = max(writes.serve(now, done * work.writes), reads.serve(now, done * work.reads))
        ready = max(computed, served)
        heapq.heapreplace(free, (ready, worker))
        photos, last, waited = photos + done, max(last, ready), waited + ready - computed
        yield Progress(last, photos, waited)


@dataclasses.dataclass(frozen=True)
class Night:
    """What a fleet gets done from the start of the command to the commit.

    Attributes:
      progress: of the job, at its end.
      serial: seconds of planning and committing.
      memory: bytes that planning takes.
      dollars: for a million photos: machines, shuffle, writes, reads.
      gives_way: what takes more than a tenth of the workers' time or of the night beside the photos themselves.
    """

    progress: Progress
    serial: float
    memory: float
    dollars: tuple[float, float, float, float]
    gives_way: str


def night(
    fleet: Fleet, *, part: int | None = None, work: Work = Work(), serial: Serial = Serial(),
    service: Service = Service(), prices: Prices = Prices(), length: float = NIGHT,
) -> Night:  # fmt: skip
    """Returns the most that a fleet can do in a night.

    Args:
      fleet: the workers.
      part: photos of one catalogue, of which several are worked on in turn, each planned while the one before it is
        worked on; None for one catalogue of all photos.
      work, serial, service, prices: see there.
      length: of the night, seconds.

    Raises:
      ValueError: not even one piece can be done.
    """
    processes = fleet.workers * fleet.processors

    def alone(photos: float) -> float:
        whole = photos if part is None else min(part, photos)
        return serial.plan(whole) + serial.commit(whole, processes)

    found = None
    for progress in simulate(fleet, work, service, length):
        if progress.seconds + alone(progress.photos) > length:
            break
        found = progress
    if found is None:
        raise ValueError(f"{length:.0f} s are too short a night for even one piece of {work.piece} photos a process")
    photos, busy = found.photos, fleet.workers * found.seconds
    dollars = (
        busy / HOUR * fleet.hour(prices) / photos * 1e6,
        work.shuffle_bytes * 1e6 / 1e9 * prices.shuffle_gb,
        work.writes * prices.write * 1e6,
        work.reads * prices.read * 1e6,
    )
    shares = {
        "storage writes": found.waited / busy,
        "planning and commit": alone(photos) / length,
    }
    worst = max(shares, key=lambda name: shares[name])
    memory = serial.memory(photos if part is None else min(part, photos))
    gives_way = f"{worst}, {shares[worst]:.0%}" if shares[worst] > 0.1 else "processors"
    return Night(found, alone(photos), memory, dollars, gives_way)


def processors_a_gpu(work: Work = Work(), prices: Prices = Prices()) -> float:
    """Returns how many processors must feed a GPU before it costs no more than the processors that it spares."""
    fed = Fleet(1, 1, 4.0, 25 / 4)
    spared = fed.hour(prices) * (work.processor_ms / (work.processor_ms - work.segment_ms) - 1)
    return prices.gpu_hour / spared


def tables(workers: Sequence[int] = WORKERS, part: int = 2_000_000) -> dict[str, str]:
    """Returns the Markdown tables of docs/SCALING.md by their names."""
    nights, costs = [], []
    for count, gpu in itertools.product(workers, (False, True)):
        fleet = Fleet(count, gpu=gpu)
        name = f"{count:,} {'GPU' if gpu else 'CPU'}"
        one, parts = night(fleet), night(fleet, part=part)
        pure = fleet.workers * fleet.processors / fleet.seconds(Work(), 1)
        nights.append(
            (name, f"{pure:,.0f}", _millions(one), f"{one.memory / 1e9:,.0f} GB", one.gives_way, _millions(parts),
             parts.gives_way)
        )  # fmt: skip
        costs.append((name, *(f"{part:.2f}" for part in parts.dollars), f"{sum(parts.dollars):.2f}"))
    head = (
        "workers", "images/s, processors alone", "a night, one catalogue", "its planning's memory", "next to give way",
        f"a night, catalogues of {part / 1e6:g} M", "next to give way",
    )  # fmt: skip
    return {
        "nights": _markdown(head, nights),
        "costs": _markdown(("workers", "machines, $", "shuffle, $", "writes, $", "reads, $", "a million, $"), costs),
        "gpu": f"A GPU pays from {processors_a_gpu():.0f} processors that feed it.",
    }


def put(page: str, parts: dict[str, str]) -> str:
    """Returns a page with tables between ``<!-- night: NAME -->`` and ``<!-- end: NAME -->`` replaced.

    Raises:
      ValueError: a table has no such place.
    """
    for name, text in parts.items():
        place = re.compile(rf"(<!-- night: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
        if len(place.findall(page)) != 1:
            raise ValueError(f"the page should have one place '<!-- night: {name} -->' ... '<!-- end: {name} -->'")
        page = place.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
    return page


def _millions(found: Night) -> str:
    return f"{found.progress.photos / 1e6:,.1f} M"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables, or writes them into a page."""
    parser = argparse.ArgumentParser(prog="python -m deploy.night", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page")
    page = parser.parse_args(arguments).write
    found = tables()
    if page is None:
        print("\n\n".join(found.values()))
    else:
        page.write_text(put(page.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
