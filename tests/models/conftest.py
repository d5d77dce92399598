"""Small untrained networks in every format that a model can come in."""

import io
import pathlib

import numpy as np
import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

from models.segmentation.network import NetworkConfig, build_network

SIZE = 64


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("model files")


@pytest.fixture(scope="session")
def network():
    """A network with all of its normalisations away from the identity and answers that vary."""
    import keras

    keras.utils.set_random_seed(3)
    model = build_network(
        NetworkConfig(size=SIZE, stem=8, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), decoder=(8, 8, 8, 8))
    )
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights([
                rng.uniform(0.7, 1.3, shape), rng.normal(0, 0.3, shape),
                rng.normal(0, 0.3, shape), rng.uniform(0.5, 2, shape),
            ])  # fmt: skip
    for name in ("mask", "presence"):
        # an untrained network shouts; a trained one's logits are within a few units of zero
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel / 8, bias])
    return model


@pytest.fixture(scope="session")
def tflite_path(network, folder):
    from models.export import export_litert

    return export_litert(network, folder / "small.tflite")


@pytest.fixture(scope="session")
def larger_batch_tflite(network, folder):
    import tensorflow as tf

    from models.export import ServingModule

    module = ServingModule(network, batch=4)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    path = folder / "four.tflite"
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="session")
def saved_model_path(network, folder):
    from models.export import export_saved_model

    return export_saved_model(network, folder / "small_saved")


@pytest.fixture(scope="session")
def keras_path(network, folder):
    network.save(folder / "small.keras")
    return folder / "small.keras"


@pytest.fixture(scope="session")
def saliency_path(folder):
    """An ONNX network whose map is the mean of its normalised input's channels."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIZE, SIZE])
    saliency = helper.make_tensor_value_info("saliency", TensorProto.FLOAT, [1, 1, SIZE, SIZE])
    node = helper.make_node("ReduceMean", ["input", "axes"], ["saliency"], keepdims=1)
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph([node], "mean", [image], [saliency], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / "mean.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def foreign_saliency_path(folder):
    """A half-precision network for any size, as exporters write them: several maps, the first at half the size.

    ``coarse`` is the mean of its input's channels, ``fine`` its negative.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT16, ["batch", 3, "height", "width"])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["batch", 1, None, None])
        for name in ("coarse", "fine")
    ]
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("AveragePool", ["mean"], ["coarse"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Neg", ["mean"], ["fine"]),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "maps", [image], outputs, [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / "maps.onnx"
    onnx.save(model, path)
    return path


class MemoryFileSystem(FileSystem):
    """Beam's view of a cloud bucket that is a dict."""

    files: dict[str, bytes] = {}

    @classmethod
    def scheme(cls):
        return "memory"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for path, content in self.files.items():
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, len(content))

    def open(self, path, mime_type="application/octet-stream", compression_type="auto"):
        if path not in self.files:
            raise BeamIOError(f"no {path}")
        return io.BytesIO(self.files[path])

    def exists(self, path):
        return path in self.files

    def metadata(self, path):
        return FileMetadata(path, len(self.files[path]))

    def _unsupported(self, *args, **kwargs):
        raise NotImplementedError

    mkdirs = create = copy = rename = size = last_updated = checksum = delete = _unsupported


@pytest.fixture
def memory_storage():
    """Puts files and folders into ``memory://models/``."""

    def put(*paths: pathlib.Path):
        for path in paths:
            files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            for file in files:
                MemoryFileSystem.files[f"memory://models/{file.relative_to(path.parent).as_posix()}"] = (
                    file.read_bytes()
                )

    yield put
    MemoryFileSystem.files.clear()
