import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from pipeline.duplicates import FollowLeaders, SharePictures, TakeTwins, Twin, elect, follow, identify, share
from pipeline.first_look import LookAtPhotos, Twins, tell
from pipeline.records import KnownPhoto, Photo, Rejection
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.tables import shard_of
from pipeline.sources.fetch import fetch_photo
from pipeline.sources.items import PlannedItem, SourceOptions, WorkItem

OPTIONS = SourceOptions("id", "image", ("category",), "")
BY_CATEGORY = SourceOptions("id", "image", ("category",), "category")


def fetch(photo):
    return fetch_photo(photo, max_bytes=100, timeout=1, retries=0)


def key_of(photo, options=OPTIONS):
    return identify(photo, options, fetch)[1]


def test_the_same_bytes_have_the_same_key():
    a, b, c = (Photo(i, f"p#{i}", {"category": k}, content=x) for i, k, x in ("1uX", "2vX", "3uY"))
    a, b, c = (p.replace(content=p.content.encode()) for p in (a, b, c))
    assert key_of(a) == key_of(b) != key_of(c)
    assert key_of(a, BY_CATEGORY) != key_of(b, BY_CATEGORY)


def test_uris_are_compared_and_not_fetched():
    a, b = (Photo(i, "http://nobody.invalid/x.jpg", {"category": "u"}) for i in "ab")
    assert key_of(a) == key_of(b) is not None
    assert key_of(a) != key_of(a.replace(source_uri="http://nobody.invalid/y.jpg"))


def test_photos_that_need_no_work_have_no_key(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    digest = fetch(Photo("a", str(path))).source_sha256
    known = KnownPhoto("part", 0, str(path), digest, None, current=True)
    photo = Photo("a", str(path), known=known)
    assert key_of(photo, SourceOptions()) is None
    assert key_of(photo.replace(known=None), SourceOptions()) is not None
    uri = Photo(
        "a", "s3://b/x.jpg", {"category": "u"}, KnownPhoto("part", 0, "s3://b/x.jpg", digest, "v", current=True)
    )
    assert key_of(uri) is None


@given(st.lists(st.text(), min_size=1, unique=True), st.randoms())
def test_one_of_a_group_leads_whatever_the_order(ids, random):
    before = dict(elect(ids))
    random.shuffle(ids)
    assert dict(elect(ids)) == before == {i: min(ids) for i in ids if i != min(ids)}


TWIN = Twin("b", "a", "in/b", "5" * 64, "v2", {"category": "hat"})
ROW = {"id": "a", "source_uri": "in/a", "source_sha256": "5" * 64, "source_version": "v1", "refresh": "new",
       "category": "shoe", "assets": ["one"]}  # fmt: skip


def test_a_twin_follows_its_leader():
    expected = {
        **ROW,
        "id": "b",
        "source_uri": "in/b",
        "source_version": "v2",
        "refresh": "duplicate",
        "category": "hat",
    }
    assert follow(TWIN, ROW, 3) == expected
    done = follow(TWIN, CarriedRows(2, "part", (4,), {"refresh": "unchanged", "id": "a"}), 3)
    assert (done.shard, done.part, done.positions) == (shard_of("b", 3), "part", (4,))
    assert done.changes == {k: expected[k] for k in ("id", "source_uri", "source_version", "refresh", "category")}
    done = follow(TWIN, Rejection("a", "in/a", "5" * 64, "decode", "truncated", "cut"), 3)
    assert done == Rejection("b", "in/b", "5" * 64, "decode", "truncated", "as 'a', of the same bytes: cut")


def test_a_leader_whose_bytes_changed_meanwhile_is_not_followed():
    done = follow(TWIN, {**ROW, "source_sha256": "6" * 64}, 3)
    assert isinstance(done, Rejection) and (done.id, done.reason) == ("b", "fetch_failed")


def test_photos_found_to_be_the_same_share_the_pictures_of_the_first():
    rows = [{**ROW, "id": i, "assets": [i], "category": f"of {i}", "source_uri": f"in/{i}"} for i in "cab"]
    first, *others = share(rows)
    assert first == rows[1]
    for row, letter in zip(others, "bc", strict=True):
        own = {"id": letter, "source_uri": f"in/{letter}", "category": f"of {letter}", "refresh": "duplicate"}
        assert row == {**first, **own}


@pytest.mark.parametrize("category_column, refresh", [("", ["duplicate", "new", "new"]), ("category", ["new"] * 3)])
def test_sharing_in_a_pipeline(category_column, refresh):
    digests = {"a": "1" * 64, "b": "2" * 64, "c": "1" * 64}
    rows = [{**ROW, "id": i, "source_sha256": digest, "category": i} for i, digest in digests.items()]
    with beam.Pipeline(runner=FnApiRunner()) as p:
        shared = p | beam.Create(rows) | SharePictures(category_column) | beam.Map(lambda row: row["refresh"])
        assert_that(shared, equal_to(refresh))


@pytest.mark.parametrize("outcome", ["rows", "carried", "rejections", "none"])
def test_twins_in_a_pipeline(tmp_path, outcome):
    for name, content in {"a": b"1", "b": b"1", "c": b"2"}.items():
        (tmp_path / name).write_bytes(content)
    items = [PlannedItem(WorkItem(str(tmp_path / i), None, 0, (i,))) for i in ("c", "b", "a", "gone")]
    row = {**ROW, "source_sha256": None}
    found = {"rows": row, "carried": CarriedRows(0, "p", (1,), {}), "rejections": Rejection(*"aaaaaa")}
    with beam.Pipeline(runner=FnApiRunner()) as p:
        items, _, twins = p | beam.Create(items) | LookAtPhotos(SourceOptions(), fetch, 2)
        assert_that(twins, equal_to([Twins({"b": "a"})]), label="twins")
        told = items | "Tell" >> beam.Map(tell, beam.pvalue.AsSingleton(twins))
        photos, following = told | "Photos" >> beam.Map(lambda planned: planned.photo(0)) | TakeTwins()
        stay = photos | "Stay" >> beam.Map(lambda photo: (photo.id, photo.leads))
        assert_that(stay, equal_to([("a", True), ("c", False), ("gone", False)]), label="photos")
        outcomes = {
            name: p | f"Create {name}" >> beam.Create([("a", found[name])] if name == outcome else [])
            for name in ("rows", "carried", "rejections")
        }
        following = following | "KeyTwins" >> beam.Map(lambda twin: (twin.leader, twin))
        rows, rejections = {"twins": following, **outcomes} | FollowLeaders(2)
        kinds = rows | "Kinds" >> beam.Map(lambda made: type(made).__name__)
        expected = {"rows": ["dict"], "carried": ["CarriedRows"]}.get(outcome, [])
        assert_that(kinds, equal_to(expected), label="rows")
        reasons = rejections | "Reasons" >> beam.Map(lambda made: (made.id, made.reason))
        expected = {"rejections": [("b", "a")], "none": [("b", "internal")]}.get(outcome, [])
        assert_that(reasons, equal_to(expected), label="rejections")
