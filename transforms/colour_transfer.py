"""One look for a category: colours of the ground and the overall tone moved towards those of a reference.

Two transfers between the means and covariances of two sets of colours in CIELAB: the linear Monge-Kantorovich map,
which of all that match both moves the colours least (Pitie and Kokaram, "The Linear Monge-Kantorovitch Linear Colour
Mapping for Example-Based Colour Transfer", CVMP 2007); and the simple one that matches each channel's mean and
deviation (Reinhard, Ashikhmin, Gooch and Shirley, "Color Transfer between Images", IEEE CG&A 2001; there in another
space).

The product is what is on sale: the ground's map acts on it only so far that its mean shift stays within a bound.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from transforms.normalise import mean_colour_shift
from transforms.stage import PhotoStage

MONGE_KANTOROVICH, REINHARD = "mk", "reinhard"
TRANSFERS = (MONGE_KANTOROVICH, REINHARD)
EVERY_CATEGORY = "*"

_FLOOR = 0.25  # squared CIELAB units added to variances: a plain sheet's are next to none, and those are noise
_CONTRAST = (0.5, 1.6)  # deviations are changed by no more than this: beyond, noise is amplified or all detail lost
_PRODUCT_SHIFT = 0.8  # mean CIEDE2000 that the product may be moved by; the bar is 1
_PRODUCT_CONTRAST = 0.06  # how far the product's contrast may be changed, which keeps the SSIM of L above .98
_SAMPLES = 40_000
_NEAR = 0.02  # of the frame's longest side: ground nearer to the product than that is not measured
_LEAST = 64  # pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """Mean and covariance of the colours of a ground in CIELAB.

    Attributes:
      mean: float (3,).
      covariance: float (3, 3), symmetric, no negative eigenvalue.
    """

    mean: np.ndarray
    covariance: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Returns the look as JSON can hold it."""
        return {
            "mean": [round(float(v), 4) for v in self.mean],
            "covariance": [[round(float(v), 4) for v in row] for row in self.covariance],
        }

    @classmethod
    def from_mapping(cls, mapping: Any, where: str) -> Look:
        """Reads a look.

        Args:
          mapping: with ``mean``, 3 numbers, and ``covariance``, 3 rows of 3.
          where: for messages.

        Raises:
          ValueError: it is none.
        """
        try:
            look = cls(np.array(mapping["mean"], float), np.array(mapping["covariance"], float))
            whole = look.mean.shape == (3,) and look.covariance.shape == (3, 3)
            sane = whole and np.isfinite(look.mean).all() and np.isfinite(look.covariance).all()
        except (KeyError, TypeError, ValueError):
            sane = False
        if not sane or not np.allclose(look.covariance, look.covariance.T, atol=1e-3):
            raise ValueError(f"{where} has to hold a mean of 3 numbers and a symmetric covariance of 3 rows of 3")
        if np.linalg.eigvalsh(look.covariance).min() < -1e-3 or not -1 <= look.mean[0] <= 101:
            raise ValueError(f"{where} is no look: a lightness beyond 0 to 100, or a covariance that is negative")
        return look


