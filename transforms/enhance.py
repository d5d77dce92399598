"""Mends what a photo shows to be wrong: noise, softness, darkness. Each step is asked for, acts only where a
measurement says that it is needed, and is recorded by name.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import cv2
import numpy as np

from transforms.colour import decode_srgb8, linear_to_srgb
from transforms.matte import is_meaningful
from transforms.stage import PhotoStage

STEPS = ("denoise", "sharpen", "exposure")
_LAPLACIAN_DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_SHARPEST = 0.75  # variance in square pixels that the pixels themselves and the measurement give a perfect edge
_REBLUR = 1.0  # sigma in pixels by which a picture is blurred again to measure its own blur


@dataclasses.dataclass(frozen=True)
class EnhanceLimits:
    """When a step acts, and how far it may go.

    Chosen on photos with hand masks of split ``train``, spoilt in known ways; docs/ENHANCEMENT.md has the figures on
    others.

    Attributes:
      noise: standard deviation of the luma, in 8-bit code values, from which a product is denoised; below, a JPEG's own
        grain and a cloth's weave are as strong. Of 24 photos as they are none measured above 1.
      most_noise: strength of denoising is bounded at this deviation.
      denoised: share of the denoised picture in the result. The weave that denoising takes away and the noise that it
        leaves are unlike, so a mixture is safer than either: of 14 photos of noise 8 the denoised picture alone was
        worse than the noisy one once, and this mixture never.
      blur: standard deviation of the edges' blur in pixels from which a product is sharpened. It measures .9 on photos
        blurred by 1.5 pixels and saved as JPEG, and at most .7 on the 24 as they are.
      most_blur: beyond it there is nothing left to sharpen.
      sharpening: amount of unsharp masking at ``most_blur``; 2.4 gains twice as much as 1.2 and made none of the 24
        worse, blurred by 1 to 3 pixels.
      overshoot: how far, in code values, sharpening may go beyond the darkest and lightest neighbour: no halos.
      dim: linear light of the strongest channel, 0..1, below which the brightest half per cent of a whole frame has to
        lie for the photo to count as too dark; a dark product on a light ground never does.
      lifted: what that brightest light is raised to.
      most_lift: largest factor.
    """

    noise: float = 3.0
    most_noise: float = 15.0
    denoised: float = 0.7
    blur: float = 0.9
    most_blur: float = 4.0
    sharpening: float = 2.4
    overshoot: float = 6.0
    dim: float = 0.32
    lifted: float = 0.5
    most_lift: float = 3.0


def estimate_noise(image: np.ndarray, alpha: np.ndarray) -> float:
    """Estimates the noise of a product from its plainest parts.

    Immerkær, "Fast Noise Variance Estimation" (CVIU 1996), as the 20th percentile over blocks of 8 x 8 pixels, so that
    weave and prints do not count as noise.

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      Standard deviation of the luma in 8-bit code values; 0 where the product is too small to tell.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    response = np.abs(cv2.filter2D(luma, -1, _LAPLACIAN_DIFFERENCE))
    height, width = (side // 8 * 8 for side in alpha.shape)
    blocks = response[:height, :width].reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))
    inside = cv2.erode(alpha, np.ones((5, 5), np.uint8))[:height, :width].reshape(height // 8, 8, width // 8, 8)
    unclipped = luma[:height, :width].reshape(height // 8, 8, width // 8, 8).max(axis=(1, 3)) < 250
    blocks = blocks[(inside.min(axis=(1, 3)) > 250) & unclipped]
    if len(blocks) < 10:
        return 0.0
    return float(np.sqrt(np.pi / 2) / 6 * np.percentile(blocks, 20))


def estimate_blur(image: np.ndarray, alpha: np.ndarray) -> float:
    """Estimates how blurred a product's strongest edges are.

    An edge blurred by sigma loses, blurred again by 1, the share 1 - sigma / sqrt(sigma^2 + 1) of its gradient: Zhuo
    and Sim, "Defocus Map Estimation from a Single Image" (Pattern Recognition 2011).

    Args:
      image: uint8 (h, w, 3), sRGB.
      alpha: uint8 (h, w), 0 ground to 255 product.

    Returns:
      Standard deviation in pixels that a quarter of its edges are below; 0 where there are too few edges to tell.
    """
    luma = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.5)
    gradient, again = _gradient(luma), _gradient(cv2.GaussianBlur(luma, (0, 0), _REBLUR))
    edges = (alpha > 127) & (gradient > 4) & (gradient >= cv2.dilate(gradient, np.ones((3, 3), np.uint8)))
    if edges.sum() < 30:
        return 0.0
    ratio = np.maximum(gradient[edges] / np.maximum(again[edges], 1e-3), 1.01)
    variance = float(np.percentile(_REBLUR**2 / (ratio**2 - 1), 25))
    return max(0.0, variance - _SHARPEST) ** 0.5


def _gradient(luma: np.ndarray) -> np.ndarray:
    return cv2.magnitude(cv2.Sobel(luma, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(luma, cv2.CV_32F, 0, 1, scale=0.125))


def denoise(image: np.ndarray, noise: float, limits: EnhanceLimits | None = None) -> np.ndarray:
    """Takes noise out by non-local means (Buades, Coll and Morel, CVPR 2005), and gives some of it back.

    Args:
      image: uint8 (h, w, 3), sRGB.
      noise: its standard deviation in code values.
      limits: how far to go.

    Returns:
      uint8 (h, w, 3).
    """
    limits = limits or EnhanceLimits()
    noise = min(noise, limits.most_noise)
    # not OpenCV's own function for colours: its 8-bit CIELAB changes saturated reds and blues by more than noise does
    luma, *chroma = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
    luma = cv2.fastNlMeansDenoising(luma, None, 0.8 * noise, 5, 15)
    smooth = cv2.merge([luma, *cv2.split(cv2.fastNlMeansDenoising(cv2.merge(chroma), None, 1.2 * noise, 5, 15))])
    smooth = cv2.cvtColor(smooth, cv2.COLOR_YCrCb2RGB)
    return np.asarray(cv2.addWeighted(smooth, limits.denoised, image, 1 - limits.denoised, 0))


def sharpen(image: np.ndarray, blur: float, limits: EnhanceLimits | None = None) -> np.ndarray:
    """Sharpens by unsharp masking of the luma, without halos.

    Args:
      image: uint8 (h, w, 3), sRGB.
      blur: standard deviation of its edges' blur in pixels.
      limits: how far to go.

    Returns:
      uint8 (h, w, 3); no luma further than ``overshoot`` from those around it.
    """
    limits = limits or EnhanceLimits()
    strength = limits.sharpening * np.clip(blur / limits.most_blur, 0, 1)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharper = luma + strength * (luma - cv2.GaussianBlur(luma, (0, 0), blur))
    reach = np.ones((2 * round(blur) + 1,) * 2, np.uint8)
    sharper = np.clip(sharper, cv2.erode(luma, reach) - limits.overshoot, cv2.dilate(luma, reach) + limits.overshoot)
    change = cv2.merge([sharper - luma] * 3)
    return np.asarray(cv2.add(image, change, dtype=cv2.CV_8U))


def exposure_lift(image: np.ndarray, limits: EnhanceLimits | None = None) -> float:
    """Finds the factor, in linear light, by which a photo is too dark.

    Args:
      image: the whole frame, uint8 (h, w, 3), sRGB.
      limits: when a photo counts as too dark.

    Returns:
      1 for a photo that has any fair light in it, else up to ``most_lift``.
    """
    limits = limits or EnhanceLimits()
    scale = min(1.0, 200 / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    brightest = float(np.percentile(decode_srgb8(small).max(axis=-1), 99.5))
    if brightest >= limits.dim:
        return 1.0
    return round(min(limits.most_lift, limits.lifted / max(brightest, 1e-3)), 3)


def lift(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies linear light by a factor, with a shoulder that lets highlights come near to white but not clip.

    Args:
      image: uint8 (h, w, 3), sRGB.
      factor: 1 or more.

    Returns:
      uint8 (h, w, 3): x to f x / (1 + (f - 1) x), the simplest curve of slope f at black that keeps white.
    """
    codes = decode_srgb8(np.arange(256, dtype=np.uint8))
    curve = linear_to_srgb(factor * codes / (1 + (factor - 1) * codes))
    return np.asarray(cv2.LUT(image, np.round(255 * curve).astype(np.uint8)))


def enhance_photo(photo: Any, steps: tuple[str, ...], limits: EnhanceLimits | None = None) -> Any:
    """Returns the photo with the wanted steps done where they are needed, and named in ``enhancements``.

    Args:
      photo: with ``image``, ``foreground`` (None where there is no product), ``alpha`` and ``source_alpha``.
      steps: of ``STEPS``; they are always done in that order.
      limits: when a step acts.
    """
    limits = limits or EnhanceLimits()
    image, foreground, done = photo.image, photo.foreground, []
    # a cut-out file has no ground to tell by how much light there was
    if "exposure" in steps and not is_meaningful(photo.source_alpha) and (factor := exposure_lift(image, limits)) > 1:
        image = lift(image, factor)
        foreground = None if foreground is None else lift(foreground, factor)
        done.append("exposure")
    if foreground is not None:
        foreground, mended = _mend_product(foreground, photo.alpha, steps, limits)
        done += mended
    if not done:
        return photo
    return photo.replace(image=image, foreground=foreground, enhancements=(*photo.enhancements, *done))


def _mend_product(
    foreground: np.ndarray, alpha: np.ndarray, steps: tuple[str, ...], limits: EnhanceLimits
) -> tuple[np.ndarray, list[str]]:
    done = []
    x, y, width, height = cv2.boundingRect(alpha)  # what lies around the product is never shown
    shown = np.s_[y : y + height, x : x + width]
    if "denoise" in steps and (noise := estimate_noise(foreground, alpha)) >= limits.noise:
        foreground = _replaced(foreground, shown, denoise(np.ascontiguousarray(foreground[shown]), noise, limits))
        done.append("denoise")
    if "sharpen" in steps and limits.blur <= (blur := estimate_blur(foreground, alpha)) <= limits.most_blur:
        foreground = _replaced(foreground, shown, sharpen(np.ascontiguousarray(foreground[shown]), blur, limits))
        done.append("sharpen")
    return foreground, done


def _replaced(image: np.ndarray, region: tuple[slice, slice], part: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[region] = part
    return image


class EnhancePhotos(PhotoStage):
    """Enhances every photo that needs it; photos in, photos out.

    Args:
      steps: of ``STEPS``; none of them leaves every photo as it is.
    """

    def __init__(self, steps: tuple[str, ...]):
        super().__init__("enhance", functools.partial(enhance_photo, steps=steps))
