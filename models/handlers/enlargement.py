"""The super-resolution model at work: a picture in, the picture at twice its size out, tile by tile."""

from __future__ import annotations

import functools
import pathlib
import threading

import cv2
import numpy as np

from models.superres.resampling import double, enlarge, halve

WEIGHTS = pathlib.Path(__file__).parents[1] / "superres" / "weights" / "packshot-superres.tflite"
_TILE = 256  # pixels of the input along a tile's side at most, its margins left out
_MARGIN = 16  # more than the network reaches: whatever the tiles, the result is the same


class Enlarger:
    """A loaded super-resolution model; may be shared by threads, of which each gets an interpreter of its own.

    Args:
      path: a ``.tflite`` file of ``models.superres.export``.

    Raises:
      ValueError: the file is not there, or is no such model.
    """

    def __init__(self, path: str | pathlib.Path = WEIGHTS):
        try:
            self._content = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise ValueError(f"super-resolution model {str(path)!r} cannot be read: {error.strerror}") from error
        self._local = threading.local()
        detail = self._run(np.zeros((8, 8), np.uint8))
        if detail.shape != (8, 8, 4):
            raise ValueError(f"{str(path)!r} gives {detail.shape} for a picture of 8 x 8; it has to give (8, 8, 4)")

    def luma(self, luma: np.ndarray) -> np.ndarray:
        """Enlarges a luma plane.

        Args:
          luma: uint8 (h, w).

        Returns:
          float32 (2 h, 2 w), may lie a little beyond 0..255.
        """
        padded = cv2.copyMakeBorder(luma, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_REFLECT)
        detail = np.empty((*luma.shape, 4), np.float32)
        for rows in _tiles(luma.shape[0]):
            for columns in _tiles(luma.shape[1]):
                tile = padded[rows.start : rows.stop + 2 * _MARGIN, columns.start : columns.stop + 2 * _MARGIN]
                detail[rows, columns] = self._run(tile)[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        return enlarge(luma, detail)

    def enlarge(self, image: np.ndarray) -> np.ndarray:
        """Enlarges a picture: its luma by the network, its colours bicubically, all held to the picture as it was.

        Args:
          image: uint8 (h, w, 3), sRGB, RGB.

        Returns:
          uint8 (2 h, 2 w, 3); halved again it is the picture, to within what rounding and clipping take.
        """
        colours = double(image.astype(np.float32))
        colours = cv2.add(colours, double(cv2.subtract(image.astype(np.float32), halve(colours))))
        sharp = self.luma(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        change = cv2.subtract(sharp, cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))
        return np.asarray(cv2.add(colours, cv2.merge([change] * 3), dtype=cv2.CV_8U))  # rounded and saturated

    def _run(self, luma: np.ndarray) -> np.ndarray:
        interpreter, source, answer = self._interpreter()
        shape = (1, *luma.shape, 1)
        if tuple(interpreter.get_input_details()[0]["shape"]) != shape:
            interpreter.resize_tensor_input(source, shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source, np.ascontiguousarray(luma).reshape(shape))
        interpreter.invoke()
        return interpreter.get_tensor(answer)[0]

    def _interpreter(self):
        if not hasattr(self._local, "loaded"):
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
            details = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            self._local.loaded = (interpreter, *(detail["index"] for detail in details))
        return self._local.loaded


def _tiles(length: int) -> list[slice]:
    """Cuts a side into equal pieces of ``_TILE`` pixels at most; the last may be shorter."""
    count = -(-length // _TILE)
    step = -(-length // count)
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


@functools.cache
def shared_enlarger() -> Enlarger:
    """Returns the model that comes with Packshot, loaded once a process."""
    return Enlarger()