def to_lab(image: np.ndarray) -> np.ndarray:
    """Converts sRGB, uint8 (h, w, 3), to CIELAB under D65, float32 (h, w, 3)."""
    return cv2.cvtColor(image.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Converts CIELAB under D65, float32 (h, w, 3), to sRGB, uint8 (h, w, 3); what is beyond the gamut is clipped."""
    rgb = cv2.cvtColor(lab.astype(np.float32, copy=False), cv2.COLOR_LAB2RGB)
    return np.round(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def look_of_ground(image: np.ndarray, alpha: np.ndarray) -> Look | None:
    """Measures the look of a photo's ground.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      The look, or None where hardly any ground is seen.
    """
    scale = min(1.0, (_SAMPLES / alpha.size) ** 0.5)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    reach = 2 * max(1, round(_NEAR * max(alpha.shape))) + 1
    near = cv2.dilate((alpha > 5).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    ground = to_lab(image)[~near].astype(np.float64)
    if len(ground) < _LEAST:
        return None
    return Look(ground.mean(axis=0), np.cov(ground.T))


def mean_look(looks: Sequence[Look]) -> Look:
    """Returns the typical look: the median of the means, the mean of the covariances.

    Photos that differ from each other do not widen it: it is what one photo of the category should be like.

    Args:
      looks: at least one.
    """
    return Look(np.median([look.mean for look in looks], axis=0), np.mean([look.covariance for look in looks], axis=0))


def transfer_matrix(source: np.ndarray, target: np.ndarray, method: str = MONGE_KANTOROVICH) -> np.ndarray:
    """Returns the matrix that gives colours of one covariance the other one, within bounds of contrast.

    Args:
      source, target: covariances, float (3, 3).
      method: of ``TRANSFERS``.

    Raises:
      ValueError: an unknown method.
    """
    source, target = source + _FLOOR * np.eye(3), target + _FLOOR * np.eye(3)
    if method == REINHARD:
        return np.diag(np.clip(np.sqrt(np.diag(target) / np.diag(source)), *_CONTRAST))
    if method != MONGE_KANTOROVICH:
        raise ValueError(f"colour transfer {method!r} is unknown; it has to be one of {', '.join(TRANSFERS)}")
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    matrix = inverse @ _power(root @ target @ root, 0.5) @ inverse
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.clip(values, *_CONTRAST)) @ vectors.T


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Returns a power of a symmetric matrix of positive eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-9) ** exponent) @ vectors.T


@dataclasses.dataclass(frozen=True, eq=False)
class Transfer:
    """A map of colours: ``target + matrix (colour - source)`` in CIELAB.

    Attributes:
      matrix: float (3, 3).
      source, target: means, float (3,).
    """

    matrix: np.ndarray
    source: np.ndarray
    target: np.ndarray

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Maps all of a picture, uint8 (h, w, 3), sRGB."""
        lab = to_lab(image)
        offset = self.target - self.matrix @ self.source
        return from_lab(cv2.transform(lab, np.column_stack([self.matrix, offset])))

    def weakened(self, share: float) -> Transfer:
        """Returns the map that goes a share, 0..1, of the way from leaving colours alone to this map."""
        eye = np.eye(3)
        matrix = eye + share * (self.matrix - eye)
        offset = share * (self.target - self.matrix @ self.source)
        return Transfer(matrix, np.zeros(3), offset)


def ground_transfer(source: Look, reference: Look, method: str) -> Transfer:
    """Returns the map from a photo's ground to the reference."""
    return Transfer(transfer_matrix(source.covariance, reference.covariance, method), source.mean, reference.mean)


def protecting_share(transfer: Transfer, foreground: np.ndarray, alpha: np.ndarray) -> float:
    """Returns how much of a map the product can bear, 0..1.

    Args:
      transfer: of the ground.
      foreground: product colours, uint8 (h, w, 3).
      alpha: uint8 (h, w).
    """
    step = max(1, round((alpha.size / _SAMPLES) ** 0.5))
    small, weight = np.ascontiguousarray(foreground[::step, ::step]), np.ascontiguousarray(alpha[::step, ::step])
    stretch = float(np.abs(np.linalg.eigvals(transfer.matrix) - 1).max())
    share = min(1.0, _PRODUCT_CONTRAST / max(stretch, 1e-6))
    for _ in range(3):  # the shift is nearly in proportion to the share
        shift = mean_colour_shift(small, transfer.weakened(share).apply(small), weight)
        if shift <= _PRODUCT_SHIFT:
            return share
        share *= 0.95 * _PRODUCT_SHIFT / shift
    return share


def match_look(
    image: np.ndarray, foreground: np.ndarray, alpha: np.ndarray, reference: Look, method: str = MONGE_KANTOROVICH
) -> tuple[np.ndarray, np.ndarray] | None:
    """Brings a photo's ground to a reference, and its product as far along as its colours allow.

    Args:
      image: the photo, uint8 (h, w, 3), sRGB.
      foreground: product colours without the ground's, uint8 (h, w, 3).
      alpha: uint8 (h, w), 0 ground to 255 product.
      reference: the look.
      method: of ``TRANSFERS``.

    Returns:
      Photo and product colours of the new look; None where too little ground is seen to tell what it looks like.
    """
    own = look_of_ground(image, alpha)
    if own is None:
        return None
    transfer = ground_transfer(own, reference, method)
    product = transfer.weakened(protecting_share(transfer, foreground, alpha))
    share = cv2.merge([alpha, alpha, alpha]).astype(np.float32) * np.float32(1 / 255)
    kept = product.apply(image).astype(np.float32)
    matched = kept * share + transfer.apply(image).astype(np.float32) * (1 - share)
    return np.round(matched).astype(np.uint8), product.apply(foreground)


def match_photo(photo: Any, looks: Mapping[str, Look], method: str, category_column: str) -> Any:
    """Returns the photo record with the look of its category, or of every category where its own has none.

    Args:
      photo: after normalisation.
      looks: by category; ``EVERY_CATEGORY`` stands for all others.
      method: of ``TRANSFERS``.
      category_column: the attribute that names the category.
    """
    reference = looks.get(str(photo.attributes.get(category_column)), looks.get(EVERY_CATEGORY))
    if reference is None:
        return photo
    matched = match_look(photo.image, photo.foreground, photo.alpha, reference, method)
    if matched is None:
        return photo
    image, foreground = matched
    shift = mean_colour_shift(photo.foreground, foreground, photo.alpha)
    return photo.replace(
        image=image,
        foreground=foreground,
        colour_shift=photo.colour_shift + shift,
        colour_method=f"{photo.colour_method}+{method}",
    )


class MatchLook(PhotoStage):
    """Brings every photo to the look of its category.

    Args:
      looks: by category; see ``match_photo``.
      method: of ``TRANSFERS``.
      category_column: the attribute that names the category.
    """

    def __init__(self, looks: Mapping[str, Look], method: str, category_column: str):
        function = functools.partial(match_photo, looks=dict(looks), method=method, category_column=category_column)
        super().__init__("match", function)
