import dataclasses

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from models.handlers import SegmentationHandler
from models.handlers.segmentation import Segmenter
from pipeline.records import Photo, Rejection
from transforms.reasons import PhotoError
from transforms.segment import SegmentPhotos, resize_for_model, segment

SIZE = 64
POISON = 13


class Brightness:
    """A model in numpy: its mask is the red channel, its presence the first pixel's; green 13 kills it."""

    size = SIZE
    fixed_batch = True

    def predict(self, images):
        if (images[:, 0, 0, 1] == POISON).any():
            raise ValueError("poisoned")
        return images[..., 0], images[:, 0, 0, 0]


def load_brightness(spec, threads):
    return Brightness()


@pytest.fixture(scope="module")
def tflite_path(tmp_path_factory):
    from models.export import export_litert
    from models.segmentation.network import NetworkConfig, build_network

    config = NetworkConfig(size=SIZE, stem=8, widths=(8, 8, 8, 8), blocks=(1, 1, 1, 1), decoder=(8, 8, 8, 8))
    return str(export_litert(build_network(config), tmp_path_factory.mktemp("model") / "small.tflite"))


def photo(value, poisoned=False, shape=(90, 120)):
    image = np.zeros((*shape, 3), np.uint8)
    image[..., 0] = value
    image[..., 1] = POISON if poisoned else 0
    return Photo(id=f"p{value}", source_uri=f"in/p{value}.jpg", image=image)


