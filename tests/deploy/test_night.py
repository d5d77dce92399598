"""The night on paper: what can be reckoned by hand comes out, and the page has what the model says."""

import dataclasses
import math
import pathlib

import pytest

from deploy.night import (
    Bucket,
    Fleet,
    Prices,
    Serial,
    Service,
    Work,
    night,
    processors_a_gpu,
    put,
    simulate,
    tables,
)

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "SCALING.md"
IDEAL = Service(start_s=0.0, slow_share=0.0, write_rate=1e9, read_rate=1e9)
NOTHING_SERIAL = Serial(plan_s=0.0, list_s=0.0, start_s=0.0, shard_s=0.0, commit_s=0.0)


def test_without_hindrance_processors_alone_count():
    fleet, work = Fleet(10), Work(processor_ms=50.0, piece=100)
    found = night(fleet, work=work, serial=NOTHING_SERIAL, service=IDEAL, length=3600.0)
    assert found.progress.photos == 10 * 4 * 3600 * 1000 / 50
    assert found.progress.waited == pytest.approx(0.0, abs=1e-3) and found.gives_way == "processors"


def test_a_bucket_serves_its_rate_and_twice_as_much_later():
    bucket = Bucket(1_000.0, 1_200.0)
    assert bucket.serve(0.0, 1_000) == pytest.approx(1.0, rel=1e-3)
    assert bucket.serve(0.0, 1_000) == pytest.approx(2.0, rel=2e-3)  # behind the first
    assert bucket.serve(1_200.0, 2_000) == pytest.approx(1_201.0, rel=1e-5)


def test_all_requests_of_a_job_are_within_what_the_bucket_takes():
    service, fleet, work = Service(start_s=60.0), Fleet(200), Work()
    for progress in simulate(fleet, work, service, until=4_000.0):
        taken = 1_000 * 1_200 / math.log(2) * (2 ** (progress.seconds / 1_200) - 1)
        assert progress.photos * work.writes <= taken * (1 + 1e-9)
    assert progress.waited > 0.2 * 200 * progress.seconds


def test_stragglers_and_serial_parts_cost_photos():
    def photos(**changes):
        return night(
            Fleet(50), length=7_200.0, **{"serial": NOTHING_SERIAL, "service": IDEAL, **changes}
        ).progress.photos

    assert photos(service=dataclasses.replace(IDEAL, slow_share=0.2)) < 0.95 * photos()
    late = dataclasses.replace(NOTHING_SERIAL, commit_s=1e-3)
    assert photos(serial=late) == pytest.approx(photos() * 7_200 / (7_200 + 1e-3 * photos()), rel=0.02)
    assert photos(serial=late, part=100_000) > photos(serial=late)


def test_a_million_photos_cost_what_a_bill_would_say():
    work = Work(processor_ms=36.0, piece=100, writes=3, reads=5, shuffle_bytes=2_000)
    prices = Prices(processor_hour=0.1, memory_hour=0.01, disk_hour=0.0, shuffle_gb=0.5, write=1e-6, read=1e-7)
    found = night(Fleet(5), work=work, serial=NOTHING_SERIAL, service=IDEAL, prices=prices, length=3_600.0)
    # ten processor-hours, four gigabytes beside each
    assert found.dollars == pytest.approx((10 * (0.1 + 4 * 0.01), 1.0, 3.0, 0.5))


def test_a_gpu_pays_where_what_it_spares_costs_as_much():
    processors, prices, work = processors_a_gpu(), Prices(), Work()
    fed = Fleet(1, math.ceil(processors), 4.0 * math.ceil(processors), 25 / 4 * math.ceil(processors))
    without, with_it = fed.hour(prices) / fed.seconds(work, 1), dataclasses.replace(fed, gpu=True)
    assert fed.hour(prices) * fed.seconds(work, 1) >= 0.99 * with_it.hour(prices) * with_it.seconds(work, 1)
    assert without > 0


def test_a_night_too_short_is_said():
    with pytest.raises(ValueError, match="too short"):
        night(Fleet(10), length=60.0)


def test_the_page_has_what_the_model_says():
    page = PAGE.read_text(encoding="utf-8")
    found = tables(workers=(10, 100))
    for name in ("nights", "costs"):
        rows = found[name].splitlines()
        assert all(row in page for row in rows), f"python -m deploy.night --write {PAGE.name}"
    assert found["gpu"] in page


def test_tables_go_where_the_page_says():
    page = "a\n<!-- night: x -->\nold\n<!-- end: x -->\nb"
    assert put(page, {"x": "new"}) == "a\n<!-- night: x -->\nnew\n<!-- end: x -->\nb"
    with pytest.raises(ValueError, match="night: y"):
        put(page, {"y": "new"})
