"""A small catalogue with masks, in the form that training reads."""

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def draw(rng, size=(96, 80)):
    height, width = size
    image = np.full((height, width, 3), rng.integers(150, 230, 3), np.float32)
    mask = np.zeros((height, width), np.uint8)
    centre = (int(width * rng.uniform(0.42, 0.58)), int(height * rng.uniform(0.42, 0.58)))
    cv2.ellipse(mask, centre, (width // 4, height // 4), float(rng.uniform(0, 90)), 0, 360, 255, -1)
    image[mask > 0] = rng.integers(0, 110, 3)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8), mask


def png(picture):
    return cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)[1].tobytes()


def write(folder, photos=12):
    rng = np.random.default_rng(5)
    rows, masks, products = [], [], []
    for i in range(photos):
        image, mask = draw(rng)
        split = "validation" if i == 0 else "train"
        rows.append({"id": f"p{i}", "seller": f"s{i % 6}", "category": "hat", "split": split, "image": png(image)})
        if i % 2:
            masks.append({"id": f"p{i}", "mask": png(mask), "doubtful": i == 3, "seller_seen": True})
        clean = np.where(mask[..., None] > 0, image, 255).astype(np.uint8)
        products.append({"id": f"c{i}", "source": f"shop{i % 3}", "kind": "white_ground", "image": png(clean)})
    (folder / "clothing").mkdir(parents=True)
    (folder / "products").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "clothing" / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(products), folder / "products" / "part-0.parquet")
    pq.write_table(pa.Table.from_pylist(masks), folder / "masks.parquet")
    return folder
