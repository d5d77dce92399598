"""Builds U²-Net† ("U2NETP"), the small salient object network, as an ONNX file with weights of our own.

Structure and widths: Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand, "U²-Net: Going Deeper with Nested U-Structure for
Salient Object Detection", Pattern Recognition 106, 2020, figure 5 and section 3.4: eleven residual U-blocks (RSU) of
inner width 16 and outer width 64, six side outputs and their fusion. Batch normalisation is folded into the
convolutions, as it is in any file made for inference.

Speed does not depend on the weights, but what comes after the network does: noise instead of a mask would make matting
slower and PNG files larger. The weights are random by a fixed seed; to the fused map is added how far every pixel's
colour is from the frame's border, a few operations on one channel, so that the result looks like a mask.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 320
_SMOOTH = 9  # pixels of the window over which colour distances are averaged
_STEEP = 60  # of the mask's edge: its logits at a colour twice as far from the border's as the mean
_NOISE = 0.02  # of the network's own map in the mask's logits


@dataclasses.dataclass(frozen=True)
class Widths:
    """Channels of every residual U-block: of its output, and inside of it."""

    outer: int = 64
    inner: int = 16


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a network takes.

    Attributes:
      parameters: weights and biases of all convolutions.
      macs: multiply-accumulate operations of its convolutions for one image.
    """

    parameters: int
    macs: int


@dataclasses.dataclass(frozen=True)
class _Map:
    """A feature map of the graph being built: its name, channels and side in pixels."""

    name: str
    channels: int
    side: int


def build_u2netp(path: Path, widths: Widths = Widths(), seed: int = 0) -> Cost:
    """Writes the network.

    Args:
      path: of the ONNX file; 4.5 MB with the published widths.
      widths: the published ones, or others for a smaller network of the same structure.
      seed: of the weights.

    Returns:
      What it takes at 320 x 320.
    """
    graph = _Graph(widths, seed)
    image = _Map("input.1", 3, SIZE)
    sides = _u2net(graph, image)
    fused = graph.conv(graph.concat([graph.resize(side, SIZE) for side in sides]), 1, kernel=1, relu=False)
    shown = graph.sigmoid(_with_shape_of_product(graph, image, fused), "mask")
    outputs = [shown, *(graph.sigmoid(graph.resize(side, SIZE), f"side{n}") for n, side in enumerate(sides, 1))]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "u2netp",
            [helper.make_tensor_value_info(image.name, TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, [1, 1, SIZE, SIZE]) for o in outputs],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return Cost(graph.parameters, graph.macs)


def _u2net(graph: _Graph, image: _Map) -> list[_Map]:
    """Adds encoder and decoder; returns the six side maps, finest first, as logits."""
    encoded = []
    below = image
    for height in (7, 6, 5, 4):
        encoded.append(_rsu(graph, below, height))
        below = graph.pool(encoded[-1])
    encoded.append(_rsu_dilated(graph, below))
    deepest = _rsu_dilated(graph, graph.pool(encoded[-1]))
    decoded = [deepest]
    for height, skip in zip((None, 4, 5, 6, 7), reversed(encoded), strict=True):
        joined = graph.concat([graph.resize(decoded[-1], skip.side), skip])
        decoded.append(_rsu_dilated(graph, joined) if height is None else _rsu(graph, joined, height))
    return [graph.conv(feature, 1, relu=False) for feature in reversed(decoded)]


def _rsu(graph: _Graph, source: _Map, height: int) -> _Map:
    """Adds a residual U-block of so many levels, RSU-``height``."""
    entry = graph.conv(source, graph.outer)
    levels = [graph.conv(entry, graph.inner)]
    for _ in range(height - 2):
        levels.append(graph.conv(graph.pool(levels[-1]), graph.inner))
    inside = graph.conv(levels[-1], graph.inner, dilation=2)
    for number, level in enumerate(reversed(levels)):
        width = graph.outer if number == len(levels) - 1 else graph.inner
        inside = graph.conv(graph.concat([graph.resize(inside, level.side), level]), width)
    return graph.add(inside, entry)


