import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.augmentation.asking import Parent, PhotoSamples, Sample
from pipeline.augmentation.reading import PHOTOS_AT_ONCE, container, piles, read_again
from pipeline.sources.items import SourceOptions
from transforms.reasons import PhotoError

ROWS = SourceOptions("id", "image")
FETCHING = {"max_bytes": 1 << 20, "timeout": 1.0, "retries": 0}


def work(name, uri, content=b""):
    parent = Parent(name, uri, hashlib.sha256(content).hexdigest(), "", "", None)
    return PhotoSamples(parent, (Sample("variant", 0, "0" * 20, 1),))


def test_rows_of_a_parquet_file_are_read_in_one_go_and_checked(tmp_path):
    path = tmp_path / "in.parquet"
    contents = [b"photo %d" % number for number in range(10)]
    table = pa.table({"id": [f"p{n}" for n in range(10)], "image": contents})
    pq.write_table(table, path, row_group_size=4)
    wanted = {7: contents[7], 2: contents[2], 3: b"other bytes", 8: contents[8], 12: b"beyond"}
    works = [work(f"p{row}", f"{path}#{row}", content) for row, content in wanted.items()]
    (pile,) = piles(works, ROWS)
    assert [w.parent.id for w in pile] == ["p2", "p3", "p7", "p8", "p12"]
    found = {w.parent.id: content for w, content in read_again(pile, ROWS, FETCHING)}
    assert {name: found[name] for name in ("p2", "p7", "p8")} == {f"p{n}": contents[n] for n in (2, 7, 8)}
    assert "other bytes now" in str(found["p3"]) and "fewer rows" in str(found["p12"])


def test_files_are_read_one_by_one_and_a_missing_one_costs_itself_only(tmp_path):
    (tmp_path / "a#1.jpg").write_bytes(b"a")
    works = [work("a", str(tmp_path / "a#1.jpg"), b"a"), work("b", str(tmp_path / "b.jpg"), b"b")]
    found = {w.parent.id: content for w, content in read_again(works, SourceOptions(), FETCHING)}
    assert found["a"] == b"a" and isinstance(found["b"], PhotoError)


def test_a_parquet_file_that_is_gone_costs_its_own_photos_only(tmp_path):
    ((_, error),) = read_again([work("a", f"{tmp_path}/gone.parquet#3")], ROWS, FETCHING)
    assert isinstance(error, PhotoError)


def test_where_a_photo_is_follows_from_its_uri():
    assert container("in/x.parquet#12", ROWS) == ("in/x.parquet", 12)
    assert container("in/photo#12", SourceOptions()) == ("in/photo#12", None)
    uris = SourceOptions("id", "image", uris=True)
    assert container("https://shop.example/a#12", uris) == ("https://shop.example/a#12", None)


def test_piles_are_bounded():
    works = [work(f"p{n}", f"x.parquet#{n}") for n in range(2 * PHOTOS_AT_ONCE + 1)]
    assert [len(pile) for pile in piles(works, ROWS)] == [PHOTOS_AT_ONCE, PHOTOS_AT_ONCE, 1]
