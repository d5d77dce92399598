"""The page in a real browser, at a phone's width and at a desk's."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

from pipeline.report import write_report

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)

pytestmark = pytest.mark.skipif(_BROWSER is None, reason=f"needs a browser; none of {', '.join(_NAMES)} is on the PATH")

# A window cannot be narrower than some 500 px, so the page is measured in a frame of a page of its own. Both are local
# files, and --allow-file-access-from-files lets one look into the other.
_MEASURE = """<!doctype html><meta charset="utf-8"><title>measure</title>
<style>iframe { border: 0; width: %(width)dpx; height: 844px; }</style>
<iframe></iframe><pre id="found"></pre>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const found = {};
  try {
    const page = frame.contentDocument;
    const root = page.documentElement;
    const beyond = (element) => element.getBoundingClientRect().right > %(width)d + 0.5;
    const named = (element) => `${element.tagName}.${element.className}`;
    const wide = () => [...page.querySelectorAll("body *:not(.contents *, .skip)")].filter(beyond).map(named);
    page.querySelectorAll("details").forEach((details) => { details.open = true; });
    found.client = root.clientWidth;
    found.scroll = root.scrollWidth;
    found.wide = wide();
    found.styled = frame.contentWindow.getComputedStyle(page.querySelector(".tile")).display;
    found.images = [...page.images].filter((image) => image.complete && image.naturalWidth).length;
    page.querySelectorAll(".enlarge")[1].click();
    found.opened = page.querySelector(".viewer").open;
    found.shown = page.querySelector(".shown h4").textContent;
    found.wideViewer = wide();
    const press = (key) => page.querySelector(".viewer").dispatchEvent(
      new frame.contentWindow.KeyboardEvent("keydown", {key, bubbles: true}));
    press("ArrowLeft");
    found.previous = page.querySelector(".shown h4").textContent;
    page.querySelector(".close").click();
    found.closed = !page.querySelector(".viewer").open;
    found.names = [...page.querySelectorAll(".tile h4")].slice(0, 2).map((name) => name.textContent);
    found.nested = page.querySelectorAll("bdi script, bdi b").length;
  } catch (error) {
    found.error = String(error);
  }
  document.querySelector("#found").textContent = JSON.stringify(found);
});
frame.src = "%(page)s"; // the outer page has loaded only after this one, so that what is dumped has the findings
</script>
"""


def measure(page, width, folder):
    """Returns what a script sees of a page at a width, and what the browser wrote to its log."""
    (folder / "measure.html").write_text(_MEASURE % {"width": width, "page": page.as_uri()}, encoding="utf-8")
    done = subprocess.run(
        [
            _BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--allow-file-access-from-files", "--enable-logging=stderr", "--v=0",
            f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000",
            "--dump-dom", (folder / "measure.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return json.loads(found[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture
def page(runs):
    """A report with all that makes a page wide: endless words, unknown scripts, markup."""
    rows = runs.rows(9)
    rows[0]["id"] = "x" * 400
    rows[1]["id"] = "<script>throw 1</script><b>שמלה כחולה</b>\n\u202e"
    rows[2].update(review_reasons=["unheard_of_" * 8], status="review")
    for row in rows:
        row["category"] = "y" * 90
    photos = {row["id"]: runs.add_assets(row) for row in rows}
    rejections = runs.rejections(12)
    rejections[0].update(id="z" * 300, reason="r" * 200, stage="s" * 200, detail="d" * 900)
    runs.write("old", rows[:4])
    run_json = runs.write("first", rows, rejections)
    run_json["config"]["u" * 90] = "v" * 300
    run_json["stages"]["StageOfAVeryLongNameIndeed"] = 12345.6
    reader = runs.reading(lambda row: photos[row["id"]])
    write_report(runs.output, "first", run_json, read_sources=reader, previous_run="old")
    return pathlib.Path(runs.output, "runs", "first", "report.html")


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_page_fits_and_works(page, width, tmp_path):
    found, console = measure(page, width, tmp_path)
    assert console == []
    assert "error" not in found
    assert found["wide"] == []
    assert found["scroll"] <= found["client"] <= width
    assert found["wideViewer"] == []
    assert found["styled"] == "grid"  # the style sheet passed the page's own policy
    assert found["images"] == 36
    assert found["opened"] and found["closed"]
    assert [found["previous"], found["shown"]] == found["names"]
    assert found["nested"] == 0
