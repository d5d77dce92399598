"""Light: shading of relief, reflections of a window, shadows on the ground."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from pipeline.samples import noise


@dataclasses.dataclass(frozen=True)
class Light:
    """One soft source in a room.

    Attributes:
      direction: unit vector towards the source; x right, y down, z to the camera.
      softness: 0 for a bare flash, 1 for an overcast window.
      ambient: share of light that comes from everywhere, 0..1.
    """

    direction: np.ndarray
    softness: float
    ambient: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Light:
        """Returns a random source: mostly windows from the side, sometimes a lamp above or a flash."""
        kind = rng.random()
        if kind < 0.72:
            height, softness, ambient = rng.uniform(0.45, 1.0), rng.uniform(0.4, 1.0), rng.uniform(0.28, 0.55)
        elif kind < 0.9:
            height, softness, ambient = rng.uniform(0.8, 1.6), rng.uniform(0.25, 0.6), rng.uniform(0.35, 0.55)
        else:
            height, softness, ambient = rng.uniform(1.8, 3.0), rng.uniform(0.05, 0.2), rng.uniform(0.25, 0.4)
        turn = rng.uniform(-np.pi, np.pi) * 0.55 - np.pi / 2  # mostly from above the picture
        vector = np.array([np.cos(turn), np.sin(turn), height])
        return Light((vector / np.linalg.norm(vector)).astype(np.float32), float(softness), float(ambient))


def normals(relief: np.ndarray, steepest: float = 1.6) -> np.ndarray:
    """Returns unit normals of a height field in pixels, its slopes held below ``steepest``."""
    relief = relief.astype(np.float32, copy=False)
    gx = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    slope = np.sqrt(gx * gx + gy * gy) + 1e-6
    limit = steepest * np.tanh(slope / steepest) / slope
    gx, gy = gx * limit, gy * limit
    inverse = 1 / np.sqrt(gx * gx + gy * gy + 1)
    return np.stack([-gx * inverse, -gy * inverse, inverse], -1)


def cavity(relief: np.ndarray, size: float) -> np.ndarray:
    """Returns the light kept in hollows, a factor near 1; ``size`` is a hollow's radius in pixels."""
    deep = (noise.blur(relief, size) - relief) * (1 / max(1.0, size))
    return np.clip(1 - 0.9 * deep, 0.45, 1.12)


def shade(normal: np.ndarray, light: Light, *, sheen: float = 0.0, wrap: float | None = None) -> np.ndarray:
    """Returns diffuse light on a surface, 1 on one that faces the camera.

    Lambert's law with the terminator pulled round the body by the source's size, over a sky that is
    brighter above than below.

    Args:
      normal: unit normals, float32 (h, w, 3).
      light: the source.
      sheen: extra light at grazing view, as short fibres give.
      wrap: how far light reaches round, 0..1; from the source's softness by default.
    """
    wrap = 0.15 + 0.45 * light.softness if wrap is None else wrap
    facing = normal @ light.direction
    diffuse = np.maximum(0, facing + wrap) * (1 / (1 + wrap))
    flat = (light.direction[2] + wrap) / (1 + wrap)
    sky = 0.55 + 0.45 * normal[..., 2] + 0.12 * (-normal[..., 1])
    result = light.ambient * sky + (1 - light.ambient) * diffuse / max(flat, 0.25)
    if sheen:
        result += sheen * (1 - normal[..., 2]) ** 2 * 2.0
    return result


