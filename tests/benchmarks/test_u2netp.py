import numpy as np
import onnxruntime
import pytest

from tests.benchmarks.u2netp import SIZE, Widths, build_u2netp


def test_published_widths_cost_what_the_paper_says(tmp_path):
    cost = build_u2netp(tmp_path / "u2netp.onnx")
    assert cost.parameters == pytest.approx(1.13e6, rel=0.01)  # 1.13 M; ours are without the folded normalisation
    assert cost.macs == pytest.approx(19.8e9, rel=0.01)


def test_mask_is_high_where_colours_are_not_the_borders(tmp_path):
    path = tmp_path / "small.onnx"
    assert build_u2netp(path, Widths(8, 4)) == build_u2netp(tmp_path / "again.onnx", Widths(8, 4))
    assert path.read_bytes() == (tmp_path / "again.onnx").read_bytes()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = np.zeros((1, 3, SIZE, SIZE), np.float32)
    image[..., 100:220, 100:220] = 2
    masks = session.run(None, {session.get_inputs()[0].name: image})
    assert [mask.shape for mask in masks] == [(1, 1, SIZE, SIZE)] * 7  # the fused one first, as rembg takes it
    assert masks[0][0, 0, 160, 160] > 0.99 and masks[0][0, 0, 20, 20] < 0.01
