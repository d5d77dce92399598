import pytest

from models.handlers.occupancy import BUSY, PLACES, WAITED, Occupancy, Share, describe_inference


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_one_thread_waits_and_works(clock):
    occupancy = Occupancy(clock)
    clock.now += 3
    assert occupancy.begin() == 3
    clock.now += 5
    assert occupancy.end() == 5
    clock.now += 2
    assert occupancy.begin() == 2


def test_seconds_that_threads_share_are_counted_once(clock):
    occupancy = Occupancy(clock)
    clock.now += 1
    assert occupancy.begin() == 1
    clock.now += 4
    assert occupancy.begin() == 0  # it was not idle
    clock.now += 2
    assert occupancy.end() == 6
    clock.now += 3
    assert occupancy.end() == 3
    clock.now += 7
    assert occupancy.begin() == 7


def test_shares_add_up_to_what_the_model_did():
    shares = [Share(busy=10, waited=5, places=8 / 6).sums() for _ in range(6)]
    sums = {name: (sum(share[name] for share in shares), 6) for name in (BUSY, WAITED, PLACES)}
    assert describe_inference({"decode": (1.0, 6), **sums}) == {"photos": 6, "batch_fill": 0.75, "waiting": 0.3333}


def test_without_photos_there_is_nothing_to_tell():
    assert describe_inference({"decode": (1.0, 6)}) is None
