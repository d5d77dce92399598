import io

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.records import Encoded, Photo
from tests.transforms.planting import ANY, CONTAINERS, WITH_XMP, planted
from transforms.compose import compose_photo
from transforms.decode import DecodeLimits, decode_photo
from transforms.encode import PICTURE_FORMATS, encode_photo, encode_picture
from transforms.matte import matte_photo
from transforms.normalise import normalise_photo
from transforms.privacy import ALLOWED, ReadLabels, foreign_blocks, is_for_training_only, read_labels, read_photo_labels
from transforms.profile import Profile
from transforms.reasons import PhotoError, RejectReason
from transforms.source_type import SourceType, source_type_packet

TRAINED = SourceType.TRAINED_ALGORITHMIC_MEDIA
SQUARE = Profile("square", 160, 160)
OUTPUTS = ("packshot", "mask", "cutout")


def scene(side=96):
    """A red disc on a ground of two colours that come nowhere else."""
    y, x = np.mgrid[:side, :side]
    pixels = np.where((x // 6 + y // 6)[..., None] % 2, (30, 200, 60), (60, 40, 220)).astype(np.uint8)
    inside = np.hypot(x - side / 2, y - side / 2) < side * 0.3
    pixels[inside] = (200, 20, 30)
    return Image.fromarray(pixels), inside


def processed(content, profile=SQUARE, cutout_format="png"):
    """A photo's assets, made by the real stages from its bytes on; only the network's mask is given."""
    photo = read_photo_labels(Photo("a", "a", content=content, source_sha256="0" * 64))
    photo = decode_photo(photo, limits=DecodeLimits(), wanted=None)
    _, inside = scene()
    coarse = np.asarray(Image.fromarray(inside.astype(np.uint8) * 255).resize((80, 80), Image.Resampling.BILINEAR))
    photo = normalise_photo(matte_photo(photo.replace(coarse_mask=coarse, presence=1.0)))
    return encode_photo(compose_photo(photo, profile), OUTPUTS, profile, cutout_format, Encoded)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("format", "cutout_format"), [("jpeg", "png"), ("png", "webp")])
def test_nothing_planted_gets_into_an_asset(container, format, cutout_format):
    content = planted(scene()[0], container, label=True)
    assert ANY in content
    done = processed(content, Profile("p", 160, 160, format=format), cutout_format)
    assert [asset.kind for asset in done.encoded] == list(OUTPUTS)
    for asset in done.encoded:
        assert ANY not in asset.content and b"S\0E\0C\0R\0E\0T" not in asset.content
        assert foreign_blocks(asset.content) == []
        picture = Image.open(io.BytesIO(asset.content))
        assert not picture.getexif()
        assert set(picture.info) <= {
            "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "icc_profile", "srgb", "xmp",
            "XML:com.adobe.xmp", "loop", "background", "timestamp", "duration",
        }  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
def test_an_incoming_ai_label_is_kept(container):
    labelled = container in WITH_XMP
    done = processed(planted(scene()[0], container, label=True))
    expected = TRAINED if labelled else SourceType.ALGORITHMICALLY_ENHANCED
    assert done.source_type == (TRAINED if labelled else None)
    assert done.digital_source_type == expected
    for asset in done.encoded:
        assert asset.source_type == expected
        assert read_labels(asset.content) == (expected, False)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_photo_without_a_label_is_labelled_as_corrected(container):
    done = processed(planted(scene()[0], container))
    assert [read_labels(asset.content).source_type for asset in done.encoded] == ["algorithmicallyEnhanced"] * 3


def test_ground_adds_to_the_packshot_alone():
    image, inside = scene()
    photo = Photo("a", "a", width=96, height=96, foreground=np.asarray(image), alpha=inside.astype(np.uint8) * 255,
                  packshot=np.zeros((160, 160, 3), np.uint8))  # fmt: skip
    done = encode_photo(photo, OUTPUTS, SQUARE, "png", Encoded, SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA)
    assert [str(read_labels(asset.content).source_type) for asset in done.encoded] == [
        "compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced", "algorithmicallyEnhanced",
    ]  # fmt: skip
    assert done.digital_source_type == "compositeWithTrainedAlgorithmicMedia"


def test_labels_in_exif_and_in_manifests_are_read():
    packet = source_type_packet(SourceType.COMPOSITE_SYNTHETIC)
    tags = Image.Exif()
    tags[700] = packet
    stream = io.BytesIO()
    scene()[0].save(stream, "JPEG", exif=tags.tobytes())
    assert read_labels(stream.getvalue()) == (SourceType.COMPOSITE_SYNTHETIC, False)
    store = b"\0\0\0\x70jumb\0\0\0\x1ejumdc2pa\0\x11\0\x10..." + TRAINED.uri.encode()
    plain = io.BytesIO()
    scene()[0].save(plain, "JPEG")
    body = b"JP\0\1\0\0\0\1" + store
    signed = plain.getvalue()[:2] + b"\xff\xeb" + (len(body) + 2).to_bytes(2, "big") + body + plain.getvalue()[2:]
    assert read_labels(signed) == (TRAINED, True)


@pytest.mark.parametrize("cutout_format", ["png", "webp"])
def test_no_pixel_of_the_ground_survives(cutout_format):
    """A face or a number plate behind the product is ground like any other."""
    image, inside = scene()
    stream = io.BytesIO()
    image.save(stream, "PNG")
    done = processed(stream.getvalue(), Profile("p", 160, 160, format="png"), cutout_format)
    packshot, mask, cutout = (np.asarray(Image.open(io.BytesIO(asset.content))).astype(int) for asset in done.encoded)
    assert (packshot[:10] == 255).all() and (packshot[:, :10] == 255).all()
    assert (cutout[mask == 0] == (255, 255, 255, 0)).all()
    assert np.abs((mask > 127).mean() - inside.mean()) < 0.02
    for pixels in (packshot, cutout[..., :3]):
        ground = [np.abs(pixels - colour).sum(-1).min() for colour in ((30, 200, 60), (60, 40, 220))]
        assert min(ground) > 60, "a colour of the old ground is left"


def test_allow_list_names_what_is_not_on_it():
    names = [block.name for block in foreign_blocks(planted(scene()[0], "jpeg"))]
    assert names == ["APP1", "APP1", "APP2", "APP13", "APP15", "COM"]
    assert {block.name for block in foreign_blocks(planted(scene()[0], "png"))} >= {"tEXt", "zTXt", "eXIf", "prVt"}
    assert "exif" not in {str(kind) for kind in ALLOWED}


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff\xe1", b"II*\0", b"GIF89a", b"RIFF\0\0\0\0WEBPEXIF"])
)
def test_labels_of_any_bytes(data, magic):
    labels = read_labels(magic + data)
    assert labels.source_type is None or isinstance(labels.source_type, SourceType)


