"""Names of the models that come with Packshot, and what is known of any model before it is loaded.

Adding a model is one line in ``MODELS``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import zipfile
from typing import Any, Literal, NamedTuple

import yaml

Format = Literal["tflite", "keras", "saved_model", "onnx"]

DEFAULT_MODEL = "packshot-seg"

ONNX_PIXELS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}

_FORMATS: dict[str, Format] = {".tflite": "tflite", ".keras": "keras", ".onnx": "onnx"}

_HERE = pathlib.Path(__file__).parent


class RegisteredModel(NamedTuple):
    """Where a model of the registry lies, below this package's folder.

    Attributes:
      path: the model itself.
      card: its model card, Markdown.
      accelerated: the same network as a ``.keras`` file or SavedModel, used instead where there is a GPU.
    """

    path: str
    card: str | None = None
    accelerated: str | None = None


MODELS: dict[str, RegisteredModel] = {
    DEFAULT_MODEL: RegisteredModel(
        "segmentation/weights/packshot-seg.tflite",
        card="segmentation/weights/packshot-seg.md",
        accelerated="segmentation/weights/packshot-seg.keras",
    ),
}


@dataclasses.dataclass(frozen=True)
class SaliencySettings:
    """How a foreign ONNX saliency network wants its pixels and gives its mask.

    Attributes:
      size: side of the square input in pixels.
      layout: order of the input's axes.
      scale: pixels 0..255 are divided by this first.
      mean: subtracted after that, for R, G, B; ImageNet's by default.
      std: divided by last, for R, G, B; ImageNet's by default.
      output: whether the map holds probabilities 0..1 or logits. Networks that stretch every map from its least
        to its greatest value are not followed: a photo without a product would then have one.
      output_name: the output to read, of several; by default the first, which is the finest of U²-Net and IS-Net.
    """

    size: int
    layout: Literal["nchw", "nhwc"] = "nchw"
    scale: float = 255.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    output: Literal["probability", "logit"] = "probability"
    output_name: str | None = None

    def __post_init__(self):
        if not isinstance(self.size, int) or self.size < 1:
            raise ValueError(f"size={self.size!r} must be a positive whole number of pixels")
        if self.layout not in ("nchw", "nhwc"):
            raise ValueError(f"layout={self.layout!r} must be 'nchw' or 'nhwc'")
        if self.output not in ("probability", "logit"):
            raise ValueError(f"output={self.output!r} must be 'probability' or 'logit'")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != 3 or not all(isinstance(value, int | float) for value in values):
                raise ValueError(f"{name}={values!r} must be three numbers, for R, G, B")
        if self.scale <= 0 or min(self.std) <= 0:
            raise ValueError(f"scale={self.scale!r} and std={self.std!r} must be above zero")


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A segmentation model that exists and can be read.

    Attributes:
      name: name in the registry, or the file's name without its ending.
      path: local path or URI of the file or folder.
      format: what it is.
      size: side of its square input in pixels.
      sha256: of the file's bytes, or for a folder of its sorted files' names and hashes; 64 hexadecimal digits.
      card: path of its model card, or None.
      accelerated: path of the same network for the GPU, or None.
      saliency: for an ONNX network, how to feed it.
    """

    name: str
    path: str
    format: Format
    size: int
    sha256: str
    card: str | None = None
    accelerated: str | None = None
    saliency: SaliencySettings | None = None

    def at(self, path: str) -> ModelSpec:
        """Returns the same model at another place."""
        return dataclasses.replace(self, path=path)

    def accelerated_spec(self) -> ModelSpec:
        """Returns the model for the GPU as one of its own.

        Raises:
          ValueError: there is none.
        """
        if self.accelerated is None:
            raise ValueError(f"model {self.name!r} has no form for the GPU")
        return dataclasses.replace(self, path=self.accelerated, format=_format(self.accelerated), accelerated=None)


def resolve_model(name_or_path: str = DEFAULT_MODEL) -> ModelSpec:
    """Finds a segmentation model and reads what must be known before a job starts.

    Args:
      name_or_path: a name in ``MODELS``; or the path or URI of a ``.tflite`` or ``.keras`` file, of a SavedModel
        folder, or of an ``.onnx`` saliency network (with ``<name>.yaml`` beside it where its input is not
        normalised as is usual for ImageNet; its keys are the fields of ``SaliencySettings``).

    Returns:
      The model.

    Raises:
      ValueError: there is no such model, or it cannot be read; one line that names what there is.
    """
    registered = MODELS.get(name_or_path)
    if registered:
        path = str(_HERE / registered.path)
        card, accelerated = (_existing(p) for p in (registered.card, registered.accelerated))
        name = name_or_path
    else:
        path, card, accelerated = str(name_or_path).rstrip("/"), None, None
        name = pathlib.PurePosixPath(path).stem
    try:
        files = _list_files(path)
    except Exception as error:  # storage clients each have their own
        raise ValueError(f"segmentation model {name_or_path!r} cannot be read: {_line(error)}") from error
    if not files:
        where = f" (looked for {path})" if registered else ""
        raise ValueError(
            f"there is no segmentation model {name_or_path!r}{where}; known names are {', '.join(sorted(MODELS))}, "
            f"or give the path of a .tflite, .keras or .onnx file or of a SavedModel folder"
        )
    try:
        format = _format(path)
        saliency = _saliency_settings(path) if format == "onnx" else None
        size = saliency.size if saliency else _READ_SIZE[format](path)
        sha256 = _sha256(path, files)
    except ImportError as error:
        raise ValueError(
            f"segmentation model {name_or_path!r} needs a package that is missing: {_line(error)}"
        ) from error
    except Exception as error:  # whatever a runtime says of a damaged file
        raise ValueError(f"segmentation model {name_or_path!r} cannot be read: {_line(error)}") from error
    return ModelSpec(name, path, format, size, sha256, card, accelerated, saliency)


