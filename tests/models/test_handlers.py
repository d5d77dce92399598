import concurrent.futures
import dataclasses
import pickle
import subprocess
import sys
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

from models.handlers import Segmentation, SegmentationFailure, SegmentationHandler, backends, load_segmenter
from models.handlers.backends import LiteRtBackend, OnnxBackend, TensorFlowBackend, pad_batch
from models.handlers.segmentation import NAMESPACE, PhotoKeyedHandler, Segmenter, out_of_memory
from models.registry import SaliencySettings, resolve_model

SIZE = 64
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


def plain(value, green=0):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[..., 0] = value
    image[..., 1] = green
    return image


def noise(count, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(SIZE // 8, axis=1).repeat(SIZE // 8, axis=2)


def assert_same(results, expected):
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result.mask, other.mask)
        assert result.presence == other.presence


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


def test_pad_batch():
    images = noise(3)
    padded = pad_batch(images, 5)
    assert padded.shape == (5, SIZE, SIZE, 3)
    np.testing.assert_array_equal(padded[:3], images)
    assert not padded[3:].any()
    assert pad_batch(images, 3) is images


class TestLiteRt:
    @pytest.mark.parametrize("batch_size", [1, 3, 8, 16])
    def test_neighbours_and_batch_size_do_not_matter(self, tflite_path, batch_size):
        images = list(noise(16))
        alone = load_segmenter(str(tflite_path), threads=1)
        expected = [alone.segment([image])[0] for image in images]
        assert len({result.mask.tobytes() for result in expected}) == 16
        assert_same(load_segmenter(str(tflite_path), batch_size=batch_size).segment(images), expected)
        order = np.random.default_rng(batch_size).permutation(16)
        assert_same(
            load_segmenter(str(tflite_path), batch_size=batch_size).segment([images[i] for i in order]),
            [expected[i] for i in order],
        )

    def test_number_of_threads_does_not_matter(self, tflite_path):
        images = list(noise(6))
        expected = load_segmenter(str(tflite_path), threads=1).segment(images)
        for threads in (2, 3, 4):
            assert_same(load_segmenter(str(tflite_path), threads=threads).segment(images), expected)

    def test_many_threads_share_it(self, tflite_path, monkeypatch):
        monkeypatch.setattr("models.handlers.backends.available_threads", lambda: 3)
        segmenter = load_segmenter(str(tflite_path), threads=1)
        images = list(noise(40))
        expected = segmenter.segment(images)
        start = threading.Barrier(8)

        def work(first):
            start.wait()
            return [segmenter.segment(images[i : i + 3]) for i in range(first, 38)]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for first, batches in enumerate(pool.map(work, range(8))):
                for offset, results in enumerate(batches):
                    assert_same(results, expected[first + offset : first + offset + 3])
        assert segmenter._backend._idle.qsize() <= 3

    def test_a_foreign_file_with_a_larger_batch_is_padded(self, larger_batch_tflite, tflite_path):
        images = noise(7)
        masks, presences = LiteRtBackend(larger_batch_tflite.read_bytes()).predict(images)
        expected, expected_presences = LiteRtBackend(tflite_path.read_bytes()).predict(images)
        # other batch, other kernels: only the last step of 255 may differ
        assert np.abs(masks.astype(int) - expected).max() <= 1
        assert np.abs(presences.astype(int) - expected_presences).max() <= 1

    def test_tensorflow_is_not_imported(self, tflite_path):
        program = (
            "import sys, numpy; from models.handlers import load_segmenter\n"
            f"result = load_segmenter({str(tflite_path)!r}).segment([numpy.zeros((64, 64, 3), numpy.uint8)])\n"
            "print(result[0].mask.shape, 'tensorflow' in sys.modules, 'keras' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "(64, 64) False False"


@pytest.mark.parametrize("kind", ["saved_model_path", "keras_path"])
def test_tensorflow_answers_as_litert_does(kind, tflite_path, request):
    path = request.getfixturevalue(kind)
    images = list(noise(11))
    segmenter = load_segmenter(str(path), batch_size=4)
    assert isinstance(segmenter._backend, TensorFlowBackend)
    results = segmenter.segment(images)
    for result, other in zip(results, load_segmenter(str(tflite_path)).segment(images), strict=True):
        assert np.abs(result.mask.astype(int) - other.mask).max() <= 2
        assert abs(result.presence - other.presence) <= 2 / 255
    backwards = load_segmenter(str(path), batch_size=4).segment(images[::-1])
    assert_same(backwards[::-1], results)


def test_tensorflow_out_of_memory_halves_the_batch(keras_path):
    import tensorflow

    segmenter = load_segmenter(str(keras_path), batch_size=4)
    serve, sizes = segmenter._backend._function, []

    def cramped(image):
        sizes.append(len(image))
        if len(image) > 2:
            raise tensorflow.errors.ResourceExhaustedError(
                None, None, "OOM when allocating tensor with shape[4,64,64,8]"
            )
        return serve(image=image)

    images = list(noise(5))
    expected = load_segmenter(str(keras_path), batch_size=2).segment(images)
    segmenter._backend._function = cramped
    assert_same(segmenter.segment(images), expected)
    assert sizes == [4, 2, 2, 2] and segmenter.batch_size == 2


def test_half_precision_changes_the_last_digits_alone(keras_path):
    import tensorflow

    images = noise(4)
    backend = TensorFlowBackend(resolve_model(str(keras_path)), half_precision=True)
    masks, presences = backend.predict(images)
    whole, whole_presences = TensorFlowBackend(resolve_model(str(keras_path))).predict(images)
    assert masks.dtype == presences.dtype == np.uint8
    assert np.abs(masks.astype(int) - whole).max() <= 4 and np.abs(presences.astype(int) - whole_presences).max() <= 4
    computed = backend._function.get_concrete_function().graph.as_graph_def()
    kinds = {node.attr["T"].type for f in computed.library.function for node in f.node_def if node.op == "Conv2D"}
    kinds |= {node.attr["T"].type for node in computed.node if node.op == "Conv2D"}
    assert kinds == {tensorflow.float16.as_datatype_enum}


def test_the_form_for_the_gpu_is_used_where_there_is_one(tflite_path, keras_path, monkeypatch):
    spec = dataclasses.replace(resolve_model(str(tflite_path)), accelerated=str(keras_path))
    monkeypatch.setattr(backends, "gpu_present", lambda: True)
    assert isinstance(backends.load_backend(spec), LiteRtBackend)  # TensorFlow does not see it
    monkeypatch.setattr(backends, "_tensorflow_sees_gpu", lambda: True)
    assert isinstance(backends.load_backend(spec), TensorFlowBackend)
    assert isinstance(backends.load_backend(spec, half_precision=True), TensorFlowBackend)
    assert isinstance(backends.load_backend(resolve_model(str(tflite_path))), LiteRtBackend)


def test_onnx_saliency(saliency_path):
    segmenter = load_segmenter(str(saliency_path))
    dark, light = segmenter.segment([plain(0), np.full((SIZE, SIZE, 3), 255, np.uint8)])
    assert dark.mask.shape == (SIZE, SIZE)
    assert (dark.mask == 0).all() and dark.presence == 0
    assert (light.mask == 255).all() and light.presence == 1


def test_onnx_logits(saliency_path):
    settings = SaliencySettings(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.01, 0.01, 0.01), output="logit")
    backend = OnnxBackend(saliency_path.read_bytes(), settings)
    masks, _ = backend.predict(np.stack([plain(0), np.full((SIZE, SIZE, 3), 255, np.uint8)]))
    assert (masks[0] == 0).all() and (masks[1] == 255).all()


class TestForeignOnnx:
    """Half precision, free axes, several outputs, a map smaller than the input."""

    def predict(self, path, **settings):
        plain_pixels = {"mean": (0, 0, 0), "std": (1, 1, 1)}
        backend = OnnxBackend(path.read_bytes(), SaliencySettings(size=SIZE, **plain_pixels, **settings))
        image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
        image[:, :, SIZE // 2 :] = 255
        return backend.predict(image)[0][0]

    def test_the_first_output_is_enlarged(self, foreign_saliency_path):
        mask = self.predict(foreign_saliency_path)
        assert mask.shape == (SIZE, SIZE)
        assert (mask[:, : SIZE // 2 - 1] == 0).all() and (mask[:, SIZE // 2 + 1 :] == 255).all()

    def test_another_output_by_name(self, foreign_saliency_path):
        mask = self.predict(foreign_saliency_path, output_name="fine", output="logit")
        assert (mask[:, : SIZE // 2] == 128).all()
        assert (mask[:, SIZE // 2 :] == 69).all()  # 255 / (1 + e)


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
