"""What features are blind to: whether pictures have the detail of real ones, at each scale.

A classifier's features do not see the dots that a generator's upsampling leaves, and neither do distances between the
distributions of small patches, for such dots take the place of real detail of the same strength. The power spectrum
shows them, being regular (Durall et al., "Watch your Up-Convolution", CVPR 2020). It is compared here at each frequency
of the plane, not averaged over directions as in the paper: what upsampling leaves has directions.
"""

from __future__ import annotations

import numpy as np

BANDS = ((0.0, 0.125), (0.125, 0.25), (0.25, 0.375), (0.375, 0.5))  # cycles a pixel, by the larger of both directions
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def power_spectrum(images: np.ndarray) -> np.ndarray:
    """Returns the mean power of the luma of pictures at each frequency, under a Hann window.

    Args:
      images: uint8 (n, side, side, 3), RGB, n at least 1.

    Returns:
      float64 (side, side), as ``numpy.fft.fft2`` orders it.
    """
    side = images.shape[1]
    window = np.hanning(side)
    total = np.zeros((side, side))
    for image in images:
        luma = image @ _LUMA
        total += np.abs(np.fft.fft2((luma - luma.mean()) * window * window[:, None])) ** 2
    return total / len(images)


def spectral_distances(real: np.ndarray, generated: np.ndarray) -> tuple[float, ...]:
    """Measures how far the detail of two sets of pictures is apart, from coarse to fine.

    Args:
      real, generated: uint8 (n, side, side, 3), RGB, of the same side; numbers may differ.

    Returns:
      For each of ``BANDS`` the mean over its frequencies of |log10 of the ratio of both mean powers|: 0 for the same
      pictures, .3 where detail is of twice or half the power. Two halves of one set are not quite at 0: look at the
      floor beside it.

    Raises:
      ValueError: the pictures are of different shapes, or there are none.
    """
    if real.shape[1:] != generated.shape[1:] or not len(real) or not len(generated):
        raise ValueError(
            f"pictures of shapes {real.shape} and {generated.shape} cannot be compared; bring them to one size"
        )
    # a flat picture has no power: the smallest is that of rounding to whole levels
    least = real.shape[1] ** 2 / 12
    ours, theirs = (np.maximum(power_spectrum(images), least) for images in (real, generated))
    gaps = np.abs(np.log10(theirs / ours))
    along = np.abs(np.fft.fftfreq(real.shape[1]))
    frequency = np.maximum(along, along[:, None])
    bands = [(frequency >= low) & ((frequency < high) | (high == BANDS[-1][1])) for low, high in BANDS]
    return tuple(float(gaps[band].mean()) for band in bands)
