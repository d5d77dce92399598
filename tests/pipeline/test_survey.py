import json

import pytest

from pipeline import survey
from pipeline.survey import Survey, describe_survey, last_rate

RUNS = [f"20261122T22300{i}Z-3f9a1c" for i in range(4)]


def store(output, run, worked, rate, previous, unchanged=0):
    folder = output / "runs" / run
    folder.mkdir(parents=True)
    told = {
        "ready": worked, "review": unchanged, "rejected": 0, "unchanged": unchanged, "duplicate": 0,
        "images_per_second": rate, "previous_run": previous,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(told))


def test_the_rate_is_that_of_the_last_run_that_worked_enough(tmp_path):
    assert last_rate(str(tmp_path), None) is None
    store(tmp_path, RUNS[0], 5000, 9.0, None)
    store(tmp_path, RUNS[1], 400, 7.0, RUNS[0])
    store(tmp_path, RUNS[2], 3, 0.5, RUNS[1], unchanged=5000)
    store(tmp_path, RUNS[3], 0, 0.0, RUNS[2], unchanged=5000)
    assert last_rate(str(tmp_path), RUNS[3]) == 7.0
    assert last_rate(str(tmp_path), RUNS[0]) == 9.0


def test_without_a_large_run_the_largest_counts(tmp_path):
    store(tmp_path, RUNS[1], 4, 3.0, RUNS[0])  # whose run.json was pruned
    store(tmp_path, RUNS[2], 2, 0.5, RUNS[1])
    assert last_rate(str(tmp_path), RUNS[2]) == 3.0


@pytest.mark.parametrize(
    "found, says",
    [
        (Survey(new=3, bytes=5_000_000), ["3 new, 0 changed", "5.0 MB in 3 photos", "not known: no earlier run"]),
        (Survey(changed=600, rate=10.0), ["600 changed", "about 60 s, at the last run's 10.0 images/s"]),
        (Survey(new=36_000, rate=5.0), ["about 2.0 h"]),
        (Survey(new=2, remote=2, asked=7), ["not fetched for this: 2 new or changed, 7 known", "in 0 photos"]),
    ],
)
def test_a_survey_in_words(found, says):
    text = describe_survey(found)
    assert all(part in text for part in says), text


def test_few_runs_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "_RUNS_LOOKED_AT", 2)
    store(tmp_path, RUNS[0], 500, 9.0, None)
    store(tmp_path, RUNS[1], 1, 1.0, RUNS[0])
    store(tmp_path, RUNS[2], 2, 2.0, RUNS[1])
    assert last_rate(str(tmp_path), RUNS[2]) == 2.0
