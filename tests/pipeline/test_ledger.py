import datetime
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.handlers.occupancy import Share
from pipeline.ledger import Ledger, LedgerError, describe_run, exit_status
from pipeline.sinks.write_table import ShardSummary


def _catalogue(shard=0, shards=1, ready=0, review=0, refresh=None, assets_written=0):
    status = {"ready": ready, "review": review}
    return ShardSummary("catalogue", shard, shards, ready + review, status, refresh or {}, {}, assets_written, "0" * 64)


def _rejections(shard=0, shards=1, **reasons):
    return ShardSummary("rejections", shard, shards, sum(reasons.values()), {}, {}, reasons, 0, "0" * 64)


def _near_duplicates(shard=0, shards=1, rows=0):
    return ShardSummary("near_duplicates", shard, shards, rows, {}, {}, {}, 0, "0" * 64)


def _removed(shard=0, shards=1, rows=0):
    return ShardSummary("removed", shard, shards, rows, {"ready": rows}, {}, {}, 0, "0" * 64)


def test_ledger_adds_up_shards():
    ledger = Ledger.of_tables(
        12,
        3,
        [
            _rejections(1, 2, empty=1),
            _catalogue(1, 2, ready=4, review=1, refresh={"new": 3, "unchanged": 2}, assets_written=6),
            _catalogue(0, 2, ready=3, refresh={"unchanged": 1, "duplicate": 2}),
            _rejections(0, 2, empty=1, truncated=1, too_large=1),
            _near_duplicates(1, 2, rows=5),
            _near_duplicates(0, 2, rows=1),
            _removed(0, 2, rows=1),
            _removed(1, 2, rows=2),
        ],
    )
    assert ledger == Ledger(
        read=12, ready=7, review=1, rejected=4, unchanged=3, duplicate=2, removed=3, assets_written=6,
        rejections={"empty": 2, "too_large": 1, "truncated": 1}, near_duplicates=6,
    )  # fmt: skip
    assert list(ledger.rejections) == ["empty", "too_large", "truncated"]
    ledger.check()


@pytest.mark.parametrize(
    "summaries, sentence",
    [
        ([_catalogue(), _rejections()], r"near_duplicates table is not whole: only its shards \[\]"),
        ([_catalogue(), _rejections(0, 2)], r"rejections table is not whole: only its shards \[0\]"),
        ([_catalogue()], r"rejections table is not whole: only its shards \[\]"),
        ([_catalogue(), _catalogue(), _rejections()], r"catalogue table is not whole: .*\[0, 0\]"),
        ([_catalogue(0, 1), _catalogue(1, 2), _rejections()], "catalogue table is not whole"),
        ([_catalogue(), _rejections(), _near_duplicates()], r"removed table is not whole: only its shards \[\]"),
        (
            [_catalogue(), _rejections(), _near_duplicates(), _removed(rows=2)],
            "0 photos were removed .* the removed table has 2 rows",
        ),
    ],
)
def test_missing_or_repeated_shard_is_an_error(summaries, sentence):
    with pytest.raises(LedgerError, match=sentence):
        Ledger.of_tables(0, 0, summaries)


def test_unknown_status_is_an_error():
    odd = ShardSummary("catalogue", 0, 1, 2, {"ready": 1, "odd": 1}, {}, {}, 0, "")
    with pytest.raises(LedgerError, match="Of 2 catalogue rows, 1 are ready and 0 review"):
        Ledger.of_tables(2, 0, [odd, _rejections(), _near_duplicates(), _removed()])


@pytest.mark.parametrize(
    "ledger, sentence",
    [
        (Ledger(read=10, ready=7, review=1, rejected=1, rejections={"empty": 1}),
         "10 photos were read, but 7 ready [+] 1 review [+] 1 rejected = 9; 1 were lost"),
        (Ledger(read=1, ready=2), "1 photos were read.* = 2; 1 were counted twice"),
        (Ledger(read=2, ready=2, unchanged=2, duplicate=1), "2 unchanged [+] 1 duplicate .* more than the 2"),
        (Ledger(read=1, rejected=1), "1 photos were rejected, but the reasons {} add up to 0"),
    ],
)  # fmt: skip
def test_unbalanced_ledger_names_its_numbers(ledger, sentence):
    with pytest.raises(LedgerError, match=sentence):
        ledger.check()


@settings(max_examples=50, deadline=None)
@given(ready=st.integers(0, 99), review=st.integers(0, 99), rejected=st.integers(0, 99), off=st.integers(-9, 9))
def test_ledger_balances_exactly_when_nothing_is_lost(ready, review, rejected, off):
    reasons = {"empty": rejected} if rejected else {}
    ledger = Ledger(ready + review + rejected + off, ready, review, rejected, rejections=reasons)
    if off:
        with pytest.raises(LedgerError):
            ledger.check()
    else:
        ledger.check()


@pytest.mark.parametrize(
    "read, rejected, limit, status",
    [(100, 5, 0.05, 0), (100, 6, 0.05, 3), (0, 0, 0.0, 0), (3, 1, 0.0, 3), (3, 3, 1.0, 0)],
)
def test_exit_status(read, rejected, limit, status):
    assert exit_status(Ledger(read=read, ready=read - rejected, rejected=rejected), limit) == status


def test_photos_that_a_killed_run_had_finished_are_told_and_not_counted_as_work():
    started = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
    described = describe_run(
        Ledger(read=10, ready=6, review=2, rejected=2, unchanged=1, assets_written=14, rejections={"empty": 2}),
        started=started, ended=started + datetime.timedelta(seconds=1), stages={"decode": (9.0, 3)},
        config={}, model={}, versions={}, host="h",
    )  # fmt: skip
    assert described["resumed"] == 4
    assert described["images_per_second"] == 5.0  # three finished, two rejected


def test_how_the_model_was_kept_at_work_is_no_stage():
    started = datetime.datetime(2026, 11, 22, 22, 30, tzinfo=datetime.UTC)
    described = describe_run(
        Ledger(read=4, ready=4), started=started, ended=started + datetime.timedelta(seconds=1),
        stages={"decode": (8.0, 4), **{name: (value, 4) for name, value in Share(30.0, 10.0, 8.0).sums().items()}},
        config={}, model={}, versions={}, host="h",
    )  # fmt: skip
    assert described["stages"] == {"decode": 2.0}
    assert described["inference"] == {"photos": 4, "batch_fill": 0.5, "waiting": 0.25}


def test_description_of_a_run():
    started = datetime.datetime(2026, 11, 22, 22, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    ledger = Ledger(
        read=12,
        ready=7,
        review=1,
        rejected=4,
        unchanged=2,
        removed=3,
        assets_written=6,
        rejections={"empty": 4},
    )
    described = describe_run(
        ledger,
        started=started,
        ended=started + datetime.timedelta(seconds=4),
        stages={"decode": (30.0, 10), "matte": (5.0, 2)},
        config={"profile": "white-square"},
        model={"name": "m"},
        versions={"packshot": "0.1"},
        host="h",
        previous_run="r1",
    )
    assert " ".join(described) == (
        "read ready review rejected unchanged duplicate removed assets_written near_duplicates seconds "
        "images_per_second stages config model versions rejections started ended host previous_run resumed"
    )
    assert described["previous_run"] == "r1"
    assert described["seconds"] == 4.0
    assert described["images_per_second"] == 2.5  # of the ten that were worked on
    assert described["stages"] == {"decode": 3.0, "matte": 2.5}
    assert described["resumed"] == 0
    assert described["started"] == "2026-11-22T21:30:00+00:00"
    assert json.loads(json.dumps(described)) == described
