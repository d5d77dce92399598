"""Says on the output itself who is at work there, so that pruning and running keep out of each other's way.

A run in progress has stored files that no committed table names yet, and pruning is there to delete such files.
So a run leaves a marker before it stores anything, then looks for that of a pruning; a pruning leaves its own, then
looks for those of runs. Whichever comes second sees the other: the run waits, the pruning refuses. Markers are
renewed every minute, and say which process of which host left them, so that a dead one can be told.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator

from pipeline.sinks import storage

STARTED = "started.json"  # below runs/<run>/, from a run's start to its end
PRUNING = "PRUNING"  # below the output folder, while files are deleted

_RENEWED_EVERY = 60.0  # seconds
_PRUNING_IS_DEAD_AFTER = 900.0  # seconds without renewal, if its process cannot be asked for
_LOGGER = logging.getLogger(__name__)


class OutputBusy(Exception):
    """Somebody else is at work on the output folder."""


@dataclasses.dataclass(frozen=True)
class Marker:
    """Who is at work, and when they last said so.

    Attributes:
      host, pid: the process that started the work.
      local: whether the work is done by that process and its children, and ends with it; False where a remote
        runner may go on without it.
      started, renewed: seconds since 1970, by the clock of ``host``.
    """

    host: str
    pid: int
    local: bool
    started: float
    renewed: float

    @classmethod
    def mine(cls, *, local: bool = True) -> Marker:
        """Returns the marker of this process, as of now."""
        now = round(time.time(), 3)
        return cls(host=socket.gethostname(), pid=os.getpid(), local=local, started=now, renewed=now)

    @classmethod
    def parse(cls, content: bytes, path: str) -> Marker:
        """Returns what a marker's file says.

        Raises:
          OutputBusy: nothing that can be understood: it is not known whether somebody is at work.
        """
        try:
            values = json.loads(content)
            return cls(
                host=str(values["host"]),
                pid=int(values["pid"]),
                local=bool(values["local"]),
                started=float(values["started"]),
                renewed=float(values["renewed"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise OutputBusy(
                f"{path!r} says that somebody is at work there, but not who: {content[:80]!r}; "
                "delete that file if nobody is"
            ) from error

    def text(self) -> str:
        """Returns the content of the marker's file."""
        return json.dumps(dataclasses.asdict(self)) + "\n"

    def alive(self) -> bool | None:
        """Says whether the process is there; None where that cannot be asked from here."""
        if not self.local or self.host != socket.gethostname():
            return None
        try:
            os.kill(self.pid, 0)  # signal 0 only asks
        except ProcessLookupError:
            return False
        except PermissionError:  # of another user
            return True
        return True

    def active(self, within: float) -> bool:
        """Says whether the work may be going on.

        Args:
          within: seconds since the last renewal after which a process that cannot be asked for is taken for dead.
        """
        alive = self.alive()
        return time.time() - self.renewed < within if alive is None else alive

    def __str__(self) -> str:
        since = datetime.datetime.fromtimestamp(self.started, datetime.UTC).isoformat(timespec="seconds")
        return f"process {self.pid} on host {self.host}, since {since}"


def run_marker(output: str, run: str) -> str:
    """Returns the path of a run's marker."""
    return storage.join(output, "runs", run, STARTED)


@contextlib.contextmanager
def marking_run(
    output: str, run: str, *, local: bool = True, handed_over: bool = False, poll: float = 2.0
) -> Iterator[str]:
    """Marks a run as in progress while the body runs; first waits for the end of a pruning.

    The marker stays behind when the process is killed, and when a run that is not local fails: its workers may
    still be storing files.

    Args:
      output: the output folder.
      run: the run's name.
      local: as in ``Marker``.
      handed_over: whether the run only begins when the body has ended, elsewhere; the marker stays, and the commit
        removes it.
      poll: seconds between two looks for a pruning.

    Yields:
      The marker's path.

    Raises:
      storage.StorageError: the marker could not be written.
    """
    path = run_marker(output, run)
    marker = Marker.mine(local=local)
    storage.write_bytes(path, marker.text().encode(), media_type="application/json")
    try:
        with _renewing(path, marker):
            _await_pruning(output, poll)
            yield path
    except BaseException:
        if local:
            _remove(output, path)
        raise
    if not handed_over:
        _remove(output, path)


def runs_in_progress(output: str, within: float) -> dict[str, Marker]:
    """Returns the markers of runs that may be in progress, by run.

    Args:
      output: the output folder.
      within: as in ``Marker.active``.

    Raises:
      OutputBusy: a marker cannot be understood.
      storage.StorageError: they could not be read.
    """
    found = {}
    for file in storage.list_files(output, "runs/"):
        parts = file.name.split("/")
        if len(parts) != 3 or parts[2] != STARTED:
            continue
        marker = _read(storage.join(output, file.name))
        if marker is not None and marker.active(within):
            found[parts[1]] = marker
    return found


class Pruning:
    """This process's leave to delete files of an output folder.

    Args:
      output: the output folder.
    """

    def __init__(self, output: str):
        self._output = output
        self._path = storage.join(output, PRUNING)
        self._marker = Marker.mine()

    def check(self) -> None:
        """Raises OutputBusy if the leave was lost: this process slept so long that it was taken for dead."""
        found = _read(self._path)
        if found is None or (found.host, found.pid, found.started) != (
            self._marker.host,
            self._marker.pid,
            self._marker.started,
        ):
            raise OutputBusy(f"pruning of {self._output!r} was taken for dead and stops; start it again")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the leave while the body runs.

        Raises:
          OutputBusy: another pruning has it.
        """
        found = _read(self._path)
        if found is not None and found.active(_PRUNING_IS_DEAD_AFTER):
            raise OutputBusy(f"{self._output!r} is being pruned already by {found}")
        if found is not None:
            _remove(self._output, self._path)
        try:
            storage.write_text_last(self._path, self._marker.text(), expected=None)
        except storage.SupersededError as error:
            raise OutputBusy(f"somebody else began to prune {self._output!r} at the same moment") from error
        try:
            with _renewing(self._path, self._marker):
                yield
        finally:
            _remove(self._output, self._path)


def _await_pruning(output: str, poll: float) -> None:
    path = storage.join(output, PRUNING)
    said = False
    while (found := _read(path)) is not None:
        if not found.active(_PRUNING_IS_DEAD_AFTER):
            _remove(output, path)  # should it wake up after all, it finds its leave gone
            return
        if not said:
            _LOGGER.warning("The run waits: %r is being pruned by %s.", output, found)
            said = True
        time.sleep(poll)


@contextlib.contextmanager
def _renewing(path: str, marker: Marker) -> Iterator[None]:
    """Renews a marker while the body runs; one that was removed by others is not made again."""
    stop = threading.Event()

    def renew() -> None:
        written = marker
        while not stop.wait(_RENEWED_EVERY):
            renewed = dataclasses.replace(marker, renewed=round(time.time(), 3))
            try:
                storage.write_text_last(path, renewed.text(), expected=written.text())
                written = renewed
            except storage.SupersededError:
                return
            except storage.StorageError as error:
                _LOGGER.warning("%s was not renewed: %s", path, error)

    thread = threading.Thread(target=renew, name="renew-marker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _read(path: str) -> Marker | None:
    try:
        return Marker.parse(storage.read_bytes(path), path)
    except FileNotFoundError:
        return None


def _remove(output: str, path: str) -> None:
    storage.delete_files(output, [path.removeprefix(storage.join(output, ""))])
