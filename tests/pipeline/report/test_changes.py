import pathlib
import shutil

from pipeline.report import build_report
from pipeline.report.changes import Move, compare, flatten


def outcome(rows, **statuses):
    for number, status in statuses.items():
        rows[int(number[1:])]["status"] = status
    return rows


def test_moves_of_photos(runs):
    rows = runs.rows(12, review_every=100)  # photo 0 is to review, the rest ready
    runs.write("old", rows[:10], runs.rejections(2))
    now = outcome(runs.rows(12, review_every=100), _0="ready", _1="review", _2="review")
    lost = [{**runs.rejections(1)[0], "id": row["id"]} for row in now[8:10]]
    run_json = runs.write("new", now[:8] + now[10:], lost + runs.rejections(1))
    changes = compare(runs.output, "new", run_json, "old")
    assert set(changes.moves) == {
        Move("review", "ready", 1, ("photo-000000",)),
        Move("ready", "review", 2, ("photo-000001", "photo-000002")),
        Move("ready", "rejected", 2, ("photo-000008", "photo-000009")),
        Move("absent", "ready", 2, ("photo-000010", "photo-000011")),
        Move("rejected", "absent", 1, ("broken-000001",)),
    }
    assert [move.count for move in changes.moves] == [2, 2, 2, 1, 1]


def test_many_moves_have_few_examples(runs):
    runs.write("old", runs.rows(3))
    changes = compare(runs.output, "new", runs.write("new", runs.rows(300, review_every=1000)), "old")
    (move,) = changes.moves
    assert (move.count, len(move.examples)) == (297, 5)


def test_settings_that_differ(runs):
    runs.write("old", runs.rows(2))
    run_json = runs.write("new", runs.rows(2))
    run_json["config"] = {**run_json["config"], "profile": "amazon", "full_refresh": True}
    run_json["model"]["sha256"] = "ef" * 32
    assert compare(runs.output, "new", run_json, "old").settings == (
        ("profile", "white-square", "amazon"),
        ("model.sha256", "ab" * 32, "ef" * 32),
    )


def test_previous_run_that_is_gone_or_pruned(runs):
    runs.write("old", runs.rows(2))
    run_json = runs.write("new", runs.rows(2))
    assert compare(runs.output, "new", run_json, "never") is None
    shutil.rmtree(pathlib.Path(runs.output, "catalogue", "old"))
    assert compare(runs.output, "new", run_json, "old").moves is None
    pathlib.Path(runs.output, "runs", "old", "run.json").write_text("{ half")
    assert compare(runs.output, "new", run_json, "old") is None


def test_page_shows_the_changes(runs):
    runs.write("old", runs.rows(8))
    run_json = runs.write("new", runs.rows(12), runs.rejections(1))
    page = build_report(runs.output, "new", run_json, previous_run="old")
    for part in (
        "Compared with <bdi>old</bdi>",
        "New in the input, ready",
        "photo-000009",
        "+3</span>",
        "The same as before.",
    ):
        assert part in page
    same = build_report(runs.output, "new", run_json, previous_run="new")
    assert "Every photo ended as it did before." in same
    gone = build_report(runs.output, "new", run_json, previous_run="never")
    assert "<bdi>never</bdi>, cannot be read any more." in gone


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, 2]}) == {"a.b": 1, "a.c": {}, "d": [1, 2]}
