"""What the last run left was damaged since: the next one says so in a line, or does not mind."""

import shutil

import pytest


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _spoil(path):
    content = bytearray(path.read_bytes())
    for place in range(4, len(content) // 2):
        content[place] ^= 0x5A
    path.write_bytes(bytes(content))


def _renumber(path):
    path.rename(path.with_name("part-00001-of-00002.parquet"))


def _part(output, table="catalogue"):
    (part,) = (output.path / table / output.latest).iterdir()
    return part


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda output: _cut(_part(output)), "part-00000-of-00001.parquet"),
        (lambda output: _part(output).write_bytes(b""), "part-00000-of-00001.parquet"),
        (lambda output: _part(output).unlink(), "no catalogue table of run"),
        (lambda output: _renumber(_part(output)), "should hold 2 files"),
        (lambda output: shutil.rmtree(_part(output).parent), "no catalogue table of run"),
        (lambda output: (output.path / "LATEST").write_bytes(b"\x00\xff<html>"), "is no run's name"),
        (lambda output: (output.path / "LATEST").write_bytes(b""), "is no run's name"),
    ],
    ids=["cut", "emptied", "deleted", "one of two", "folder deleted", "LATEST rubbish", "LATEST empty"],
)  # fmt: skip
def test_next_run_says_what_is_damaged_and_what_to_do(shop, output, damage, says):
    damage(output)
    before = sorted(output.path.rglob("*"))
    status, said = shop.run(output.path)
    assert status == 2
    assert said.startswith("packshot: ") and said.count("\n") == 1 and "Traceback" not in said
    assert says in said and "LATEST" in said and ("restore" in said)
    assert sorted(output.path.rglob("*")) == before


def test_pages_of_the_last_table_spoilt(shop, output):
    """Its end, by which a Parquet file is opened, is whole; the columns that planning reads may be, too."""
    run = output.latest
    _spoil(_part(output))
    status, said = shop.run(output.path)
    assert status in (1, 2) and output.latest == run
    (line,) = [line for line in said.splitlines() if line.startswith("packshot:")]
    assert "part-00000-of-00001.parquet' is not a whole Parquet file" in line and "restore it" in line


def test_next_run_needs_no_more_of_the_last_than_its_catalogue_and_assets(shop, output, undisturbed):
    _cut(_part(output, "rejections"))  # only compared with, in the report
    for name in ("run.json", "report.html"):
        (output.path / "runs" / output.latest / name).unlink()
    status, said = shop.run(output.path)
    assert status == 0, said
    assert output.tables() == undisturbed.tables() and output.assets() == undisturbed.assets()


def test_assets_deleted_or_cut_are_made_again(shop, output, undisturbed):
    first, second = sorted(output.path.glob("assets/*/*/00-*"))
    first.unlink()
    _cut(second)
    assert shop.run(output.path)[0] == 0
    assert output.assets() == undisturbed.assets()
    assert output.run_json()["unchanged"] < undisturbed.run_json()["unchanged"]
