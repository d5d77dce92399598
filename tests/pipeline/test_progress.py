import io

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.progress import CountDone, ProgressLine, describe_progress


def test_every_element_adds_a_byte_and_passes(tmp_path):
    counter = tmp_path / "counter"
    counter.touch()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        passed = pipeline | beam.Create(range(7)) | beam.ParDo(CountDone(str(counter)))
        assert_that(passed, equal_to(list(range(7))))
    assert counter.stat().st_size == 7


@pytest.mark.parametrize("path", [None, "/nowhere/at/all"])
def test_without_a_file_elements_pass_all_the_same(path):
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        assert_that(pipeline | beam.Create([1]) | beam.ParDo(CountDone(path)), equal_to([1]))


def test_the_line_says_count_rate_and_time_left():
    text = describe_progress(250, 1000, 25)
    assert "250/1,000 photos" in text and "10.0 images/s" in text and "1 min 15 s left" in text


@pytest.mark.parametrize(("done", "total", "seconds"), [(0, 0, 0), (0, 10, 0), (10, 10, 1), (12, 10, 1)])
def test_the_line_bears_the_ends(done, total, seconds):
    assert f"{done}/{total}" in describe_progress(done, total, seconds)


def test_elsewhere_than_on_a_terminal_it_prints_plain_lines(tmp_path):
    counter = tmp_path / "counter"
    counter.write_bytes(b"...")
    stream = io.StringIO()
    with ProgressLine(str(counter), 6, stream=stream, interval=0.002) as line:
        line._thread.join(0.2)
    assert "3/6 photos" in stream.getvalue() and "\x1b" not in stream.getvalue()