def mirror(normal: np.ndarray, light: Light, roughness: float, *, view: tuple = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Returns what a shiny surface reflects of the room: a window, the ceiling, the dark floor.

    Args:
      normal: unit normals, float32 (h, w, 3).
      light: the source; the window hangs in its direction.
      roughness: 0 for glass and glaze, 1 for worn leather.
      view: unit vector to the camera.

    Returns:
      float32 (h, w), reflected radiance before Fresnel's factor; 1 is a white wall.
    """
    if roughness >= 1:  # cloth fibres scatter all of the room
        return 0.35 + 0.25 * normal[..., 2] - 0.2 * normal[..., 1]
    eye = np.asarray(view, np.float32)
    reflected = 2 * (normal @ eye)[..., None] * normal - eye
    up = np.cross(light.direction, np.array([1, 0.2, 0], np.float32))
    up /= np.linalg.norm(up)
    side = np.cross(up, light.direction)
    facing = reflected @ light.direction
    u, v = reflected @ side, reflected @ up
    soft = 0.05 + 0.55 * roughness
    wide = 0.22 + 0.3 * light.softness
    pane = noise.smoothstep(wide + soft, wide - soft, np.abs(u)) * noise.smoothstep(
        1.25 * wide + soft, 1.25 * wide - soft, np.abs(v)
    )
    if roughness < 0.25:  # a sharp reflection shows the window's bars
        pane *= 1 - 0.7 * noise.smoothstep(0.05, 0.015, np.abs(u))
    window = pane * (facing > 0) * (3.2 / (1 + 5 * roughness))
    # A tall pane at eye level on the same side: the upright streak on bottles and mugs.
    azimuth = np.arctan2(reflected[..., 0], reflected[..., 2])
    height = -reflected[..., 1]
    aim = np.clip(1.9 * light.direction[0], -1.3, 1.3)
    for turn, strength in ((aim, 1.7), (aim - 2.1 * np.sign(aim + 1e-6), 0.5)):
        streak = noise.smoothstep(0.20 + soft, 0.20 - 0.6 * soft, np.abs(azimuth - turn))
        streak = streak * noise.smoothstep(-0.12 - soft, 0.05, height) * noise.smoothstep(0.85 + soft, 0.7, height)
        window += streak * (strength / (1 + 4 * roughness))
    room = 0.20 + 0.30 * noise.smoothstep(-0.3, 0.9, height) + 0.12 * reflected[..., 2]
    return window + room


def fresnel(normal: np.ndarray, base: np.ndarray | float, view: tuple = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Returns Schlick's reflectance of a surface with a reflectance ``base`` when seen straight on."""
    cosine = np.clip(normal @ np.asarray(view, np.float32), 0, 1)
    return base + (1 - base) * (1 - cosine) ** 5


def flat_shadow(alpha: np.ndarray, thickness: float, light: Light) -> np.ndarray:
    """Returns the shadow of something thin lying on the ground, 0 for none to 1.

    Args:
      alpha: its coverage, float32 (h, w).
      thickness: height of its rim in pixels.
      light: the source.
    """
    slant = light.direction[:2] / max(0.3, float(light.direction[2]))
    total = np.zeros_like(alpha)
    # Three heights of the rim stand for the rounded edge.
    for share, weight in ((0.35, 0.3), (0.8, 0.25), (1.5, 0.2)):
        shift = -slant * thickness * share
        transform = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
        moved = cv2.warpAffine(alpha, transform, alpha.shape[::-1])
        total += weight * noise.blur(moved, thickness * share * (0.25 + 0.75 * light.softness) + 0.8)
    contact = 0.30 * noise.blur(alpha, 0.35 * thickness + 1.0) + 0.22 * noise.blur(alpha, 1.6 * thickness + 2.0)
    return np.clip((1 - light.ambient * 0.55) * total + contact, 0, 0.93)


def falloff(rng: np.random.Generator, shape: tuple[int, int], light: Light) -> np.ndarray:
    """Returns uneven room light over the frame, a factor with mean near 1: brighter towards the source."""
    height, width = shape
    y = (np.arange(height, dtype=np.float32) / height - 0.5)[:, None] * (height / max(shape))
    x = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :] * (width / max(shape))
    slope = rng.uniform(0.05, 0.5)
    field = np.exp(slope * 1.4 * (x * light.direction[0] + y * light.direction[1]))
    if light.softness < 0.22:  # a flash lights the middle
        cx, cy = rng.normal(0, 0.12, 2)
        field = field * (0.62 + 0.62 * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / rng.uniform(0.12, 0.3))))
    cloud = noise.smooth(rng, (24, 24), 14)
    field = field * np.exp(rng.uniform(0.01, 0.09) * cv2.resize(cloud, (width, height), interpolation=cv2.INTER_CUBIC))
    return (field / field.mean()).astype(np.float32)