def _existing(path: str | None) -> str | None:
    return str(_HERE / path) if path and (_HERE / path).exists() else None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"


def _format(path: str) -> Format:
    suffix = pathlib.PurePosixPath(path).suffix.lower()
    if suffix in _FORMATS:
        return _FORMATS[suffix]
    if any(file.rsplit("/", 1)[-1] == "saved_model.pb" for file in _list_files(path)):
        return "saved_model"
    raise ValueError("it is neither a .tflite, .keras or .onnx file nor a folder with a saved_model.pb")


def _list_files(path: str) -> list[str]:
    if "://" in path:
        # Beam's filesystems are needed only for what lies in cloud storage
        from models.handlers import files

        return files.list_files(path)
    root = pathlib.Path(path)
    return [path] if root.is_file() else sorted(str(p) for p in root.rglob("*") if p.is_file())


def _read(path: str) -> bytes:
    if "://" in path:
        from models.handlers import files

        return files.read_bytes(path)
    return pathlib.Path(path).read_bytes()


def _sha256(path: str, files: list[str]) -> str:
    if files == [path]:
        return hashlib.sha256(_read(path)).hexdigest()
    total = hashlib.sha256()
    for file in files:
        name = file[len(path) :].lstrip("/").replace("\\", "/")
        total.update(f"{name}\0{hashlib.sha256(_read(file)).hexdigest()}\n".encode())
    return total.hexdigest()


def _square(shape, where: str) -> int:
    height, width = shape
    if not isinstance(height, int) or height < 1 or height != width:
        raise ValueError(f"its {where} is {height} x {width}; it must be a square of fixed size")
    return height


def _tflite_size(path: str) -> int:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=_read(path))
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1 or not {"mask", "presence"} <= set(next(iter(signatures.values()))["outputs"]):
        raise ValueError(f"it has the signatures {signatures!r}; it must have one with outputs 'mask' and 'presence'")
    details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    if any(detail["dtype"].__name__ != "uint8" for detail in details):
        raise ValueError("its inputs and outputs must be uint8; export it with models.export")
    return _square([int(n) for n in details[0]["shape"][1:3]], "input")


def _keras_size(path: str) -> int:
    with zipfile.ZipFile(io.BytesIO(_read(path))) as archive:
        config = json.loads(archive.read("config.json"))
    for layer in config["config"].get("layers", ()):
        if layer["class_name"] == "InputLayer":
            return _square(layer["config"]["batch_shape"][1:3], "input")
    raise ValueError("it has no input layer; it must be a functional network of models.segmentation.network")


def _saved_model_size(path: str) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from tensorflow.core.protobuf import saved_model_pb2

    # the description only: loading the weights here would cost seconds and set up a GPU
    saved = saved_model_pb2.SavedModel.FromString(_read(f"{path}/saved_model.pb"))
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    if "image" not in signature.inputs or not {"mask", "presence"} <= set(signature.outputs):
        raise ValueError(
            f"its serving signature takes {sorted(signature.inputs)} and gives {sorted(signature.outputs)}; "
            f"it must take 'image' and give 'mask' and 'presence'"
        )
    return _square([int(axis.size) for axis in signature.inputs["image"].tensor_shape.dim[1:3]], "input")


def _saliency_settings(path: str) -> SaliencySettings:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(_read(path), options, ["CPUExecutionProvider"])
    image, *others = session.get_inputs()
    if others or len(image.shape) != 4 or image.type not in ONNX_PIXELS:
        taken = ", ".join(f"{node.name} {node.type} {node.shape}" for node in (image, *others))
        raise ValueError(
            f"it takes {taken}; it must take one image, (1, 3, h, w) or (1, h, w, 3), of {', '.join(ONNX_PIXELS)}"
        )
    shape = image.shape
    settings: dict[str, Any] = {"layout": "nhwc" if shape[-1] == 3 else "nchw"}
    beside = path[: -len(".onnx")] + ".yaml"
    if _list_files(beside):
        try:
            settings.update(yaml.safe_load(_read(beside)) or {})
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise ValueError(f"{beside}: {_line(error)}") from error
    sides = shape[1:3] if settings["layout"] == "nhwc" else shape[2:4]
    if "size" not in settings:
        if any(not isinstance(side, int) for side in sides):
            raise ValueError(f"its input is of any size, {shape}; name the one to use in {beside}, as in 'size: 1024'")
        settings["size"] = _square(sides, "input")
    elif any(isinstance(side, int) and side != settings["size"] for side in sides) and isinstance(
        settings["size"], int
    ):
        raise ValueError(f"{beside}: size={settings['size']!r}, but the file's input is {shape}")
    outputs = [node.name for node in session.get_outputs()]
    if settings.get("output_name") not in (None, *outputs):
        raise ValueError(f"{beside}: output_name={settings['output_name']!r} has to be one of {', '.join(outputs)}")
    unknown = settings.keys() - {field.name for field in dataclasses.fields(SaliencySettings)}
    if unknown:
        raise ValueError(f"{beside}: unknown setting {min(unknown)!r}")
    for name in ("mean", "std"):
        if name in settings:
            settings[name] = tuple(settings[name])
    return SaliencySettings(**settings)


_READ_SIZE = {"tflite": _tflite_size, "keras": _keras_size, "saved_model": _saved_model_size}
