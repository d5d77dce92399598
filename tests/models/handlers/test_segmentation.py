import pickle
import threading
import weakref

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from models.handlers import Segmentation, SegmentationFailure, SegmentationHandler, load_segmenter
from models.handlers.segmentation import NAMESPACE, PhotoKeyedHandler, Segmenter, out_of_memory
from models.registry import resolve_model
from tests.models.handlers.pictures import SIZE, assert_same, noise, plain

POISON = 13


class Brightness:
    """A model in numpy: its mask is the red channel, its presence the first pixel's; fails as it is told to."""

    def __init__(self, fixed_batch=False, most=10_000, error=None):
        self.size = SIZE
        self.fixed_batch = fixed_batch
        self.most = most
        self.error = error or ValueError("poisoned")
        self.calls = []

    def predict(self, images):
        self.calls.append(len(images))
        if len(images) > self.most:
            raise MemoryError("no room")
        if (images[:, 0, 0, 1] == POISON).any():
            raise self.error
        return images[..., 0], images[:, 0, 0, 0]


def load_poor_brightness(spec, threads):
    return Brightness(most=4)


def load_brightness(spec, threads):
    return Brightness(fixed_batch=True)


def counters(result):
    return {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == NAMESPACE
    }


class TestSegmenter:
    def test_one_bad_image_of_sixteen_costs_one_image(self):
        model = Brightness()
        images = [plain(value, POISON if value == 11 else 0) for value in range(16)]
        results = Segmenter(model, batch_size=16).segment(images)
        assert results[11] == SegmentationFailure("the model failed on this photo: ValueError: poisoned")
        for value, result in enumerate(results):
            if value != 11:
                assert (result.mask == value).all()
                assert result.presence == value / 255
        assert len(model.calls) == 9  # 16, and two of each of 8, 4, 2, 1

    @settings(deadline=None, max_examples=50)
    @given(
        st.integers(0, 20),
        st.sets(st.integers(0, 19)),
        st.integers(1, 9),
        st.integers(1, 9),
        st.booleans(),
    )
    def test_every_bad_image_is_found_whatever_the_memory(self, count, bad, batch_size, most, fixed_batch):
        images = [plain(value, POISON if value in bad else 0) for value in range(count)]
        results = Segmenter(Brightness(fixed_batch, most), batch_size).segment(images)
        for value, result in enumerate(results):
            if value in bad:
                assert isinstance(result, SegmentationFailure)
            else:
                assert (result.mask == value).all() and result.presence == value / 255
        assert len(results) == count

    def test_an_image_of_another_shape_fails_alone(self):
        images = [plain(1), np.zeros((SIZE, SIZE + 1, 3), np.uint8), plain(3), plain(4).astype(np.float32)]
        first, second, third, fourth = Segmenter(Brightness()).segment(images)
        assert first.presence == 1 / 255 and third.presence == 3 / 255
        assert "uint8 (64, 65, 3); the model takes uint8 (64, 64, 3)" in second.detail
        assert "float32 (64, 64, 3)" in fourth.detail

    def test_a_fixed_batch_is_padded_and_cut_again(self):
        model = Brightness(fixed_batch=True)
        results = Segmenter(model, batch_size=8).segment([plain(value) for value in range(11)])
        assert model.calls == [8, 8]
        assert [result.presence for result in results] == [value / 255 for value in range(11)]

    def test_memory_running_out_halves_the_batch_for_good(self):
        model = Brightness(fixed_batch=True, most=3)
        segmenter = Segmenter(model, batch_size=16)
        results = segmenter.segment([plain(value) for value in range(16)])
        assert [result.presence for result in results] == [value / 255 for value in range(16)]
        assert model.calls == [16, 8, 4] + [2] * 8
        assert segmenter.batch_size == 2
        model.calls.clear()
        segmenter.segment([plain(0)] * 4)
        assert model.calls == [2, 2]

    def test_without_memory_for_a_single_image_it_fails_and_ends(self):
        results = Segmenter(Brightness(most=0), batch_size=4).segment([plain(0)] * 3)
        assert [result.detail for result in results] == ["the model failed on this photo: MemoryError: no room"] * 3

    def test_a_batch_tells_how_full_it_was_and_what_it_took(self):
        segmenter = Segmenter(Brightness(), batch_size=4)
        done = segmenter.segment_batch([plain(0)] * 6)
        assert done.places == 8 and done.busy > 0 and done.waited > 0
        shares = [result.share for result in done.results]
        assert sum(share.places for share in shares) == pytest.approx(8)
        assert sum(share.busy for share in shares) == pytest.approx(1000 * done.busy)
        assert sum(share.waited for share in shares) == pytest.approx(1000 * done.waited)

    def test_warming_up_runs_a_whole_batch_where_shapes_are_compiled(self):
        model = Brightness(fixed_batch=True, most=3)
        segmenter = Segmenter(model, batch_size=8)
        segmenter.warm_up()
        assert model.calls == [8, 4, 2, 2, 2, 2] and segmenter.batch_size == 2  # no photo waits for that any more
        free = Brightness()
        Segmenter(free).warm_up()
        assert free.calls == []

    def test_a_result_does_not_keep_its_batch_alive(self):
        (first, *_) = Segmenter(Brightness()).segment([plain(0)] * 8)
        assert first.mask.base is None

    def test_no_images(self):
        assert Segmenter(Brightness()).segment([]) == []

    def test_batch_size_is_checked(self):
        with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
            Segmenter(Brightness(), batch_size=0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("Failed to allocate memory for requested buffer of size 12"), True),
        (RuntimeError("std::bad_alloc"), True),
        (type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"), True),
        (type("InternalError", (Exception,), {})("Dst tensor is not initialized."), True),
        (type("InternalError", (Exception,), {})("CUDNN_STATUS_ALLOC_FAILED"), True),
        (type("InternalError", (Exception,), {})("graph is broken"), False),
        (RuntimeError("there is no room in this node"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory(error, expected):
    assert out_of_memory(error) is expected


class TestHandler:
    def test_arguments_are_checked(self):
        with pytest.raises(ValueError, match="batch_size=0"):
            SegmentationHandler("x.tflite", batch_size=0)
        with pytest.raises(ValueError, match="threads=0"):
            SegmentationHandler("x.tflite", threads=0)

    def test_batches_have_one_size(self):
        kwargs = SegmentationHandler("x.tflite", batch_size=5).batch_elements_kwargs()
        assert kwargs["min_batch_size"] == kwargs["max_batch_size"] == 5

    def test_it_travels_to_a_worker(self, tflite_path):
        handler = pickle.loads(pickle.dumps(SegmentationHandler(str(tflite_path), batch_size=3, threads=1)))
        model = handler.load_model()
        assert weakref.ref(model)() is model
        (result,) = handler.run_inference([plain(0)], model)
        assert isinstance(result, Segmentation) and result.milliseconds > 0
        assert handler.get_num_bytes([plain(0)] * 3) == 3 * SIZE * SIZE * 3

    def test_another_model_on_the_worker_is_refused(self, tflite_path):
        sha256 = resolve_model(str(tflite_path)).sha256
        SegmentationHandler(str(tflite_path), sha256=sha256).load_model()
        with pytest.raises(ValueError, match="same model must be installed on every worker"):
            SegmentationHandler(str(tflite_path), sha256="0" * 64).load_model()

    def test_model_from_cloud_storage(self, tflite_path, saved_model_path, memory_storage):
        memory_storage(tflite_path, saved_model_path)
        images = list(noise(3))
        expected = load_segmenter(str(tflite_path)).segment(images)
        remote = f"memory://models/{tflite_path.name}"
        assert resolve_model(remote).sha256 == resolve_model(str(tflite_path)).sha256
        assert_same(load_segmenter(remote).segment(images), expected)
        folder = f"memory://models/{saved_model_path.name}"
        assert resolve_model(folder).sha256 == resolve_model(str(saved_model_path)).sha256
        assert len(load_segmenter(folder).segment(images)) == 3


class Thing:
    """A key as photos are: holds pixels and cannot be hashed."""

    __hash__ = None

    def __init__(self, value, shape=(4, 4, 3)):
        self.value = value
        self.image = np.zeros(shape, np.uint8)


def test_the_size_of_a_batch_is_told_without_pickling_its_photos():
    keys = [threading.Lock(), threading.Lock()]  # cannot be pickled
    handler = PhotoKeyedHandler(SegmentationHandler("x.tflite"))
    assert handler.get_num_bytes([(key, plain(0)) for key in keys]) == 2 * SIZE * SIZE * 3


def keyed(pipeline, values, shape=(4, 4, 3), poison=()):
    return (
        pipeline
        | beam.Create([list(values)])
        | beam.FlatMap(lambda all: all)
        | beam.Map(lambda v: (Thing(v, shape), plain(v, POISON if v in poison else 0)))
    )


def answer(pair):
    thing, result = pair
    if isinstance(result, SegmentationFailure):
        return thing.value, None
    return thing.value, int(result.mask[0, 0])


class TestPipeline:
    @pytest.fixture
    def handler(self, tflite_path):
        return SegmentationHandler(str(tflite_path), batch_size=8, load=load_brightness)

    def test_photos_as_keys(self, handler):
        pipeline = beam.Pipeline(runner=FnApiRunner())
        results = keyed(pipeline, range(20)) | RunInference(PhotoKeyedHandler(handler)) | beam.Map(answer)
        assert_that(results, equal_to([(value, value) for value in range(20)]))
        result = pipeline.run()
        result.wait_until_finish()
        assert counters(result) == {"num_inferences": 20}
        sizes = result.metrics().query(
            beam.metrics.MetricsFilter().with_namespace(NAMESPACE).with_name("inference_request_batch_size")
        )["distributions"][0]
        assert (sizes.committed.count, sizes.committed.min, sizes.committed.max) == (3, 4, 8)

    def test_how_the_model_is_kept_at_work_is_measured(self, handler):
        pipeline = beam.Pipeline(runner=FnApiRunner())
        _ = keyed(pipeline, range(20)) | RunInference(PhotoKeyedHandler(handler)) | beam.Map(answer)
        result = pipeline.run()
        result.wait_until_finish()
        found = {d.key.metric.name: d.committed for d in result.metrics().query()["distributions"]}
        fill = found["batch_fill_percent"]
        assert (fill.count, fill.min, fill.max) == (3, 50, 100)
        assert found["model_busy_msecs"].count == found["model_waited_msecs"].count == 3

    def test_one_model_for_all_processes(self, tflite_path):
        """Beam serves it from one process to the others, and to this one as well."""
        handler = PhotoKeyedHandler(
            SegmentationHandler(str(tflite_path), batch_size=8, share_model=True, load=load_poor_brightness)
        )
        assert handler.share_model_across_processes() and handler.model_copies() == 1
        pipeline = beam.Pipeline(runner=FnApiRunner())
        results = keyed(pipeline, range(16), poison={5}) | RunInference(handler) | beam.Map(answer)
        assert_that(results, equal_to([(value, None if value == 5 else value) for value in range(16)]))
        result = pipeline.run()
        result.wait_until_finish()
        assert counters(result)["failed_images"] == 1  # told across processes, too

    def test_a_bad_image_costs_itself(self, handler):
        pipeline = beam.Pipeline(runner=FnApiRunner())
        photos = keyed(pipeline, range(16), poison={5})
        results = photos | RunInference(PhotoKeyedHandler(handler)) | beam.Map(answer)
        assert_that(results, equal_to([(value, None if value == 5 else value) for value in range(16)]))
        result = pipeline.run()
        result.wait_until_finish()
        assert counters(result) == {"num_inferences": 16, "failed_images": 1, "split_batches": 3}

    def test_large_photos_make_small_batches(self, handler):
        pipeline = beam.Pipeline(runner=FnApiRunner())
        photos = keyed(pipeline, range(9), shape=(1000, 1000, 3))
        keyed_handler = PhotoKeyedHandler(handler, waiting_bytes=6_100_000)
        results = photos | RunInference(keyed_handler) | beam.Map(answer)
        assert_that(results, equal_to([(value, value) for value in range(9)]))
        result = pipeline.run()
        result.wait_until_finish()
        sizes = result.metrics().query(
            beam.metrics.MetricsFilter().with_namespace(NAMESPACE).with_name("inference_request_batch_size")
        )["distributions"][0]
        assert (sizes.committed.min, sizes.committed.max) == (1, 2)

    def test_a_photo_larger_than_the_budget_goes_alone(self, handler):
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            photos = keyed(pipeline, range(3), shape=(100, 100, 3))
            results = photos | RunInference(PhotoKeyedHandler(handler, waiting_bytes=8)) | beam.Map(answer)
            assert_that(results, equal_to([(value, value) for value in range(3)]))
