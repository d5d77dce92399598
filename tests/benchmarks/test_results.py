import pytest

from tests.benchmarks.results import Bar, Section, markdown_table, update_page

_PAGE = """# Page

<!-- bench: bars -->
<!-- end: bars -->

<!-- bench: loop -->
old
<!-- end: loop -->
kept
"""


def _section(value: float) -> Section:
    return Section("loop", "Loop", "text", {}, (Bar("speed", value, 0.5, 0.9, "10 photos"),))


def test_a_part_is_replaced_and_nothing_else():
    page = update_page(_PAGE, [_section(0.7)], "said")
    assert "old" not in page and page.endswith("kept\n")
    assert "### Loop\n\nsaid\n\ntext" in page
    assert update_page(page, [_section(0.7)], "said") == page


def test_bars_that_were_not_measured_stay():
    page = update_page(_PAGE, [_section(0.7)], "said")
    other = Section("loop", "Loop", "text", {}, (Bar("memory", 3.0, 1.1, 1.02, "all", most=True, unit=" ×"),))
    page = update_page(page, [other], "said")
    assert "| speed | 0.7, met | ≥ 0.5 | ≥ 0.9 | 10 photos |" in page
    assert "| memory | 3 ×, missed | ≤ 1.1 × | ≤ 1.02 × | all |" in page


@pytest.mark.parametrize(("value", "verdict"), [(0.4, "missed"), (0.5, "met"), (0.9, "aim reached")])
def test_verdict(value, verdict):
    assert verdict in _section(value).bars[0].row()[1]


def test_missing_marks_are_named():
    with pytest.raises(ValueError, match="<!-- bench: loop -->"):
        update_page("# nothing", [_section(1)], "said")


def test_table():
    assert markdown_table(("a", "b"), [("x", 1)]) == "| a | b |\n| --- | --: |\n| x | 1 |"
