"""A small renderer of curved surfaces: grids of points, projected, painted back to front, shaded by pixel.

World coordinates are in cm: x to the right, y away from the camera, z up; the ground is z = 0.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from pipeline.samples import light as lighting
from pipeline.samples import noise


@dataclasses.dataclass
class Surface:
    """A grid of points with a picture on it.

    Attributes:
      points: cm, float32 (rows, columns, 3); columns run around the body, rows along it.
      albedo: linear RGB stretched over the grid, float32 (h, w, 3).
      inside: linear RGB of the other side; None for a closed body whose other side never shows.
      gloss: reflectance seen straight on, 0.02 for matt paint to 0.06 for glaze, 0.6 for metal.
      roughness: 0 for glass to 1 for cloth.
      metal: whether reflections take the albedo's colour and nothing is scattered.
      relief: fine relief in cm, float32 (h, w) like ``albedo``, or None.
    """

    points: np.ndarray
    albedo: np.ndarray
    inside: np.ndarray | None = None
    gloss: float = 0.04
    roughness: float = 0.3
    metal: bool = False
    relief: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole that looks at a point from in front and above.

    Attributes:
      target: cm, (3,), shown in the middle of the frame, moved by ``offset``.
      elevation: radians above the horizon.
      distance: cm from the target.
      focal: pixels.
      shape: height and width of the frame in pixels.
      offset: of the target from the frame's middle in pixels, (x, y).
    """

    target: np.ndarray
    elevation: float
    distance: float
    focal: float
    shape: tuple[int, int]
    offset: tuple[float, float] = (0.0, 0.0)

    def axes(self) -> np.ndarray:
        """Returns the rows right, down, towards the camera in world coordinates, (3, 3)."""
        c, s = np.cos(self.elevation), np.sin(self.elevation)
        return np.array([[1, 0, 0], [0, -s, -c], [0, -c, s]], np.float32)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns pixels (..., 2) and depths (...) of world points (..., 3)."""
        local = (points - self.target.astype(np.float32)) @ self.axes().T
        depth = np.maximum(self.distance - local[..., 2], 1.0)
        scale = self.focal / depth
        x = local[..., 0] * scale + self.shape[1] / 2 + self.offset[0]
        y = local[..., 1] * scale + self.shape[0] / 2 + self.offset[1]
        return np.stack([x, y], -1), depth

    def ground(self) -> np.ndarray:
        """Returns the homography from ground (x, y) in cm to pixels, (3, 3)."""
        corners = np.array([[-20, -20], [20, -20], [20, 20], [-20, 20]], np.float32) + self.target[:2].astype(
            np.float32
        )
        world = np.concatenate([corners, np.zeros((4, 1), np.float32)], 1)
        return cv2.getPerspectiveTransform(corners, self.project(world)[0].astype(np.float32))

    def horizon(self) -> float:
        """Returns the pixel row of the horizon; negative when it is above the frame."""
        return self.shape[0] / 2 + self.offset[1] - self.focal * np.tan(self.elevation)


@dataclasses.dataclass
class Picture:
    """Rendered bodies over the frame: linear RGB (h, w, 3), coverage (h, w), shadow on the ground (h, w)."""

    colour: np.ndarray
    alpha: np.ndarray
    shadow: np.ndarray


def _normals(points: np.ndarray) -> np.ndarray:
    closed = np.allclose(points[:, 0], points[:, -1], atol=1e-4)
    grid = np.concatenate([points[:, -2:-1], points, points[:, 1:2]], 1) if closed else points
    along, around = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
    if closed:
        along, around = along[:, 1:-1], around[:, 1:-1]
    normal = np.cross(around, along)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    # At a pole the cross product vanishes: take the neighbouring row's.
    for row, other in ((0, 1), (-1, -2)):
        if length[row].max() < 1e-5:
            normal[row], length[row] = normal[other], length[other]
    return (normal / np.maximum(length, 1e-9)).astype(np.float32)


def render(surfaces: list[Surface], camera: Camera, light: lighting.Light) -> Picture:
    """Renders bodies standing on the ground.

    Args:
      surfaces: whose points are ordered so that (around x along) points outwards.
      camera: gives the frame.
      light: direction in the camera's axes.

    Returns:
      A Picture over the whole frame.
    """
    shape = camera.shape
    lists: list[list[np.ndarray]] = [[] for _ in range(6)]
    quads, depths, owners, inverses, centres, cells = lists
    for index, surface in enumerate(surfaces):
        pixel, depth = camera.project(surface.points.astype(np.float32))
        p00, p10, p11, p01 = pixel[:-1, :-1], pixel[:-1, 1:], pixel[1:, 1:], pixel[1:, :-1]
        corner = np.stack([p00, p10, p11, p01], -2).reshape(-1, 4, 2)
        d = (depth[:-1, :-1] + depth[1:, 1:] + depth[1:, :-1] + depth[:-1, 1:]).reshape(-1) / 4
        eu = ((p10 - p00) + (p11 - p01)).reshape(-1, 2) / 2
        ev = ((p01 - p00) + (p11 - p10)).reshape(-1, 2) / 2
        area = eu[:, 0] * ev[:, 1] - eu[:, 1] * ev[:, 0]
        keep = np.abs(area) > 1e-4 if surface.inside is not None else area < -1e-4
        safe = np.where(np.abs(area) < 1e-4, 1e-4, area)
        inverse = np.stack([ev[:, 1], -ev[:, 0], -eu[:, 1], eu[:, 0]], 1) / safe[:, None]
        rows, columns = np.mgrid[0 : pixel.shape[0] - 1, 0 : pixel.shape[1] - 1]
        quads.append(corner[keep])
        depths.append(d[keep])
        owners.append(np.where(area[keep] < 0, 2 * index, 2 * index + 1))
        inverses.append(inverse[keep])
        centres.append(corner[keep].mean(1))
        cells.append(np.stack([columns.ravel(), rows.ravel()], 1)[keep])
    distance = np.concatenate(depths)
    owner, inverse = np.concatenate(owners), np.concatenate(inverses).astype(np.float32)
    centre, cell = np.concatenate(centres).astype(np.float32), np.concatenate(cells)
    face = np.full(shape, -1, np.int32)
    fixed = np.round(np.concatenate(quads) * 16).astype(np.int32)
    for k in np.argsort(-distance, kind="stable"):
        cv2.fillConvexPoly(face, fixed[k], int(k), lineType=8, shift=4)
    covered = face >= 0
    colour = np.zeros((*shape, 3), np.float32)
    alpha = covered.astype(np.float32)
    ys, xs = np.nonzero(covered)
    if len(ys):
        k = face[ys, xs]
        dx, dy = xs - centre[k, 0], ys - centre[k, 1]
        u = np.clip(inverse[k, 0] * dx + inverse[k, 1] * dy + 0.5, 0, 1) + cell[k, 0]
        v = np.clip(inverse[k, 2] * dx + inverse[k, 3] * dy + 0.5, 0, 1) + cell[k, 1]
        value = np.zeros((len(ys), 3), np.float32)
        for index, surface in enumerate(surfaces):
            for back in (0, 1):
                mine = owner[k] == 2 * index + back
                if mine.any():
                    value[mine] = _shade(surface, bool(back), u[mine], v[mine], camera, light)
        colour[ys, xs] = value
    return Picture(colour, alpha, _shadow(surfaces, camera, light))


def _sample(grid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # OpenCV's remap takes no line longer than 32767: the pixels go in as a block.
    width = 4096
    rows = -(-len(x) // width)
    mx = np.zeros(rows * width, np.float32)
    my = np.zeros(rows * width, np.float32)
    mx[: len(x)], my[: len(x)] = x, y
    block = cv2.remap(
        grid, mx.reshape(rows, width), my.reshape(rows, width), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return block.reshape(rows * width, *grid.shape[2:])[: len(x)]


def _shade(surface: Surface, back: bool, u, v, camera: Camera, light: lighting.Light) -> np.ndarray:
    rows, columns = surface.points.shape[:2]
    height, width = surface.albedo.shape[:2]
    tx, ty = u * ((width - 1) / (columns - 1)), v * ((height - 1) / (rows - 1))
    normal = _sample(_normals(surface.points), u, v)
    position = _sample(surface.points.astype(np.float32), u, v)
    if surface.relief is not None and not back:
        around = np.linalg.norm(np.diff(surface.points, axis=1), axis=-1).sum(1).mean()
        along = np.linalg.norm(np.diff(surface.points, axis=0), axis=-1).sum(0).mean()
        gx = cv2.Sobel(surface.relief, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8) * (width / max(around, 1e-3))
        gy = cv2.Sobel(surface.relief, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8) * (height / max(along, 1e-3))
        tangent = np.gradient(surface.points, axis=1)
        tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-6)
        side = _sample(tangent.astype(np.float32), u, v)
        up = np.cross(normal, side)
        normal = normal - _sample(gx, tx, ty)[:, None] * side + _sample(gy, tx, ty)[:, None] * up
    axes = camera.axes()
    normal = normal @ axes.T
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    view = np.array((0, 0, 1), np.float32)
    if back:
        normal = -normal
        albedo = np.broadcast_to(np.asarray(surface.inside), (len(u), 3)).astype(np.float32)
        low, high = surface.points[..., 2].min(), surface.points[..., 2].max()
        depth = np.clip((position[:, 2] - low) / max(high - low, 1e-3), 0, 1)
        occlusion = 0.25 + 0.6 * depth**1.3
    else:
        albedo = _sample(surface.albedo, tx, ty)
        # Near the ground half of the sky is hidden by the ground and by the body itself.
        occlusion = 1 - 0.5 * np.exp(-np.maximum(position[:, 2], 0) / 1.8) * np.clip(0.9 - normal @ axes[:, 2], 0, 1)
    diffuse = lighting.shade(normal[None], light)[0] * occlusion
    shine = lighting.mirror(normal[None], light, surface.roughness)[0]
    if surface.metal:
        return (albedo * (shine * 1.15 + 0.1 * diffuse)[:, None]).astype(np.float32)
    reflect = lighting.fresnel(normal[None], surface.gloss, tuple(view))[0] * (1 - 0.75 * surface.roughness)
    if back:
        reflect = reflect * 0.4
    reflect = np.minimum(reflect, 0.6) * (0.35 + 0.65 * occlusion)
    return (albedo * (diffuse * (1 - reflect))[:, None] + (shine * reflect)[:, None]).astype(np.float32)


def _shadow(surfaces: list[Surface], camera: Camera, light: lighting.Light) -> np.ndarray:
    """Returns the bodies' shadow on the ground over the frame, 0..1, from samples of the source's area."""
    reduction = 4
    height, width = camera.shape
    small = (height // reduction + 1, width // reduction + 1)
    centre = camera.axes().T @ light.direction
    centre[2] = max(centre[2], 0.35)
    total = np.zeros(small, np.float32)
    # A fixed spiral over the source's disc: the same penumbra every time.
    count = 16
    k = np.arange(count)
    radius = np.sqrt((k + 0.5) / count) * (0.06 + 0.5 * light.softness)
    offsets = np.stack([radius * np.cos(2.4 * k), radius * np.sin(2.4 * k), 0.25 * radius * np.sin(5 * k)], 1)
    coarse = [_coarse(surface.points) for surface in surfaces]
    for offset in offsets:
        direction = centre + offset
        direction[2] = max(direction[2], 0.25)
        total += _projected(coarse, direction, camera, small, reduction)
    total *= (1 - 0.5 * light.ambient) / count
    below = _projected(coarse, np.array([0.0, 0.0, 1.0]), camera, small, reduction)
    size = float(np.sqrt(below.sum())) + 1
    ambient = 0.30 * noise.blur(below, 0.05 * size + 0.5) + 0.28 * noise.blur(below, 0.22 * size + 1)
    shadow = 1 - (1 - np.clip(noise.blur(total, 1.6), 0, 1)) * (1 - np.clip(ambient, 0, 0.6))
    return np.clip(cv2.resize(shadow, (width, height), interpolation=cv2.INTER_LINEAR), 0, 0.92)


def _coarse(points: np.ndarray) -> np.ndarray:
    rows = np.unique(np.linspace(0, points.shape[0] - 1, min(points.shape[0], 12)).astype(int))
    columns = np.unique(np.linspace(0, points.shape[1] - 1, min(points.shape[1], 17)).astype(int))
    return points[np.ix_(rows, columns)].astype(np.float32)


def _projected(
    grids: list[np.ndarray], direction, camera: Camera, small: tuple[int, int], reduction: int
) -> np.ndarray:
    mask = np.zeros(small, np.uint8)
    for points in grids:
        z = np.maximum(points[..., 2:], 0)
        ground = points - z * (direction / direction[2])
        ground[..., 2] = 0
        pixel = camera.project(ground.astype(np.float32))[0] / reduction
        corners = np.stack([pixel[:-1, :-1], pixel[:-1, 1:], pixel[1:, 1:], pixel[1:, :-1]], -2)
        for quad in np.round(corners.reshape(-1, 4, 2) * 16).astype(np.int32):
            cv2.fillConvexPoly(mask, quad, 255, lineType=8, shift=4)
    return mask.astype(np.float32) / 255


def lathe(profile: np.ndarray, segments: int = 72, squash: float = 1.0, corners: float = 2.0) -> np.ndarray:
    """Returns a body turned around the z axis.

    Args:
      profile: radius and height in cm from bottom to top, (n, 2).
      segments: around the axis.
      squash: depth as a fraction of the width.
      corners: exponent of the cross-section: 2 a circle, 8 nearly a square.

    Returns:
      float32 (n, segments + 1, 3), ordered so that its outside faces outwards.
    """
    # Seam at the back (+y), running so that (around x along) faces outwards.
    t = np.linspace(0, 2 * np.pi, segments + 1) + np.pi / 2
    c, s = np.cos(t), np.sin(t)
    norm = (np.abs(c) ** corners + np.abs(s) ** corners) ** (-1 / corners)
    r, z = profile[:, :1], profile[:, 1:]
    x, y = r * (c * norm), r * (s * norm) * squash
    return np.stack([x, y, np.broadcast_to(z, x.shape)], -1).astype(np.float32)


def tube(path: np.ndarray, radius: float | np.ndarray, segments: int = 14, flat: float = 1.0) -> np.ndarray:
    """Returns a tube along a path in cm (n, 3), of a radius in cm (or one for each point)."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    reference = np.array([0.0, 1.0, 0.02]) if np.abs(along[:, 1]).mean() < 0.8 else np.array([1.0, 0.02, 0.0])
    side = np.cross(along, reference)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    up = np.cross(along, side)
    t = np.linspace(0, 2 * np.pi, segments + 1)
    r = np.broadcast_to(np.asarray(radius, float), (len(path),))[:, None, None]
    ring = np.cos(t)[None, :, None] * side[:, None] + flat * np.sin(t)[None, :, None] * up[:, None]
    return (path[:, None] + r * ring).astype(np.float32)


def turned(points: np.ndarray, angle: float, shift: tuple = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Returns points turned about the z axis by an angle in radians, then shifted in cm."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    return (points @ matrix + np.asarray(shift)).astype(np.float32)