def test_transform_reads_labels_of_photos():
    def check(photos):
        assert [(p.source_type, p.source_credentials) for p in photos] == [("trainedAlgorithmicMedia", False)]
        assert "labels" in photos[0].milliseconds

    content = planted(scene()[0], "webp", label=True)
    with TestPipeline("FnApiRunner") as pipeline:
        done, _ = pipeline | beam.Create([Photo("a", "a", content=content)]) | ReadLabels()
        assert_that(done, check)


@pytest.mark.parametrize("picture_format", PICTURE_FORMATS)
def test_a_product_generated_for_training_comes_back_as_no_photo(picture_format):
    generated = encode_picture(np.zeros((64, 64, 3), np.uint8), picture_format,
                               source_type_packet(TRAINED, training_only=True))  # fmt: skip
    assert is_for_training_only(generated) and read_labels(generated) == (TRAINED, False)
    with pytest.raises(PhotoError, match="training_only: .*generated for training only") as refused:
        read_photo_labels(Photo("a", "a", content=generated))
    assert refused.value.reason is RejectReason.TRAINING_ONLY
    labelled = encode_picture(np.zeros((64, 64, 3), np.uint8), picture_format, source_type_packet(TRAINED))
    assert not is_for_training_only(labelled)
    assert not is_for_training_only(b"") and not is_for_training_only(generated[:40])
