import time

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from models.datasets.local_threads import threads_runner


class SlowToPickle:
    """Takes longer to write than Beam's own runner of threads waits before it sends what is written."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        time.sleep(1.5)
        return type(self), (self.number,)


def test_an_element_that_takes_long_to_write_is_sent_whole():
    with beam.Pipeline(threads_runner(), PipelineOptions(["--direct_num_workers=2"])) as pipeline:
        slow = pipeline | beam.Create([1]) | beam.Map(SlowToPickle) | beam.Reshuffle()
        assert_that(slow | beam.Map(lambda element: element.number), equal_to([1]))
