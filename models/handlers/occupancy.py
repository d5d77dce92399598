"""How well a model is kept at work: how full its batches are, and how long it waits for photos."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

# Names under which a photo's share is summed beside the times of its stages; those have no space.
BUSY, WAITED, PLACES = "model busy", "model waited", "model places"


@dataclasses.dataclass(frozen=True)
class Share:
    """One photo's share of its batch; the shares of all photos add up to what the model did.

    Attributes:
      busy: milliseconds that the model worked.
      waited: milliseconds that it had stood idle before.
      places: of the batch, 1 where it was full, more where it was not.
    """

    busy: float
    waited: float
    places: float

    def sums(self) -> dict[str, float]:
        """Returns what is to be added up, by name."""
        return {BUSY: self.busy, WAITED: self.waited, PLACES: self.places}


class Occupancy:
    """The time of a model that several threads may use at once: busy while one of them does.

    Args:
      clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._lock = threading.Lock()
        self._at_work = 0
        self._since = clock()

    def begin(self) -> float:
        """Tells that a thread begins; returns the seconds for which none had been at work."""
        with self._lock:
            waited = 0.0
            if not self._at_work:
                now = self._clock()
                waited, self._since = now - self._since, now
            self._at_work += 1
            return waited

    def end(self) -> float:
        """Tells that a thread has ended; returns the busy seconds that no other thread was told of."""
        with self._lock:
            now = self._clock()
            busy, self._since = now - self._since, now
            self._at_work -= 1
            return busy


def describe_inference(sums: Mapping[str, tuple[float, int]]) -> dict[str, Any] | None:
    """Returns how the model was kept at work.

    Args:
      sums: by name, with the number of photos that they are of; others than those of ``Share`` are passed over.

    Returns:
      ``photos``; ``batch_fill``, the fraction of the batches' places that photos took; ``waiting``, the fraction of
      its time that the model waited for photos, from its loading to its last batch, over all processes. None if no
      photo went through it.
    """
    (places, photos), (busy, _), (waited, _) = (sums.get(name, (0.0, 0)) for name in (PLACES, BUSY, WAITED))
    if not photos or not places:
        return None
    whole = busy + waited
    return {
        "photos": photos,
        "batch_fill": round(photos / places, 4),
        "waiting": round(waited / whole, 4) if whole else 0.0,
    }
