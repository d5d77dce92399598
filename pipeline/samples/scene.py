"""Arranging a scene: a product or two on, or before, a backdrop, in one light, seen by one camera."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from pipeline.samples import (
    accessories,
    backdrops,
    bottoms,
    footwear,
    hardgoods,
    noise,
    outerwear,
    outlines,
    palette,
    strapped,
    surfaces,
    tops,
)
from pipeline.samples import light as lighting
from pipeline.samples.tailor import Goods

# category: (maker, longest side in cm, weight)
LAID: dict[str, tuple[Callable[..., Goods], float, float]] = {
    "t-shirt": (tops.tee, 85, 3.2), "shirt": (tops.shirt, 90, 2.2), "jacket": (outerwear.jacket, 95, 2.0),
    "top": (strapped.tank, 62, 1.0), "dress": (strapped.dress, 100, 1.4), "trousers": (bottoms.trousers, 95, 2.6),
    "skirt": (bottoms.skirt, 60, 1.2), "hat": (accessories.beanie, 28, 0.8), "socks": (accessories.socks, 45, 0.5),
    "gloves": (accessories.gloves, 35, 0.5), "bag": (accessories.bag, 50, 1.2), "scarf": (accessories.scarf, 75, 0.5),
}  # fmt: skip
STOOD: dict[str, float] = {
    "shoes": 3.0, "mug": 1.0, "bottle": 0.9, "vase": 0.9, "bowl": 0.6, "jar": 0.6, "carton": 0.7, "book": 0.7,
        "lamp": 0.6,
    "headphones": 0.7, "cap": 0.8,
}  # fmt: skip
HANGING = ("t-shirt", "shirt", "jacket", "dress", "top")
CATEGORIES = tuple(LAID) + tuple(STOOD)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a photo shows.

    Attributes:
      category: a key of ``LAID`` or ``STOOD``.
      staging: ``laid``, ``hung`` or ``stood``.
      backdrop: a key of the matching table in ``backdrops``.
      tone: ``light`` and ``dark`` for a product on a ground like itself, else None.
      products: 0, 1 or 2.
      cut: whether the frame cuts the product.
    """

    category: str
    staging: str
    backdrop: str
    tone: str | None
    products: int
    cut: bool


@dataclasses.dataclass
class Scene:
    """Linear radiance (h, w, 3) and the product's coverage (h, w), float32."""

    radiance: np.ndarray
    alpha: np.ndarray


def draw_plan(rng: np.random.Generator, *, tone: str | None, products: int, cut: bool) -> Plan:
    """Returns a random plan, with some of it decided."""
    names = list(LAID) + list(STOOD)
    weights = np.array([LAID[name][2] for name in LAID] + list(STOOD.values()))
    category = names[rng.choice(len(names), p=weights / weights.sum())]
    staging = "stood" if category in STOOD else "laid"
    if category in HANGING and products == 1 and not cut and rng.random() < 0.25:
        staging = "hung"
    table = {"laid": backdrops.LAID, "hung": backdrops.HUNG, "stood": backdrops.STOOD}[staging]
    return Plan(category, staging, backdrops.choose(rng, table, tone), tone, products, cut)


def build(rng: np.random.Generator, plan: Plan, shape: tuple[int, int]) -> Scene:
    """Renders a plan.

    Args:
      rng: source of randomness.
      plan: what to show.
      shape: height and width in pixels.
    """
    light = lighting.Light.draw(rng)
    scene = _stood(rng, plan, shape, light) if plan.staging == "stood" else _flat(rng, plan, shape, light)
    scene.radiance *= lighting.falloff(rng, shape, light)[..., None]
    return scene


def _tilt(rng: np.random.Generator, shape: tuple[int, int], amount: float) -> np.ndarray:
    """Returns the homography of a camera held not quite parallel to the ground."""
    height, width = shape
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    narrow = amount * rng.uniform(0.0, 0.13) * width
    skew = rng.normal(0, 0.012, (4, 2)) * (width, height) * amount
    target = (
        source
        + np.array([[narrow, 0.4 * narrow], [-narrow, 0.4 * narrow], [-0.0, 0.0], [0.0, 0.0]], np.float32)
        + skew.astype(np.float32)
    )
    return cv2.getPerspectiveTransform(source, target.astype(np.float32))


