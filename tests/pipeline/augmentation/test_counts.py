import pytest

from pipeline.augmentation.counts import SampleCount, SampleLedger, outcome
from pipeline.ledger import Ledger, LedgerError, describe_run

SHARDS = [
    {("variant", "hat", "accepted"): 3, ("product", "hat", "replaced:memorised"): 2},
    {("variant", "", "missing:not_found"): 1, ("product", "hat", "missing:low_score"): 1,
     ("product", "hat", "accepted"): 4},
]  # fmt: skip
COUNTS = [
    SampleCount("variant", "hat", "asked", 3), SampleCount("variant", "", "asked", 1),
    SampleCount("product", "hat", "asked", 5), SampleCount("product", "hat", "carried", 2),
    SampleCount("product", "kilt", "not_enabled", 7), SampleCount("variant", "", "microseconds", 8000),
]  # fmt: skip


def test_samples_add_up_by_kind_and_balance():
    ledger = SampleLedger.of(SHARDS, COUNTS)
    assert ledger.imbalance() is None
    assert ledger.as_dict() == {
        "asked": 9, "accepted": 7, "missing": 2, "carried": 2,
        "by_kind": {
            "product": {"asked": 5, "accepted": 4, "missing": 1, "carried": 2},
            "variant": {"asked": 4, "accepted": 3, "missing": 1, "carried": 0},
        },
        "refused": {"memorised": 2, "low_score": 1, "not_found": 1}, "missing_categories": {"hat": 1},
        "withheld": {"not_enabled": {"kilt": 7}}, "milliseconds": {"variant": 2.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (SampleCount("variant", "hat", "asked", 1), "5 samples of kind variant were asked for, but 3 accepted"),
        (SampleCount("", "", "examples", 6), "7 samples were accepted, but the TensorFlow dataset has 6"),
        (SampleCount("backdrop", "", "asked", 2), "2 samples of kind backdrop"),
    ],
)
def test_what_does_not_balance_ends_the_run(more, says):
    ledger = Ledger(read=0, samples=SampleLedger.of(SHARDS, [*COUNTS, more]))
    with pytest.raises(LedgerError, match=f"The ledger does not balance: {says}"):
        ledger.check()


def test_outcomes_are_told_apart():
    assert outcome("accepted", None, True) == "accepted"
    assert outcome("refused", "memorised", False) == "replaced:memorised"
    assert outcome("refused", "memorised", True) == "missing:memorised"


def test_run_json_tells_of_samples_only_where_some_were_asked_for():
    import datetime

    now = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
    told = {"started": now, "ended": now, "stages": {}, "config": {}, "model": {}, "versions": {}, "host": "h"}
    assert "augmented" not in describe_run(Ledger(read=0), **told) and "samples" not in describe_run(Ledger(0), **told)
    ledger = SampleLedger.of(SHARDS, COUNTS)
    assert describe_run(Ledger(read=0, samples=ledger), **told)["augmented"] == ledger.as_dict()
