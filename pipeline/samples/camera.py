"""From linear light to a file: exposure, colour cast, lens, sensor noise, processing, formats, EXIF."""

from __future__ import annotations

import dataclasses
import io

import cv2
import numpy as np
from PIL import Image

from pipeline.samples import lettering

ORIENTATION_TAG = 0x0112
# Share of each kind of file; the rest are JPEG photos from a phone.
FORMATS = {
    "png": 0.05, "webp": 0.05, "tiff": 0.02, "bmp": 0.02, "gif": 0.015, "grey_jpeg": 0.015, "cmyk_jpeg": 0.015,
    "alpha_png": 0.015, "deep_png": 0.015,
}  # fmt: skip
EXTENSIONS = {
    "jpeg": "jpg", "grey_jpeg": "jpg", "cmyk_jpeg": "jpg", "png": "png", "alpha_png": "png", "deep_png": "png",
    "webp": "webp", "tiff": "tif", "bmp": "bmp", "gif": "gif",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Photo:
    """A developed photo, upright.

    Attributes:
      image: sRGB, float32 (h, w, 3), 0..1.
      alpha: coverage by the product, float32 (h, w), 0..1.
      product: mean linear RGB of the product as it would be without the cast, (3,), or None without one.
    """

    image: np.ndarray
    alpha: np.ndarray
    product: tuple[float, float, float] | None


def draw_illuminant(rng: np.random.Generator) -> tuple[float, float, float]:
    """Returns the cast left by white balance: linear RGB of a neutral surface, green = 1.

    Half of the photos are nearly right; the rest are warm lamps, cool shade, greenish tubes.
    """
    kind = rng.random()
    if kind < 0.45:
        warm, tint = rng.normal(0, 0.05), rng.normal(0, 0.015)
    elif kind < 0.75:
        warm, tint = rng.uniform(0.12, 0.45), rng.normal(0, 0.03)
    elif kind < 0.93:
        warm, tint = -rng.uniform(0.08, 0.26), rng.normal(0, 0.02)
    else:
        warm, tint = rng.normal(0.05, 0.08), rng.uniform(0.05, 0.12)
    return (float(np.exp(0.55 * warm - tint)), 1.0, float(np.exp(-0.85 * warm - tint)))


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Returns sRGB values 0..1 of linear ones (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def develop(
    rng: np.random.Generator,
    scene: np.ndarray,
    alpha: np.ndarray,
    size: tuple[int, int],
    illuminant: tuple[float, float, float],
) -> Photo:
    """Takes the picture.

    Args:
      rng: source of randomness.
      scene: linear RGB radiance, float32 (H, W, 3), usually larger than the photo.
      alpha: coverage by the product, float32 (H, W).
      size: width and height of the photo in pixels.
      illuminant: see ``draw_illuminant``.

    Returns:
      The photo; its alpha went through the same lens.
    """
    shrink = size[0] <= scene.shape[1]
    method = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    image = np.maximum(cv2.resize(scene, size, interpolation=method), 0)
    alpha = np.clip(cv2.resize(alpha, size, interpolation=method), 0, 1)
    kernel = _lens(rng, max(size))
    if kernel is not None:
        image = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        alpha = cv2.filter2D(alpha, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    image *= _vignette(rng, size)[..., None]
    luminance = image @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    # Meters aim at a mean, but know a white table when they see one: half of the way to the bright end.
    key = rng.uniform(0.29, 0.44) / max(1e-4, float(luminance.mean()))
    bright = rng.uniform(0.76, 1.04) / max(1e-4, float(np.percentile(luminance[::4, ::4], 97)))
    gain = min(np.sqrt(key * bright), 1.4 * bright) * np.exp(rng.normal(0, 0.12))
    image *= np.float32(gain)
    flare = rng.uniform(0.0, 0.008)
    image = image * (1 - flare) + flare * float(np.clip(image, 0, 1).mean()) * 2
    weight = float(alpha.sum())
    product = None
    if weight > 1:
        red, green, blue = (float(v) for v in (np.clip(image, 0, 1) * alpha[..., None]).sum((0, 1)) / weight)
        product = (red, green, blue)
    image *= np.array(illuminant, np.float32)
    image = image + _noise(rng, image)
    # A soft shoulder instead of hard clipping; exact below, so that the cast stays what the truth says.
    knee = 0.82
    over = np.maximum(image - knee, 0) / (1 - knee)
    image = np.where(image > knee, knee + (1 - knee) * np.tanh(over), image)
    image = to_srgb(image)
    amount = rng.uniform(0.0, 0.7)
    image = image + amount * (image - cv2.GaussianBlur(image, (0, 0), 1.0))
    return Photo(np.clip(image, 0, 1).astype(np.float32), alpha, product)


def _lens(rng: np.random.Generator, side: int) -> np.ndarray | None:
    kernel: np.ndarray
    draw, unit = rng.random(), side / 800
    if draw < 0.5:
        return None
    if draw < 0.88:  # slightly out of focus
        radius = unit * rng.uniform(0.4, 1.1)
        span = int(np.ceil(radius)) + 1
        y, x = np.mgrid[-span : span + 1, -span : span + 1]
        kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    else:  # the hand moved
        length, angle = unit * rng.uniform(1.0, 3.0), rng.uniform(0, np.pi)
        span = int(np.ceil(length)) + 1
        path = np.zeros((2 * span + 1, 2 * span + 1), np.float32)
        for t in np.linspace(-0.5, 0.5, 21):
            path[round(span + t * length * np.sin(angle)), round(span + t * length * np.cos(angle))] += 1
        kernel = np.asarray(cv2.GaussianBlur(path, (0, 0), 0.5))
    return (kernel / kernel.sum()).astype(np.float32)


def _vignette(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :]
    strength = rng.uniform(0.0, 0.5) if rng.random() < 0.85 else rng.uniform(0.5, 1.0)
    return 1 / (1 + strength * (x * x + y * y)) ** 2


def _noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Returns shot and read noise, correlated as demosaicing and noise reduction leave it."""
    shape = image.shape[:2]
    shot, read = rng.choice([0.0004, 0.0010, 0.0025]) * rng.uniform(0.5, 1.4), rng.uniform(0.0004, 0.0025)
    deviation = np.sqrt(shot * np.maximum(image, 0) + read * read).astype(np.float32)
    fine = rng.standard_normal(shape, dtype=np.float32)
    fine[:] = cv2.GaussianBlur(fine, (3, 3), 0.55) * 1.5
    half = (shape[0] // 2 + 1, shape[1] // 2 + 1, 3)
    grain = cv2.GaussianBlur(rng.standard_normal(half, dtype=np.float32), (0, 0), 0.8) * 2.0
    chroma = cv2.resize(grain, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return deviation * (0.75 * fine[..., None] + 0.45 * chroma)


def rotated_for(image: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the pixels as stored by a camera whose EXIF orientation makes them upright again.

    Args:
      image: upright, (h, w) or (h, w, c).
      orientation: 1 to 8.
    """
    stored = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]  # fmt: skip
    return np.ascontiguousarray(stored(image))


def _exif(rng: np.random.Generator, orientation: int) -> bytes:
    """Returns an EXIF block: orientation, and in some files an invented camera, a time, a place."""
    exif = Image.Exif()
    if orientation != 1 or rng.random() < 0.5:
        exif[ORIENTATION_TAG] = orientation
    if rng.random() < 0.6:
        exif[0x010F] = lettering.word(rng, 2).title()
        exif[0x0110] = f"{lettering.word(rng, 1).upper()}-{rng.integers(2, 90)}"
        day, time = (rng.integers(1, 13), rng.integers(1, 29)), (rng.integers(7, 22), rng.integers(60))
        exif[0x0132] = "2024:{:02d}:{:02d} {:02d}:{:02d}:00".format(*day, *time)
    if rng.random() < 0.2:
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2] = "N", (float(rng.integers(1, 60)), float(rng.integers(60)), 0.0)
        gps[3], gps[4] = "E", (float(rng.integers(1, 120)), float(rng.integers(60)), 0.0)
    return exif.tobytes() if len(exif) else b""


def encode(rng: np.random.Generator, photo: Photo, kind: str, orientation: int) -> bytes:
    """Returns a photo as a file.

    Args:
      rng: source of randomness for quality and EXIF.
      photo: upright.
      kind: a key of ``EXTENSIONS``.
      orientation: EXIF orientation 1 to 8; other than 1 for ``jpeg`` alone.

    Raises:
      ValueError: the kind cannot carry the orientation.
    """
    if orientation != 1 and kind != "jpeg":
        raise ValueError(f"orientation is {orientation!r} for a {kind!r} file; only 'jpeg' is written with one")
    stored = rotated_for(photo.image, orientation)
    dither = rng.random(stored.shape[:2], dtype=np.float32)[..., None] - 0.5
    pixels = np.clip(stored * 255 + 0.5 + 0.5 * dither, 0, 255).astype(np.uint8)
    if kind == "deep_png":
        deep = np.clip(stored * 65535 + 0.5, 0, 65535).astype(np.uint16)
        return cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    picture = Image.fromarray(pixels)
    options: dict = {}
    if kind.endswith("jpeg"):
        if kind == "grey_jpeg":
            picture = picture.convert("L")
        elif kind == "cmyk_jpeg":
            picture = picture.convert("CMYK")
        options = {
            "quality": int(rng.integers(60, 96)),
            "optimize": bool(rng.random() < 0.3),
            "progressive": bool(rng.random() < 0.15),
        }
        if kind == "jpeg":
            options["subsampling"] = int(rng.choice([0, 2, 2, 2]))
            if exif := _exif(rng, orientation):
                options["exif"] = exif
    elif kind == "alpha_png":
        picture.putalpha(Image.fromarray(np.round(photo.alpha * 255).astype(np.uint8)))
    elif kind == "webp":
        options = {"quality": int(rng.integers(60, 96)), "method": 2}
    elif kind == "tiff":
        options = {"compression": "tiff_lzw"}
    elif kind == "gif":
        picture = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    if kind in ("png", "alpha_png"):
        options["compress_level"] = 4
    buffer = io.BytesIO()
    name = {"tif": "TIFF", "jpg": "JPEG"}.get(EXTENSIONS[kind], EXTENSIONS[kind].upper())
    picture.save(buffer, format=name, **options)
    return buffer.getvalue()
