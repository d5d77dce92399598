import concurrent.futures
import dataclasses
import subprocess
import sys
import threading

import numpy as np
import pytest

from models.handlers import backends, load_segmenter
from models.handlers.backends import LiteRtBackend, OnnxBackend, TensorFlowBackend, pad_batch
from models.registry import SaliencySettings, resolve_model
from tests.models.handlers.pictures import SIZE, assert_same, noise, plain


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

    segmenter = load_segmenter(str(keras_path), batch_size=4, second_look=False)
    serve, sizes = segmenter._backend._function, []

    def cramped(image):
        sizes.append(len(image))
        if len(image) > 2:
            raise tensorflow.errors.ResourceExhaustedError(
                None, None, "OOM when allocating tensor with shape[4,64,64,8]"
            )
        return serve(image=image)

    images = list(noise(5))
    expected = load_segmenter(str(keras_path), batch_size=2, second_look=False).segment(images)
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