def _ground(rng: np.random.Generator, plan: Plan, shape: tuple[int, int], px: float, tilt: np.ndarray):
    """Returns albedo, relief and gloss of the backdrop over the frame."""
    table = backdrops.LAID if plan.staging == "laid" else backdrops.HUNG
    ground = table[plan.backdrop][0](rng, shape, px, plan.tone)
    fields = np.dstack([ground.albedo, ground.relief])
    turn = 0.0
    if plan.staging == "laid":
        turn = rng.choice([0, 0, np.pi / 2, np.pi / 4]) + rng.normal(0, 0.12)
    fields = _turned(fields, turn, tilt)
    gloss = ground.gloss
    if plan.staging == "laid" and rng.random() < 0.3:  # a cloth or rug ends within the frame
        other = backdrops.choose(rng, backdrops.LAID, None)
        second = backdrops.LAID[other][0](rng, shape, px, None)
        lower = _turned(
            np.dstack([second.albedo, second.relief]), rng.choice([0, np.pi / 2]) + rng.normal(0, 0.1), tilt
        )
        height, width = shape
        side = rng.integers(4)
        inset = rng.uniform(0.03, 0.13)
        line = np.array(
            [
                [-0.2, inset + rng.normal(0, 0.03)],
                [0.5, inset],
                [1.2, inset + rng.normal(0, 0.03)],
                [1.2, -0.3],
                [-0.2, -0.3],
            ]
        )
        line = outlines.spline([(x, y, k != 1) for k, (x, y) in enumerate(line)], samples=40)
        line = outlines.uneven(rng, line, 0.3, 0.006)
        line = {0: line, 1: 1 - line, 2: line[:, ::-1], 3: 1 - line[:, ::-1]}[int(side)]
        beyond = outlines.fill(shape, line * (width, height))
        edge = np.exp(-np.abs(noise.blur(beyond, 0.7 * px) - 0.35) * 5) * beyond
        drop = lighting.flat_shadow(
            1 - beyond, 0.6 * px, lighting.Light(np.array([0.3, -0.5, 0.8], np.float32), 0.6, 0.5)
        )
        lower[..., :3] *= (1 - 0.8 * drop * beyond - 0.1 * edge)[..., None]
        fields = fields + (lower - fields) * beyond[..., None]
        fields[..., 3] -= 0.8 * px * noise.blur(beyond, 0.25 * px)
    return fields[..., :3], fields[..., 3], gloss


