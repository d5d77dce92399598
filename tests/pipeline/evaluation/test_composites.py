import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.evaluation.cases import COMPOSITES, masked_photos
from pipeline.evaluation.composites import composite_cases
from pipeline.evaluation.cutouts import hand_cut_outs, read_cut_outs
from pipeline.evaluation.grounds import real_grounds


def png(mask):
    return cv2.imencode(".png", mask)[1].tobytes()


@pytest.fixture
def photos(data):
    return list(masked_photos(str(data / "photos"), str(data / "masks.parquet")))


def test_only_products_whose_alpha_can_be_trusted_are_cut_out(products):
    found = read_cut_outs(products, ["shop"])
    assert [cut_out.id for cut_out in found] == ["alpha", "white"]
    assert "true alpha" in found[0].slices and "alpha by rule" in found[1].slices
    assert [cut_out.id for cut_out in read_cut_outs(products, ["shop"], ["alpha"])] == ["white"]


def test_traced_masks_take_the_place_of_the_rule(products, traced):
    found = {cut_out.id: cut_out for cut_out in read_cut_outs(products, ["shop"], masks=traced)}
    assert list(found) == ["alpha", "shaded"]
    assert "true alpha" in found["alpha"].slices and "alpha by hand" in found["shaded"].slices
    alpha = found["shaded"].alpha
    assert alpha[100, 80] == 255 and not alpha[:33].any()  # two rows inside of the drawn outline
    assert (alpha % 255 > 0).any() and (found["shaded"].foreground == (200, 30, 40)).all()


def test_traced_masks_of_other_photos_or_sizes_are_named(products, tmp_path):
    path = tmp_path / "masks.parquet"
    pq.write_table(pa.table({"id": ["x"], "mask": [png(np.zeros((200, 160), np.uint8))]}), path)
    with pytest.raises(ValueError, match="1 masks of .* such as 'x'"):
        read_cut_outs(products, ["shop"], masks=str(path))
    pq.write_table(pa.table({"id": ["white"], "mask": [png(np.zeros((20, 30), np.uint8))]}), path)
    with pytest.raises(ValueError, match="the mask of 'white' is 30 x 20 pixels, its photo 160 x 200"):
        read_cut_outs(products, ["shop"], masks=str(path))


def test_no_colour_under_a_cut_out_is_of_its_old_ground(products, photos):
    for cut_out in read_cut_outs(products, ["shop"]):
        under = cut_out.foreground[cut_out.alpha > 0].astype(int)
        assert np.abs(under - (200, 30, 40)).max() < 12
    for cut_out in hand_cut_outs(photos):
        assert np.abs(cut_out.foreground.astype(int) - (30, 40, 120)).max() == 0
        assert (cut_out.alpha % 255 > 0).any()  # softened


def test_sources_and_ids_that_are_not_there_are_named(products):
    with pytest.raises(ValueError, match="no source 'shp'; its sources are seen, shop"):
        read_cut_outs(products, ["shp"])
    with pytest.raises(ValueError, match="no photo 'x'"):
        read_cut_outs(products, ["shop"], ["x"])
    with pytest.raises(ValueError, match="can be trusted"):
        read_cut_outs(products, ["seen"], ["other"])


def test_composites_are_what_their_truth_says_and_always_the_same(products, photos):
    cut_outs, grounds = read_cut_outs(products, ["shop"]), real_grounds(photos)
    cases = list(composite_cases(COMPOSITES, cut_outs, grounds, count=10, seed=3))
    again = list(composite_cases(COMPOSITES, cut_outs, grounds, count=10, seed=3))
    other = list(composite_cases(COMPOSITES, cut_outs, grounds, count=1, seed=4))
    assert not np.array_equal(cases[0].image, other[0].image)
    kinds = set()
    for case, twin in zip(cases, again, strict=True):
        assert np.array_equal(case.image, twin.image) and np.array_equal(case.alpha, twin.alpha)
        kinds.add(case.slices[1])
        opaque = case.alpha == 255
        assert 0.03 < opaque.mean() < 0.8
        assert np.array_equal(case.image[opaque], case.foreground[opaque])
        assert case.soft and ((case.alpha > 5) & (case.alpha < 250)).any()
    assert kinds == {"real ground", "plain ground", "sweep", "white on white"}
    assert {case.group for case in cases} == {"alpha", "white"}


def test_products_on_white_are_pale_and_still_told_from_the_ground(products, photos):
    cases = composite_cases(COMPOSITES, read_cut_outs(products, ["shop"]), real_grounds(photos), count=20, seed=0)
    white = [case for case in cases if "white on white" in case.slices]
    assert white and all("light product" in case.slices for case in white)
    for case in white:
        inside, outside = case.image[case.alpha == 255], case.image[case.alpha == 0]
        assert np.median(inside) > 165 and np.median(outside) > 200


def test_composites_of_nothing_are_an_error(photos):
    with pytest.raises(ValueError, match="there are 0 and"):
        list(composite_cases(COMPOSITES, [], real_grounds(photos), count=1, seed=0))