@pytest.mark.parametrize("shape", [(300, 200), (20, 30), (20, 300), (64, 64), (64, 20), (1, 1)])
def test_the_whole_frame_becomes_the_square(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    image[: max(1, shape[0] // 2), :, 0] = 200
    resized = resize_for_model(image, SIZE)
    assert resized.shape == (SIZE, SIZE, 3) and resized.dtype == np.uint8 and resized.flags.c_contiguous
    assert (resized[..., 1] == 77).all()
    assert (resized[0, :, 0] == 200).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_colours_stay_within_their_range_and_keep_their_mean(height, width, seed):
    image = np.random.default_rng(seed).integers(60, 180, (height, width, 3), dtype=np.uint8)
    resized = resize_for_model(image, SIZE)
    assert image.min() <= resized.min() and resized.max() <= image.max()
    if height >= SIZE and width >= SIZE:
        assert np.abs(resized.mean((0, 1)) - image.mean((0, 1))).max() < 1


def test_a_fine_pattern_is_averaged_and_does_not_alias():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize_for_model(stripes, SIZE).astype(int) - 128).max() <= 1


def test_the_image_itself_is_not_resized_in_place():
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(resize_for_model(image, SIZE), image)


def test_segment_without_beam():
    result = segment(photo(51).image, Segmenter(Brightness()))
    assert (result.mask == 51).all()
    assert result.presence == 0.2
    with pytest.raises(PhotoError, match="segmentation_failed: the model failed on this photo: ValueError: poisoned"):
        segment(photo(51, poisoned=True).image, Segmenter(Brightness()))


def with_small_product(poisoned_when_enlarged=False):
    """Returns a picture with a bright rectangle that takes a sixteenth of it; green 13 is its first pixel, enlarged."""
    image = np.zeros((400, 400, 3), np.uint8)
    image[100:200, 100:200] = (255, 0, 0)
    image[:1, :1, 0] = 204
    if poisoned_when_enlarged:
        image[85:95, 85:95, 1] = POISON
    return image


class Counting(Brightness):
    """Counts the squares that it sees, and how much of each is bright."""

    def __init__(self):
        self.bright = []

    def predict(self, images):
        self.bright += [float((image[..., 0] > 127).mean()) for image in images]
        return images[..., 0], np.full(len(images), 204, np.uint8)


def test_a_small_product_is_looked_at_closer():
    model = Counting()
    model.fixed_batch = False
    result = segment(with_small_product(), Segmenter(model))
    frame, part = model.bright
    assert frame == pytest.approx(1 / 16, abs=0.01) and part == pytest.approx(1 / 1.2**2, abs=0.05)
    assert result.presence == 0.8
    assert (result.mask > 127).mean() == pytest.approx(1 / 16, abs=0.005)


def test_where_the_closer_look_fails_the_first_one_stands():
    image = with_small_product(poisoned_when_enlarged=True)
    result = segment(image, Segmenter(Brightness()))
    np.testing.assert_array_equal(result.mask, resize_for_model(image, SIZE)[..., 0])


class TestSegmentPhotos:
    @pytest.fixture
    def fake(self, tflite_path):
        return SegmentationHandler(tflite_path, batch_size=8, load=load_brightness)

    def test_photos_get_masks_and_the_bad_one_leaves(self, fake):
        photos = [photo(value, poisoned=value == 9) for value in range(16)]
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            done, rejections = pipeline | beam.Create(photos, reshuffle=False) | SegmentPhotos(fake, SIZE)
            told = done | beam.Map(
                lambda p: (p.id, int(p.coarse_mask.min()), int(p.coarse_mask.max()), p.presence, p.image.shape)
            )
            assert_that(
                told,
                equal_to([(f"p{v}", v, v, v / 255, (90, 120, 3)) for v in range(16) if v != 9]),
                label="photos",
            )
            timed = done | "Times" >> beam.Map(lambda p: p.milliseconds["segment"] > 0) | beam.Distinct()
            assert_that(timed, equal_to([True]), label="times")
            expected = Rejection(
                "p9",
                "in/p9.jpg",
                None,
                "segment",
                "segmentation_failed",
                "the model failed on this photo: ValueError: poisoned",
            )
            assert_that(rejections, equal_to([expected]), label="rejections")

    def test_a_photo_without_pixels_is_a_rejection(self, fake):
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            photos = pipeline | beam.Create([photo(1), Photo(id="p2", source_uri="in/p2.jpg")], reshuffle=False)
            done, rejections = photos | SegmentPhotos(fake, SIZE)
            assert_that(done | beam.Map(lambda p: p.id), equal_to(["p1"]), label="photos")
            told = rejections | "Told" >> beam.Map(lambda r: (r.id, r.stage, r.reason))
            assert_that(told, equal_to([("p2", "segment", "internal")]), label="rejections")

    @pytest.mark.parametrize("closer_look", [True, False])
    def test_small_products_are_looked_at_closer_in_the_job_as_well(self, fake, closer_look):
        small = dataclasses.replace(photo(0), id="small", image=with_small_product())
        expected = resize_for_model(small.image, SIZE)[..., 0]
        if closer_look:
            expected = segment(small.image, fake.load_model()).mask
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            photos = pipeline | beam.Create([photo(7), small, photo(9)], reshuffle=False)
            done, _ = photos | SegmentPhotos(fake, SIZE, closer_look=closer_look)
            told = done | beam.Map(lambda p: (p.id, p.coarse_mask.tobytes() == expected.tobytes()))
            assert_that(told, equal_to([("p7", False), ("small", True), ("p9", False)]))

    @pytest.mark.parametrize("batch_size", [1, 5, 8])
    @pytest.mark.parametrize("bundle_repeat", [0, 2])
    def test_masks_do_not_depend_on_batches_or_bundles(self, tflite_path, batch_size, bundle_repeat):
        rng = np.random.default_rng(1)
        photos = [
            dataclasses.replace(
                photo(value), image=cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (90, 120))
            )
            for value in range(11)
        ]
        handler = SegmentationHandler(tflite_path, batch_size=batch_size, threads=1)
        alone = handler.load_model()
        expected = [(p.id, r.mask.tobytes(), r.presence) for p in photos for r in [segment(p.image, alone)]]
        with beam.Pipeline(runner=FnApiRunner(bundle_repeat=bundle_repeat)) as pipeline:
            done, _ = pipeline | beam.Create(photos, reshuffle=False) | SegmentPhotos(handler, SIZE)
            told = done | beam.Map(lambda p: (p.id, p.coarse_mask.tobytes(), p.presence))
            assert_that(told, equal_to(expected))

    def test_all_of_it_is_one_fused_stage(self, fake):
        pipeline = beam.Pipeline(runner=FnApiRunner())
        photos = pipeline | "Refer" >> beam.Create([b""]) | "Decode" >> beam.Map(lambda _: photo(1))
        done, rejections = photos | "Segment" >> SegmentPhotos(fake, SIZE)
        done | "Matte" >> beam.Map(lambda p: p)
        rejections | "Keep" >> beam.Map(lambda r: r)
        _, stages = FnApiRunner().create_stages(pipeline.to_runner_api())
        by_stage = [{transform.unique_name for transform in stage.transforms} for stage in stages]
        (fused,) = [names for names in by_stage if "Matte" in names]
        for step in ("Decode", "ResizeForModel", "BatchElements", "BeamML_RunInference", "AddMask"):
            assert any(step in name for name in fused), (step, fused)
        # what other stages there are see rejections alone
        for names in by_stage:
            assert names == fused or names <= {"Segment/MergeRejections/Read", "Keep"}
