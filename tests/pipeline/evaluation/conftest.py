"""A small catalogue with masks, clean product shots, and what is made of them."""

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def png(picture):
    """Returns a picture, RGB, RGBA or grey, as a PNG file."""
    order = {2: lambda p: p, 3: lambda p: p[..., [2, 1, 0]], 4: lambda p: p[..., [2, 1, 0, 3]]}
    channels = 2 if picture.ndim == 2 else picture.shape[2]
    return cv2.imencode(".png", np.ascontiguousarray(order[channels](picture)))[1].tobytes()


def garment(index, shape=(180, 140)):
    """Returns a photo of a blue ellipse on a grainy floor, and its mask."""
    rng = np.random.default_rng(index)
    image = np.full((*shape, 3), (210, 205, 200), np.float32) + rng.normal(0, 2, (*shape, 3))
    mask = np.zeros(shape, np.uint8)
    cv2.ellipse(mask, (shape[1] // 2 + 12, shape[0] // 2 + 25), (30, 45), 15 * index, 0, 360, 255, -1)
    image[mask > 0] = (30, 40, 120)
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture
def data(tmp_path):
    photos, masks = [], []
    for i in range(5):
        image, mask = garment(i)
        photos.append(
            {"id": f"p{i}", "seller": f"s{i // 2}", "category": "hat" if i % 2 else "shoe", "image": png(image)}
        )
        if i:
            masks.append({"id": f"p{i}", "mask": png(mask), "seller_seen": i != 1, "doubtful": i == 2})
    (tmp_path / "photos").mkdir()
    pq.write_table(pa.Table.from_pylist(photos), tmp_path / "photos" / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(masks), tmp_path / "masks.parquet")
    return tmp_path


@pytest.fixture
def products(tmp_path):
    """Clean shots: with an alpha, on white, one that the frame cuts, one whose flood fills differ, another source."""
    y, x = np.mgrid[:200, :160]
    distance = np.hypot((y - 100) / 70, (x - 80) / 50)
    alpha = np.clip((1 - distance) * 30 + 0.5, 0, 1)
    red = np.broadcast_to(np.array([200, 30, 40]), (200, 160, 3))
    cut_out = np.dstack([red, np.round(255 * alpha)]).astype(np.uint8)
    on_white = (red * alpha[..., None] + 255 * (1 - alpha[..., None])).astype(np.uint8)
    cut_off = np.full((200, 160, 3), 255, np.uint8)
    cut_off[60:, :120] = (40, 90, 40)
    # a broad pale shadow: part of the product for a strict flood fill, of the ground for a lax one
    shadow = np.where((np.hypot((y - 110) / 88, (x - 80) / 75) < 1)[..., None], 234, 255)
    shaded = np.where(alpha[..., None] > 0.5, red, shadow).astype(np.uint8)
    rows = [
        {"id": "alpha", "source": "shop", "kind": "alpha", "image": png(cut_out)},
        {"id": "white", "source": "shop", "kind": "white_ground", "image": png(on_white)},
        {"id": "cut", "source": "shop", "kind": "white_ground", "image": png(cut_off)},
        {"id": "shaded", "source": "shop", "kind": "white_ground", "image": png(shaded)},
        {"id": "other", "source": "seen", "kind": "white_ground", "image": png(on_white)},
    ]
    (tmp_path / "products").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "products" / "part-0.parquet")
    return str(tmp_path / "products")


@pytest.fixture
def traced(tmp_path, products):
    """Masks drawn by hand on product shots: one that the rule refuses, one judged useless, one not drawn."""
    y, x = np.mgrid[:200, :160]
    mask = png(np.where(np.hypot((y - 100) / 70, (x - 80) / 50) < 1, 255, 0).astype(np.uint8))
    rows = [
        {"id": "shaded", "mask": mask, "verdict": "good"},
        {"id": "white", "mask": mask, "verdict": "reject"},
        {"id": "cut", "mask": None, "verdict": "good"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "traced.parquet")
    return str(tmp_path / "traced.parquet")
