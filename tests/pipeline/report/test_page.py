import html.parser
import pathlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.records import REMOVED_SCHEMA
from pipeline.report import build_report, write_report
from pipeline.report.page import MAX_BYTES, MOST_TILES
from pipeline.report.wording import REJECT_TEXT, REVIEW_TEXT
from transforms.reasons import RejectReason, ReviewReason

_VOID = {"meta", "link", "img", "br", "rect", "line"}


class Page(html.parser.HTMLParser):
    """A page's elements and texts; raises where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.texts = []
        self._open = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def every(self, tag, kind=None):
        return [a for name, a in self.elements if name == tag and (kind is None or kind in a.get("class", "").split())]


def test_page_tells_the_run(small_run):
    page = Page(build_report(small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources))
    text = page.text()
    assert "13 read = 7 ready + 3 review + 3 rejected; ledger balances." in text
    assert "3 February 2026, 02:00 to 02:14 UTC" in text
    for part in ("truncated", "broken-000000", "the file ends after 2 bytes", "low_presence", "cut_by_frame",
                 "white-square", "packshot-seg", "ab" * 32, "75 %", "This is the first run"):  # fmt: skip
        assert part in text
    assert len(page.every("article", "tile")) == 10
    images = page.every("img")
    assert len(images) == 40
    assert all(image["src"].startswith("data:image/webp;base64,") and image["alt"] for image in images)
    assert {image["alt"].split(":")[0] for image in images} == {"Before", "Mask", "After", "Cut-out"}


def test_nothing_is_loaded_from_elsewhere(small_run):
    text = build_report(small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources)
    page = Page(text)
    policy = next(a["content"] for a in page.every("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset", "poster")]
        if tag != "a":
            assert attributes.get("href", "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text


def test_links_lead_to_the_files(small_run):
    text = build_report(small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources)
    links = [a["href"] for a in Page(text).every("a") if not a["href"].startswith("#")]
    assert len(links) == 30
    for link in links:
        assert (pathlib.Path(small_run.output, "runs", "first") / link).is_file()


def test_same_inputs_give_the_same_page(small_run):
    def build():
        return build_report(small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources)

    assert build() == build()


def test_report_is_written_beside_run_json(small_run):
    write_report(small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources)
    path = pathlib.Path(small_run.output, "runs", "first", "report.html")
    assert path.read_text(encoding="utf-8") == build_report(
        small_run.output, "first", small_run.run_json, read_sources=small_run.read_sources
    )


_NASTY = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "two\nlines\tand a tab",
    "\u202egnp.exe",
    "שמלה כחולה & <b>",
    "</style></script></svg><!--",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "",
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nasty=st.sampled_from(_NASTY) | st.text(max_size=300).filter(lambda text: text.isprintable()))
def test_no_text_becomes_markup(nasty, runs, tmp_path_factory):
    output = tmp_path_factory.mktemp("nasty")
    rows, rejections = runs.rows(8), runs.rejections(1)
    for row in rows:
        row["category"] = nasty
    rows[0].update(id=nasty, source_uri=nasty, review_reasons=[nasty], status="review")
    rows[0]["assets"] = [
        {"kind": "packshot", "uri": nasty, "width": 1, "height": 1, "bytes": 1, "sha256": "", "media_type": ""}
    ]
    rejections[0].update(id=nasty + " ", source_uri=nasty, stage=nasty, reason=nasty, detail=nasty)
    make = runs.write.func
    run_json = make(output, "first", rows, rejections)
    run_json.update(config={nasty: nasty, "list": [nasty]}, host=nasty, started=nasty, stages={nasty: 1.0})
    plain = make(tmp_path_factory.mktemp("plain"), "first", runs.rows(8), runs.rejections(1))
    assert plain["read"] == 9
    page = Page(build_report(str(output), "first", run_json))
    assert {tag for tag, _ in page.elements} <= {
        "html", "head", "meta", "title", "link", "style", "script", "body", "a", "header", "p", "h1", "h2", "h3", "h4",
        "div", "span", "svg", "g", "rect", "line", "text", "ul", "li", "b", "nav", "main", "section", "dl", "dt", "dd",
        "details", "summary", "code", "bdi", "small", "article", "button", "figure", "figcaption", "table", "thead",
        "tbody", "tfoot", "tr", "th", "td", "dialog",
    }  # fmt: skip
    assert len(page.every("script")) == 1
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert all(a["href"].startswith(("#", "../../")) for a in page.every("a"))


def test_unseen_characters_are_spelt_out(runs):
    rows = runs.rows(1)
    rows[0]["id"] = "a\nb\u202ec"
    rows[0]["source_uri"] = "👩\u200d🔬 \u05e9"
    text = Page(build_report(runs.output, "first", runs.write("first", rows))).text()
    assert r"a\u000ab\u202ec" in text
    assert "👩\u200d🔬 \u05e9" in text


def test_undecodable_text_of_run_json_does_not_break_the_page(runs):
    run_json = runs.write("first", runs.rows(1))
    run_json["config"]["input"] = "/feed/\udcff"
    write_report(runs.output, "first", run_json)


@pytest.mark.parametrize(
    ("rows", "rejections", "expected"),
    [
        (0, 0, ("The input lists no photo.", "No photo was rejected.", "0 read = 0 ready")),
        (0, 4, ("every photo was rejected", "There are no photos in the catalogue.", "truncated")),
        (5, 0, ("No photo was rejected.", "the photo is no longer there", "A sample of 5 of 5 photos")),
    ],
)
def test_empty_states(runs, rows, rejections, expected):
    run_json = runs.write("first", runs.rows(rows), runs.rejections(rejections))
    if not rows:
        run_json.update(stages={}, seconds=0.0, images_per_second=0.0)
    text = Page(build_report(runs.output, "first", run_json)).text()
    for part in expected:
        assert part in text
    assert ("Every photo was rejected." in text) == bool(rejections)


def test_run_json_that_says_nothing_still_gives_a_page(runs):
    runs.write("first", runs.rows(2), runs.rejections(1))
    text = Page(build_report(runs.output, "first", {})).text()
    assert "run.json counts 0 ready photos, but the tables have 1." in text


def test_pictures_that_cannot_be_read_say_so(small_run):
    lost, broken, refused = (row for row in small_run.rows[:3])
    pathlib.Path(small_run.output, lost["assets"][0]["uri"]).unlink()
    pathlib.Path(small_run.output, broken["assets"][1]["uri"]).write_bytes(b"no picture")

    def read_sources(rows):
        for index, row in enumerate(rows):
            if row["id"] not in (lost["id"], refused["id"]):
                yield index, b"GIF89a"
        yield next(index for index, row in enumerate(rows) if row["id"] == lost["id"]), None
        raise ConnectionError("no route")

    page = Page(build_report(small_run.output, "first", small_run.run_json, read_sources=read_sources))
    text = page.text()
    assert text.count("the file is missing") == 1
    assert text.count("the photo is no longer there") == 1
    assert text.count("not readable: ConnectionError") == 1
    assert text.count("not readable as a picture") == 9
    assert len(page.every("img")) == 28


def test_verdict_warns(runs):
    run_json = runs.write("first", runs.rows(8), runs.rejections(2))
    run_json["config"]["max_rejected_fraction"] = 0.05
    page = Page(build_report(runs.output, "first", run_json))
    assert page.every("div", "bad")
    assert "20 % of the photos were rejected, more than the 5 % that max_rejected_fraction allows." in page.text()
    text = Page(build_report(runs.output, "first", {**run_json, "read": 12})).text()
    assert "the ledger does not balance: 2 lost." in text
    assert not Page(build_report(runs.output, "first", {**run_json, "config": {}})).every("div", "bad")


def test_removed_photos_are_shown_with_their_pictures(runs):
    rows = runs.rows(20)
    for row in rows:
        runs.add_assets(row)
    run_json = runs.write("first", rows[:4])
    assert (
        "No photo of the previous run is missing from the input."
        in Page(build_report(runs.output, "first", run_json)).text()
    )
    removed = [{**row, "last_run": "earlier"} for row in rows[4:]]
    folder = pathlib.Path(runs.output, "removed", "first")
    folder.mkdir(parents=True)
    for part in range(2):
        content = pa.Table.from_pylist(removed[part::2], schema=REMOVED_SCHEMA)
        pq.write_table(content, folder / f"part-0000{part}-of-00002.parquet")
    text = build_report(runs.output, "first", run_json)
    assert text == build_report(runs.output, "first", run_json)
    page = Page(text.split('<section id="removed">')[1].split("</section>")[0])
    assert "16 photos of the previous run are no longer in the input." in page.text()
    assert "Here are 12 of them." in page.text() and "Last in run earlier" in page.text()
    assert len(page.every("article", "tile")) == 12
    assert len(page.every("img")) == 36 and page.text().count("the photo is no longer there") == 12
    assert "A sample of 4 of 4 photos in the catalogue." in Page(text).text()


def test_every_reason_is_explained():
    assert set(REVIEW_TEXT) == {str(reason) for reason in ReviewReason}
    assert set(REJECT_TEXT) == {str(reason) for reason in RejectReason}


def test_noisy_pictures_are_shrunk_until_the_page_fits(runs):
    draw = np.random.default_rng(0)
    noise = runs.encoded(draw.integers(0, 256, (460, 460, 3), np.uint8), quality=95)
    rows = runs.rows(30)
    for row in rows:
        row["assets"] = [
            {"kind": kind, "uri": kind, "width": 1, "height": 1, "bytes": 1, "sha256": "", "media_type": ""}
            for kind in ("packshot", "mask", "cutout")
        ]
    run_json = runs.write("first", rows)
    text = build_report(
        runs.output,
        "first",
        run_json,
        read_sources=runs.reading(lambda row: noise),
        read_asset=lambda uri: noise,
        sample=20,
    )
    assert 1_000_000 < len(text.encode()) <= MAX_BYTES
    assert len(Page(text).every("img")) == 80


def test_hundred_thousand_rows_are_read_by_columns(runs):
    rows = runs.rows(1000)
    run_json = runs.write("first", rows, runs.rejections(50), parts=1)
    (part,) = pathlib.Path(runs.output, "catalogue", "first").iterdir()
    table = pq.read_table(part)
    digests = [f"{number:016x}" * 4 for number in np.random.default_rng(0).integers(0, 2**62, 100_000)]
    whole = pa.concat_tables([table] * 100).set_column(
        table.schema.get_field_index("source_sha256"), table.schema.field("source_sha256"), [digests]
    )
    pq.write_table(whole, part, row_group_size=10_000)
    run_json.update(read=100_050, ready=75_000, review=25_000)
    before = pa.total_allocated_bytes()
    text = build_report(runs.output, "first", run_json)
    assert pa.total_allocated_bytes() <= before
    assert "100,050 read = 75,000 ready + 25,000 review + 50 rejected; ledger balances." in text
    assert "A sample of 48 of 100,000 photos" in text
    assert len(text) < 300_000


def test_endless_texts_and_a_huge_sample_fit(runs):
    rows, rejections = runs.rows(MOST_TILES + 40), runs.rejections(70)
    for row in rows:
        row["id"] += "\u202e'\"<&" * 20_000
        row["source_uri"] = row["id"]
    for number, row in enumerate(rejections):
        row.update(reason=f"reason {number} " + "&" * 1000, detail="😀\x00" * 10_000, source_uri="\u202e" * 10_000)
    run_json = runs.write("first", rows, rejections)
    run_json["config"] = {f"setting {number}": "<" * 100_000 for number in range(1000)}
    dot = runs.encoded(np.asarray(Image.new("RGB", (8, 8))))
    text = build_report(runs.output, "first", run_json, read_sources=runs.reading(lambda row: dot), sample=10**6)
    assert len(text.encode()) <= MAX_BYTES
    assert len(Page(text).every("article", "tile")) >= 100
