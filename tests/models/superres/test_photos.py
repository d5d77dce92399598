import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.articles import SPLITS, ArticleSource
from models.superres.photos import Photos, read_photos


def test_photos_are_parted_by_seller_and_what_cannot_be_used_is_counted(tmp_path, capsys):
    rows = []
    for number in range(40):
        side = 24 if number == 3 else 40
        content = cv2.imencode(".png", np.full((side, side + 8, 3), number, np.uint8))[1].tobytes()
        broken = b"no photo" if number == 4 else content
        rows.append({"id": f"p{number}", "seller": f"s{number // 2}", "category": "hat", "image": broken})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "photos.parquet")
    found = read_photos(ArticleSource(str(tmp_path / "photos.parquet"), fit="crop", size=32), SPLITS)
    assert "2 photos are broken or smaller than 32 pixels" in capsys.readouterr().out
    assert sum(len(photos) for photos in found.values()) == 38 and all(len(photos) for photos in found.values())
    sellers = [set(photos.groups) for photos in found.values()]
    assert not sellers[0] & sellers[1] and not sellers[1] & sellers[2] and not sellers[0] & sellers[2]
    one = found["train"]
    assert one.images.shape == (len(one), 32, 32, 3)
    np.testing.assert_array_equal(one.images[:, 5, 5, 0], [int(id[1:]) for id in one.ids])


def test_a_selection_is_spread_over_all():
    photos = Photos(tuple("abcdefg"), tuple("1112233"), np.arange(7)[:, None, None, None] * np.ones((1, 2, 2, 3)))
    few = photos.spread(3)
    assert few.ids == ("a", "d", "g") and few.groups == ("1", "2", "3") and few.images[:, 0, 0, 0].tolist() == [0, 3, 6]
    assert len(photos.spread(99)) == 7
