"""ICC conversion against LittleCMS in floating point, colour by colour.

The job converts 8-bit pixels by a transform of LittleCMS that Pillow makes, through a grid of limited precision. The
reference is the same library computing in double precision on every single colour, without a grid; Pillow does not
offer that, so it is called directly.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from pipeline.evaluation.tables import markdown_table
from transforms.colour import ciede2000, linear_to_lab, srgb8_to_lab, srgb_to_linear
from transforms.icc import picture_to_srgb

# lcms2.h: formats of double precision, 8 bytes a number written as 0; flags and the intent that the job uses
_RGB_DOUBLE = (1 << 22) | (4 << 16) | (3 << 3)
_CMYK_DOUBLE = (1 << 22) | (6 << 16) | (4 << 3)
_RELATIVE_COLORIMETRIC = 1
_NO_OPTIMISATION, _BLACK_POINT_COMPENSATION = 0x0100, 0x2000
# Display P3 (SMPTE EG 432-1 with D65) and Adobe RGB (1998): x, y of red, green and blue
_D65 = (0.3127, 0.3290)
PRIMARIES = {
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "Adobe RGB": ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060)),
}
_CURVES = {"Display P3": (4, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)), "Adobe RGB": (1, (563 / 256,))}
_COLOURS = 12_000


class _Chromaticity(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double), ("luminance", ctypes.c_double)]


class _Primaries(ctypes.Structure):
    _fields_ = [("red", _Chromaticity), ("green", _Chromaticity), ("blue", _Chromaticity)]


@functools.cache
def _lcms() -> Any:
    """Loads LittleCMS: the copy that Pillow brings, else the system's.

    Raises:
      OSError: there is none.
    """
    bundled = sorted(Path(PIL.__file__).parents[1].glob("pillow.libs/liblcms2*"))
    library = ctypes.CDLL(str(bundled[0]) if bundled else "liblcms2.so.2")
    for name, result, arguments in (
        ("cmsOpenProfileFromMem", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_uint32]),
        ("cmsCreate_sRGBProfile", ctypes.c_void_p, []),
        ("cmsBuildParametricToneCurve", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p]),
        ("cmsCreateRGBProfile", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
        ("cmsSaveProfileToMem", ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
        ("cmsCreateTransform", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_uint32] * 2 + [ctypes.c_uint32] * 2),
        ("cmsDoTransform", None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32]),
        ("cmsDeleteTransform", None, [ctypes.c_void_p]),
        ("cmsCloseProfile", ctypes.c_int, [ctypes.c_void_p]),
        ("cmsFreeToneCurve", None, [ctypes.c_void_p]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def build_profile(name: str) -> bytes:
    """Returns an ICC profile made of primaries and a curve.

    Args:
      name: a key of ``PRIMARIES``.
    """
    library = _lcms()
    kind, parameters = _CURVES[name]
    curve = library.cmsBuildParametricToneCurve(None, kind, (ctypes.c_double * len(parameters))(*parameters))
    white = _Chromaticity(*_D65, 1.0)
    primaries = _Primaries(*(_Chromaticity(*xy, 1.0) for xy in PRIMARIES[name]))
    curves = (ctypes.c_void_p * 3)(curve, curve, curve)
    profile = library.cmsCreateRGBProfile(ctypes.byref(white), ctypes.byref(primaries), curves)
    size = ctypes.c_uint32(0)
    library.cmsSaveProfileToMem(profile, None, ctypes.byref(size))
    content = ctypes.create_string_buffer(size.value)
    library.cmsSaveProfileToMem(profile, content, ctypes.byref(size))
    library.cmsCloseProfile(profile)
    library.cmsFreeToneCurve(curve)
    return content.raw[: size.value]


def exact_srgb(colours: np.ndarray, profile: bytes) -> np.ndarray:
    """Converts colours to sRGB by LittleCMS in double precision, relative colorimetric with black point compensation.

    Args:
      colours: uint8 (n, 3) of an RGB profile or (n, 4) of a CMYK one, 255 for full ink.
      profile: the ICC profile.

    Returns:
      sRGB code values, float64 (n, 3), 0..1, clipped to the gamut.

    Raises:
      ValueError: the profile is none, or not for such colours.
    """
    library = _lcms()
    source = library.cmsOpenProfileFromMem(profile, len(profile))
    if not source:
        raise ValueError(f"{len(profile):,} bytes are no ICC profile")
    target = library.cmsCreate_sRGBProfile()
    inks = colours.shape[1] == 4
    flags = _NO_OPTIMISATION | _BLACK_POINT_COMPENSATION
    transform = library.cmsCreateTransform(
        source, _CMYK_DOUBLE if inks else _RGB_DOUBLE, target, _RGB_DOUBLE, _RELATIVE_COLORIMETRIC, flags
    )
    library.cmsCloseProfile(source)
    library.cmsCloseProfile(target)
    if not transform:
        raise ValueError(f"the profile is not for colours of {colours.shape[1]} channels")
    given = np.ascontiguousarray(colours * (100 / 255 if inks else 1 / 255), np.float64)
    result = np.empty((len(colours), 3), np.float64)
    library.cmsDoTransform(transform, given.ctypes.data, result.ctypes.data, len(colours))
    library.cmsDeleteTransform(transform)
    return np.clip(result, 0, 1)


def conversion_error(profile: bytes, channels: int, seed: int = 0) -> np.ndarray:
    """Returns CIEDE2000 between the job's conversion and the exact one for colours from all over the cube, (n,).

    Args:
      profile: an ICC profile.
      channels: 3 for RGB, 4 for CMYK.
      seed: of the colours.
    """
    colours = np.random.default_rng(seed).integers(0, 256, (_COLOURS, channels), dtype=np.uint8)
    picture = Image.fromarray(colours[None], "CMYK" if channels == 4 else "RGB")
    done = np.asarray(picture_to_srgb(picture, profile))[0]
    exact = linear_to_lab(srgb_to_linear(exact_srgb(colours, profile)))
    return ciede2000(srgb8_to_lab(done), exact)


def profile_table(folder: str | None) -> str:
    """Returns the table of conversion errors of built profiles and of the RGB and CMYK ones in a folder.

    Args:
      folder: of ``.icc`` and ``.icm`` files, searched with all below it; or None.

    Raises:
      FileNotFoundError: there are no profiles in the folder.
    """
    profiles = {f"{name} (built)": build_profile(name) for name in PRIMARIES}
    if folder is not None:
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".icc", ".icm"))
        if not files:
            raise FileNotFoundError(f"there are no .icc or .icm files in {folder!r}")
        profiles |= {path.name: path.read_bytes() for path in files}
    rows = []
    for name, content in profiles.items():
        channels = {b"RGB ": 3, b"CMYK": 4}.get(content[16:20])
        if channels is None:
            continue
        error = conversion_error(content, channels)
        cells = [f"{value:.3f}" for value in (error.mean(), np.percentile(error, 95), error.max())]
        rows.append([name, content[16:20].decode().strip(), *cells])
    head = ["profile", "colours", "mean dE00 (bar .5, aim .25)", "95th percentile", "largest"]
    return f"## ICC conversion against LittleCMS in double precision\n\n{markdown_table(head, rows)}"