def _turned(fields: np.ndarray, turn: float, tilt: np.ndarray) -> np.ndarray:
    height, width = fields.shape[:2]
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), float(np.degrees(turn)), 1.0)
    return cv2.warpPerspective(
        fields, tilt @ matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _flat(rng: np.random.Generator, plan: Plan, shape: tuple[int, int], light: lighting.Light) -> Scene:
    height, width = shape
    maker, longest, _ = LAID[plan.category]
    fill = rng.uniform(0.74, 0.96) if not plan.cut else rng.uniform(0.95, 1.3)
    if plan.products == 2:
        fill = rng.uniform(0.5, 0.62)
    px = fill * max(shape) / longest
    tilt = _tilt(rng, shape, 0.35 if plan.staging == "hung" else 1.0)
    albedo, relief, gloss = _ground(rng, plan, shape, px, tilt)
    shade = lighting.shade(lighting.normals(relief), light) * lighting.cavity(relief, 0.8 * px)
    radiance = albedo * shade[..., None]
    if gloss > 0.015 and rng.random() < 0.7:
        radiance += (_glare(rng, shape) * gloss * rng.uniform(1, 6) * np.clip(shade, 0, 1))[..., None]
    scene = Scene(radiance, np.zeros(shape, np.float32))
    # Clothes are laid landscape when they are wider than tall, as the frame is.
    places = [(0.0, 0.0)] if plan.products == 1 else [(-0.25, rng.normal(0, 0.03)), (0.25, rng.normal(0, 0.03))]
    if plan.products == 2 and height > width:
        places = [(y, x) for x, y in places]
    for x, y in places[: plan.products]:
        goods = maker(rng, px, plan.tone)
        _lay(rng, scene, goods, plan, light, tilt, fill, (x, y), px)
    return scene


def _glare(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns the blurred reflection of a window in a varnished floor."""
    y = (np.arange(shape[0], dtype=np.float32) / shape[0] - rng.uniform(-0.05, 0.5))[:, None]
    x = (np.arange(shape[1], dtype=np.float32) / shape[1] - rng.uniform(0.0, 1.0))[None, :]
    x = x + rng.normal(0, 0.3) * y
    return np.exp(-((x / rng.uniform(0.12, 0.4)) ** 2) - (y / rng.uniform(0.2, 0.5)) ** 2)


def _lay(rng, scene: Scene, goods: Goods, plan: Plan, light, tilt, fill, place, px: float) -> None:
    """Puts goods on the scene, in place: shadow first, then the shaded product."""
    height, width = scene.alpha.shape
    h, w = goods.alpha.shape
    turn = rng.normal(0, 0.09) if plan.staging == "laid" else rng.normal(0, 0.015)
    if plan.staging == "laid" and rng.random() < 0.12:
        turn += rng.choice([-1, 1]) * np.pi / 2
    if plan.staging == "laid" and rng.random() < 0.05:
        turn += np.pi
    c, s = abs(np.cos(turn)), abs(np.sin(turn))
    across, down = w * c + h * s, w * s + h * c
    room = (fill * width, fill * height) if plan.products < 2 else (
        (fill * width * (0.8 if width >= height else 1.5)),
        (fill * height * (1.5 if width >= height else 0.8)))  # fmt: skip
    scale = float(min(room[0] / across, room[1] / down))
    centre = np.array([width * (0.5 + place[0]), height * (0.5 + place[1])])
    if plan.cut:
        side = rng.integers(4)
        push = rng.uniform(0.05, 0.2)
        gap = ((width - across * scale) / 2, (height - down * scale) / 2)
        centre += {0: (gap[0] + push * across * scale, 0), 1: (-gap[0] - push * across * scale, 0),
                   2: (0, gap[1] + push * down * scale), 3: (0, -gap[1] - push * down * scale)}[int(side)]  # fmt: skip
    else:
        slack = np.maximum(
            0, np.array([width - across * scale, height - down * scale]) / 2 - 0.02 * np.array([width, height])
        )
        centre += rng.uniform(-0.55, 0.55, 2) * slack * (1 if plan.products == 1 else 0.15)
    if plan.staging == "hung":
        centre[1] = max(centre[1], 0.5 * down * scale + 0.08 * height)
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((w / 2, h / 2), float(np.degrees(turn)), scale)
    matrix[:2, 2] += centre - (w / 2, h / 2)
    # Outside the frame's tilt only when it must stay within the frame.
    transform = tilt @ matrix
    if plan.staging == "hung":
        _hanger(rng, scene, transform @ np.array([w / 2, 0, 1.0]), px * scale, light)
    thick = goods.thickness * scale * (1.8 if plan.staging == "hung" else 1.0)
    # Only the product's surroundings change.
    corners = cv2.perspectiveTransform(np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float64), transform)[0]
    margin = 5 * thick + 8
    x0, y0 = np.clip(np.floor(corners.min(0) - margin), 0, (width - 2, height - 2)).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0) + margin), (x0 + 2, y0 + 2), (width, height)).astype(int)
    window, size = (slice(y0, y1), slice(x0, x1)), (int(x1 - x0), int(y1 - y0))
    transform = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ transform
    albedo = cv2.warpPerspective(goods.albedo, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rest = np.dstack([goods.alpha, goods.relief * scale, goods.gloss, goods.shade]).astype(np.float32)
    warped = cv2.warpPerspective(rest, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    alpha, relief, gloss, kept = (np.ascontiguousarray(warped[..., k]) for k in range(4))
    shadow = lighting.flat_shadow(alpha, thick, light)
    ground = scene.radiance[window] * (1 - shadow * (1 - alpha))[..., None]
    normal = lighting.normals(relief)
    shade = lighting.shade(normal, light, sheen=goods.sheen) * lighting.cavity(relief, 0.9 * px * scale) * kept
    colour = albedo * shade[..., None]
    reflect = gloss * (0.45 + 0.55 * (1 - normal[..., 2]) ** 2)
    rough = 0.45 if float(goods.gloss.max()) > 0.12 else 1.0
    colour += (reflect * lighting.mirror(normal, light, rough) * kept * 1.3)[..., None]
    scene.radiance[window] = ground + (colour - ground) * alpha[..., None]
    scene.alpha[window] = np.maximum(scene.alpha[window], alpha)


def _hanger(rng: np.random.Generator, scene: Scene, neck: np.ndarray, px: float, light: lighting.Light) -> None:
    """Draws the hook that a hung garment's hanger shows; it is no part of the product."""
    x, y = neck[:2] / neck[2]
    hook = [(0, 5), (0, -2.5), (1.6, -4.4), (2.2, -6.6), (0.2, -8.4), (-1.9, -7.2), (-2.0, -6.0)]
    flip = rng.choice([-1, 1])
    line = outlines.spline([(x + flip * a * px, y + b * px) for a, b in hook], closed=False)
    shape = scene.alpha.shape
    wire = outlines.stroke(shape, line, 0.35 * px)
    bar = outlines.spline(
        [
            (x - 9 * px, y + 4.5 * px),
            (x - 3 * px, y + 2.6 * px),
            (x, y + 1.2 * px),
            (x + 3 * px, y + 2.6 * px),
            (x + 9 * px, y + 4.5 * px),
        ],
        closed=False,
    )
    body = outlines.stroke(shape, bar, 1.3 * px)
    colour = palette.colour(rng, "black", "white", "camel", "silver", "charcoal")
    for mask, tint in ((body, colour), (wire, palette.linear((150, 150, 152)))):
        shadow = lighting.flat_shadow(mask, 1.2 * px, light)
        scene.radiance *= (1 - 0.8 * shadow * (1 - mask))[..., None]
        normal = lighting.normals(float(0.5 * px) * noise.blur(mask, 0.12 * px))
        shaded = tint * lighting.shade(normal, light)[..., None] + 0.12 * lighting.mirror(normal, light, 0.3)[..., None]
        scene.radiance += (shaded - scene.radiance) * mask[..., None]


def _stood(rng: np.random.Generator, plan: Plan, shape: tuple[int, int], light: lighting.Light) -> Scene:
    height, width = shape
    parts: list[surfaces.Surface] = []
    make = footwear.shoes if plan.category == "shoes" else hardgoods.MAKERS[plan.category]
    for k in range(max(1, plan.products)):
        extra = make(rng, plan.tone)
        if k:
            reach = max(float(np.ptp(p.points[..., 0])) for p in parts) * 0.5 + max(
                float(np.abs(p.points[..., 0]).max()) for p in extra
            )
            for part in extra:
                part.points = part.points + np.array((reach + 1, rng.normal(0, 2), 0), np.float32)
        parts += extra
    cloud = np.concatenate([part.points.reshape(-1, 3) for part in parts])
    low, high = cloud.min(0), cloud.max(0)
    middle, size = (low + high) / 2, float(np.linalg.norm(high - low))
    if plan.category in ("shoes", "cap", "book"):
        elevation = rng.uniform(0.65, 1.35) if plan.category != "cap" else rng.uniform(0.35, 0.9)
    else:
        elevation = rng.uniform(0.12, 0.65)
    distance = size * rng.uniform(2.2, 5)
    probe = surfaces.Camera(middle, elevation, distance, 1.0, (0, 0))
    pixel, _ = probe.project(cloud)
    span = np.ptp(pixel, axis=0)
    fill = rng.uniform(0.55, 0.86) if not plan.cut else rng.uniform(0.85, 1.1)
    focal = fill * float(min(width / span[0], height / span[1]))
    box = (pixel.min(0) + pixel.max(0)) / 2 * focal
    shift = -box
    slack = np.maximum(0, (np.array([width, height]) - span * focal) / 2 - 0.02 * min(shape))
    if plan.cut:
        axis = int(rng.integers(2))
        shift[axis] += rng.choice([-1, 1]) * (
            slack[axis] + rng.uniform(0.06, 0.2) * span[axis] * focal + 0.02 * min(shape)
        )
    else:
        shift += rng.uniform(-0.5, 0.5, 2) * slack
    camera = surfaces.Camera(middle, elevation, distance, focal, shape, (float(shift[0]), float(shift[1])))
    radiance = _stage(rng, plan, camera, light, size)
    if plan.products == 0:
        return Scene(radiance, np.zeros(shape, np.float32))
    # Painted once at twice the size: edges are then antialiased by halving.
    double = dataclasses.replace(
        camera, focal=2 * focal, shape=(2 * height, 2 * width), offset=(2 * shift[0], 2 * shift[1])
    )
    if max(shape) > 1100:
        double = camera
    picture = surfaces.render(parts, double, light)
    colour, alpha, shadow = picture.colour, picture.alpha, picture.shadow
    if double is not camera:
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
        colour = cv2.resize(colour, (width, height), interpolation=cv2.INTER_AREA)
        shadow = cv2.resize(shadow, (width, height), interpolation=cv2.INTER_AREA)
    else:
        colour, alpha = colour * alpha[..., None], alpha
    radiance *= (1 - shadow)[..., None]
    return Scene(radiance * (1 - alpha[..., None]) + colour, alpha)


def _stage(
    rng: np.random.Generator, plan: Plan, camera: surfaces.Camera, light: lighting.Light, size: float
) -> np.ndarray:
    """Returns the radiance of the table or floor and of what is behind it."""
    height, width = camera.shape
    across = 1.35 * width * camera.distance / camera.focal
    tile = (min(1300, int(1.1 * width)), min(1300, int(1.3 * width)))
    px = tile[1] / across
    ground = backdrops.STOOD[plan.backdrop][0](rng, tile, px, plan.tone)
    axes = camera.axes()
    world = axes.T @ light.direction
    floor_light = lighting.Light(
        np.array([world[0], -world[1], max(world[2], 0.3)], np.float32), light.softness, light.ambient
    )
    shade = lighting.shade(lighting.normals(ground.relief), floor_light) * lighting.cavity(
        ground.relief, max(2.0, 0.8 * px)
    )
    lit = ground.albedo * shade[..., None]
    near = camera.target[1] + 0.62 * tile[0] / px
    to_cm = np.array(
        [[1 / px, 0, camera.target[0] - tile[1] / (2 * px)], [0, -1 / px, near - 0.25 * tile[0] / px], [0, 0, 1]]
    )
    transform = camera.ground() @ to_cm
    floor = cv2.warpPerspective(
        lit, transform, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    if ground.gloss > 0.015 and rng.random() < 0.6:
        floor += (_glare(rng, camera.shape) * ground.gloss * rng.uniform(1, 4))[..., None]
    back = camera.target[1] + size * rng.uniform(0.9, 2.5)
    row = float(camera.project(np.array([[camera.target[0], back, 0]], np.float32))[0][0, 1])
    y = np.arange(height, dtype=np.float32)[:, None]
    if row > -0.1 * height:
        if plan.backdrop == "paper":  # an endless sweep: the paper curves up without an edge
            mean = lit.mean((0, 1))
            rise = noise.smoothstep(row + 0.22 * height, row - 0.12 * height, y)
            upright = mean * rng.uniform(0.78, 1.12)
        else:
            rise = np.clip(row - y + 0.5, 0, 1)
            rise = noise.blur(
                np.broadcast_to(rise, (height, width)).astype(np.float32).copy(), rng.uniform(0.0015, 0.008) * height
            )
            tone = plan.tone if plan.tone == "light" else None
            wall = backdrops.wall(rng, camera.shape, px, tone)
            upright = noise.blur(wall.albedo, 2) * rng.uniform(0.6, 1.05)
            floor *= (1 - 0.25 * np.exp(-np.maximum(y - row, 0) / (0.03 * height)))[..., None]
        gradient = (1 - 0.12 * (row - y) / height)[..., None]
        floor = floor + (upright * gradient - floor) * np.broadcast_to(rise, (height, width))[..., None]
    # What lies far behind the product is out of focus.
    far = noise.smoothstep(0.55, 0.0, y / height) * rng.uniform(0.0, 1.0)
    blurred = noise.blur(floor, 0.006 * height)
    return floor + (blurred - floor) * np.broadcast_to(far, (height, width))[..., None]
