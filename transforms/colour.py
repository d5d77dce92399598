"""Colour spaces and colour differences, vectorised: sRGB, linear light, CIELAB and CIEDE2000.

Sources: IEC 61966-2-1 (sRGB); CIE 15 (CIELAB, here for D65); Sharma, Wu and Dalal, "The CIEDE2000
Color-Difference Formula: Implementation Notes, Supplementary Test Data, and Mathematical Observations"
(Color Research and Application 2005).
"""

from __future__ import annotations

import numpy as np

# linear sRGB to XYZ under D65; the white point is the sum of the columns: white is exactly a* = b* = 0
_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)
LUMINANCE = _RGB_TO_XYZ[1] / _WHITE[1]  # weights of linear R, G, B in luminance
LUMINANCE.flags.writeable = False


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Decodes sRGB.

    Args:
      srgb: code values, float 0..1, of any shape; integers are a mistake, divide them by 255 first.

    Returns:
      Linear light, float 0..1, of the same shape.

    Raises:
      TypeError: integer code values.
    """
    srgb = np.asarray(srgb)
    if not np.issubdtype(srgb.dtype, np.floating):
        raise TypeError(f"srgb is of type {srgb.dtype}; it has to be floating point, 0 to 1")
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Encodes linear light, clipped to 0..1, as sRGB code values 0..1; the inverse of ``srgb_to_linear``."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


_DECODED = srgb_to_linear(np.arange(256) / 255)
_DECODED.flags.writeable = False


def decode_srgb8(image: np.ndarray) -> np.ndarray:
    """Decodes 8-bit sRGB to linear light, float64 0..1, of the same shape."""
    return _DECODED[image]


def linear_to_lab(linear: np.ndarray) -> np.ndarray:
    """Converts linear sRGB to CIELAB under D65.

    Args:
      linear: float (..., 3), 0..1; values beyond are allowed.

    Returns:
      float64 (..., 3): L* 0..100, a*, b*.
    """
    ratio = np.asarray(linear, np.float64) @ (_RGB_TO_XYZ / _WHITE[:, None]).T
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def srgb8_to_lab(image: np.ndarray) -> np.ndarray:
    """Converts 8-bit sRGB, uint8 (..., 3), to CIELAB under D65, float64 (..., 3)."""
    return linear_to_lab(decode_srgb8(image))


def ciede2000(lab1: np.ndarray, lab2: np.ndarray) -> np.ndarray:
    """Colour difference CIEDE2000 with the parametric factors 1.

    Args:
      lab1, lab2: CIELAB colours, float (..., 3), shapes that broadcast.

    Returns:
      float64 (...): the difference; 1 is about the least that people see side by side.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(lab1, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(lab2, np.float64), -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * _chroma_weight(mean_chroma)
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360

    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = np.where(turn > 180, turn - 360, np.where(turn < -180, turn + 360, turn))
    turn = np.where(grey, 0, turn)
    d_lightness, d_chroma = l2 - l1, c2 - c1
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)

    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = h1 + h2
    apart = np.abs(h1 - h2) > 180
    hue = np.where(apart, np.where(hue < 360, hue + 360, hue - 360), hue) / 2
    hue = np.where(grey, h1 + h2, hue)
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    s_lightness = 1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)
    s_chroma = 1 + 0.045 * chroma
    s_hue = 1 + 0.015 * chroma * t
    rotation = -2 * _chroma_weight(chroma) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    x, y, z = d_lightness / s_lightness, d_chroma / s_chroma, d_hue / s_hue
    return np.sqrt(np.maximum(x * x + y * y + z * z + rotation * y * z, 0))


def _chroma_weight(chroma: np.ndarray) -> np.ndarray:
    seventh = chroma**7
    return np.sqrt(seventh / (seventh + 25.0**7))