def _rsu_dilated(graph: _Graph, source: _Map) -> _Map:
    """Adds RSU-4F, the block that dilates instead of pooling."""
    entry = graph.conv(source, graph.outer)
    levels = [graph.conv(entry, graph.inner)]
    for dilation in (2, 4):
        levels.append(graph.conv(levels[-1], graph.inner, dilation=dilation))
    inside = graph.conv(levels[-1], graph.inner, dilation=8)
    for level, dilation, width in zip(
        reversed(levels), (4, 2, 1), (graph.inner, graph.inner, graph.outer), strict=True
    ):
        inside = graph.conv(graph.concat([inside, level]), width, dilation=dilation)
    return graph.add(inside, entry)


def _with_shape_of_product(graph: _Graph, image: _Map, fused: _Map) -> _Map:
    """Adds to a map how far the image's colours are from those of its border, relative to the mean of that."""
    border = graph.node("ReduceMean", [graph.top_rows(image, 8)], 3, 1, axes=[2, 3], keepdims=1)
    apart = graph.node("Abs", [graph.node("Sub", [image, border], 3, SIZE)], 3, SIZE)
    distance = graph.node("ReduceMean", [apart], 1, SIZE, axes=[1], keepdims=1)
    window = {"kernel_shape": [_SMOOTH, _SMOOTH], "pads": [_SMOOTH // 2] * 4}
    smooth = graph.node("AveragePool", [distance], 1, SIZE, **window)
    mean = graph.node("ReduceMean", [smooth], 1, 1, axes=[2, 3], keepdims=1)
    relative = graph.node("Div", [graph.node("Sub", [smooth, mean], 1, SIZE), mean], 1, SIZE)
    steep = graph.node("Mul", [relative, graph.constant(np.float32(_STEEP))], 1, SIZE)
    faint = graph.node("Mul", [fused, graph.constant(np.float32(_NOISE))], 1, SIZE)
    return graph.add(steep, faint)


class _Graph:
    """Collects nodes and weights and counts what they take."""

    def __init__(self, widths: Widths, seed: int):
        self.outer, self.inner = widths.outer, widths.inner
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.parameters = self.macs = 0
        self._rng = np.random.default_rng(seed)

    def node(self, kind: str, inputs: list, channels: int, side: int, **attributes) -> _Map:
        """Adds a node of one output; inputs are maps or names."""
        name = f"t{len(self.nodes)}"
        names = [source.name if isinstance(source, _Map) else source for source in inputs]
        self.nodes.append(helper.make_node(kind, names, [name], **attributes))
        return _Map(name, channels, side)

    def constant(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def conv(self, source: _Map, channels: int, *, kernel: int = 3, dilation: int = 1, relu: bool = True) -> _Map:
        shape = (channels, source.channels, kernel, kernel)
        fan_in = source.channels * kernel * kernel
        weights = self._rng.normal(scale=np.sqrt(2 / fan_in), size=shape).astype(np.float32)
        bias = self._rng.normal(scale=0.05, size=channels).astype(np.float32)
        self.parameters += weights.size + bias.size
        self.macs += weights.size * source.side**2
        reach = dilation * (kernel // 2)
        done = self.node(
            "Conv",
            [source, self.constant(weights), self.constant(bias)],
            channels,
            source.side,
            kernel_shape=[kernel, kernel],
            dilations=[dilation, dilation],
            pads=[reach] * 4,
        )
        return self.node("Relu", [done], channels, source.side) if relu else done

    def pool(self, source: _Map) -> _Map:
        half = -(-source.side // 2)
        return self.node("MaxPool", [source], source.channels, half, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)

    def resize(self, source: _Map, side: int) -> _Map:
        if source.side == side:
            return source
        sizes = self.constant(np.array([1, source.channels, side, side], np.int64))
        inputs = [source, "", "", sizes]
        return self.node("Resize", inputs, source.channels, side, mode="linear")

    def concat(self, sources: list[_Map]) -> _Map:
        return self.node("Concat", sources, sum(s.channels for s in sources), sources[0].side, axis=1)

    def add(self, first: _Map, second: _Map) -> _Map:
        return self.node("Add", [first, second], first.channels, first.side)

    def top_rows(self, source: _Map, count: int) -> _Map:
        start, stop, axis = (self.constant(np.array([number], np.int64)) for number in (0, count, 2))
        return self.node("Slice", [source, start, stop, axis], source.channels, source.side)

    def sigmoid(self, source: _Map, name: str) -> _Map:
        self.nodes.append(helper.make_node("Sigmoid", [source.name], [name]))
        return _Map(name, 1, SIZE)
