"""A closer look at products that take little of their frame: the network sees them again, large.

The whole frame is squashed to the network's square, in which a small product is few pixels, and a pale one on a pale
ground is lost among them. A part of the frame is looked at in the same way as a whole one.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from models.handlers import Segmentation
from models.handlers.occupancy import Share
from transforms.islands import drop_islands

_MARGIN = 0.1  # of the product's longer side, on all four
_LARGEST = 0.5  # share of the frame from which a part of it is no closer look
_AGREEMENT = 0.5  # intersection over union of both masks below which the closer one shows something else


@dataclasses.dataclass(frozen=True)
class Part:
    """A rectangle of a frame, as shares of its sides, 0..1.

    Attributes:
      left, top, right, bottom: where it ends.
    """

    left: float
    top: float
    right: float
    bottom: float

    def of(self, width: int, height: int) -> tuple[slice, slice]:
        """Returns the rows and columns of a picture of that frame that show it; at least one of each."""
        left, top = int(self.left * width), int(self.top * height)
        right, bottom = round(self.right * width), round(self.bottom * height)
        return slice(top, max(top + 1, bottom)), slice(left, max(left + 1, right))


def part_to_enlarge(mask: np.ndarray, width: int, height: int) -> Part | None:
    """Returns the part of a frame with its product and some ground around it, or None where that is most of it.

    Args:
      mask: uint8 (s, s), 0 ground to 255 product, of the whole frame squashed to a square.
      width, height: the frame's sides in pixels.
    """
    x, y, across, down = cv2.boundingRect(cv2.inRange(drop_islands(mask), 128, 255))
    if not across:
        return None
    size = len(mask)
    margin = _MARGIN * max(across * width, down * height) / size  # in pixels of the frame, as it squashes sides unlike
    beside, above = margin / width, margin / height
    part = Part(
        max(0.0, x / size - beside),
        max(0.0, y / size - above),
        min(1.0, (x + across) / size + beside),
        min(1.0, (y + down) / size + above),
    )
    return part if (part.right - part.left) * (part.bottom - part.top) <= _LARGEST else None


def merge_closer_look(found: Segmentation, part: Part, closer: Segmentation) -> Segmentation:
    """Puts what a closer look saw into its place, unless it saw something else, or nothing.

    Args:
      found: of the whole frame.
      part: of it, that the closer look was at.
      closer: of that part.

    Returns:
      The segmentation of the whole frame, with the first look's presence and the time of both.
    """
    mask = found.mask.copy()
    here = mask[part.of(*mask.shape[::-1])]
    height, width = here.shape
    smaller = cv2.resize(closer.mask, (width, height), interpolation=cv2.INTER_AREA)
    before, after = cv2.inRange(here, 128, 255), cv2.inRange(smaller, 128, 255)
    both, either = (cv2.countNonZero(op(before, after)) for op in (cv2.bitwise_and, cv2.bitwise_or))
    if closer.presence >= 0.5 and both >= _AGREEMENT * either:
        here[:] = smaller
    share = found.share
    if share is not None and closer.share is not None:  # it fills no place of a batch of whole frames
        share = Share(share.busy + closer.share.busy, share.waited + closer.share.waited, share.places)
    return dataclasses.replace(found, mask=mask, milliseconds=found.milliseconds + closer.milliseconds, share=share)
