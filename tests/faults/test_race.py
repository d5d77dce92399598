"""Two runs that write to the same folder at once."""

import pytest

from tests.faults.conftest import Output

# What a folder is like that two machines share, or an object store: nobody is kept out at the start.
_UNCLAIMED = """
import contextlib
import pipeline.sinks.storage as storage
storage.claimed = lambda folder: contextlib.nullcontext()
"""


@pytest.mark.parametrize(
    ("first", "says"),
    [("", "another process of this machine is at work on"), (_UNCLAIMED, "Start it again; finished pictures are kept")],
    ids=["on one machine", "without locks"],
)
def test_one_of_two_runs_commits_and_the_other_says_why_it_did_not(
    shop, committed, undisturbed, output, check, first, says
):
    processes = [shop.start(output.path, first=first) for _ in range(2)]
    ended = sorted(shop.ended(process) for process in processes)
    assert [status for status, _ in ended] == [0, 1]
    (line,) = [line for line in ended[1][1].splitlines() if line.startswith("packshot:")]
    assert says in line or "was not committed" in line
    assert "Traceback" not in ended[1][1]
    assert output.tables() == undisturbed.tables()
    assert output.assets() == undisturbed.assets()
    runs = {path.name for path in (output.path / "runs").iterdir() if (path / "run.json").exists()}
    assert {committed.latest, output.latest} <= runs
    assert shop.run(output.path)[0] == 0  # and the next one finds nothing to do, and tidies up
    assert (
        output.run_json()["unchanged"]
        == Output(undisturbed.path).run_json()["ready"] + undisturbed.run_json()["review"]
    )
    assert output.leftovers() == []
