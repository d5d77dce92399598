import io

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from PIL import Image

from pipeline.provenance import SealAssets, ground_type, seal
from pipeline.records import Encoded, Photo
from transforms.encode import encode_mask
from transforms.profile import Profile
from transforms.reasons import PhotoError, RejectReason
from transforms.source_type import SourceType, source_type_packet

ENHANCED = SourceType.ALGORITHMICALLY_ENHANCED


def mask(term=ENHANCED, says=ENHANCED, comment=None):
    content = encode_mask(np.zeros((8, 8), np.uint8), source_type_packet(term) if term else b"")
    if comment:
        content = content[:33] + comment + content[33:]
    return Encoded("mask", content, 8, 8, "image/png", "png", str(says))


def backdrop(term=None):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", **({"xmp": source_type_packet(term)} if term else {}))
    return stream.getvalue()


def test_a_plain_ground_adds_nothing():
    assert ground_type(Profile("p", 100, 100)) is None


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (None, "composite"),
        ("digitalCapture", "compositeCapture"),
        ("algorithmicallyEnhanced", "compositeCapture"),
        ("digitalCreation", "composite"),
        ("algorithmicMedia", "composite"),
        ("compositeSynthetic", "compositeWithTrainedAlgorithmicMedia"),
        ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"),
    ],
)
def test_a_picture_as_ground_makes_a_composite_of_what_it_says(term, expected):
    content = backdrop(term and SourceType(term))
    assert ground_type(Profile("p", 100, 100, backdrop=content)) == expected


def test_an_asset_with_its_label_is_left_as_it_is():
    assert seal(mask(), "0" * 64) == mask()


@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        (mask(term=None), "should say that it is algorithmicallyEnhanced"),
        (mask(says=SourceType.TRAINED_ALGORITHMIC_MEDIA), "should say that it is trainedAlgorithmicMedia"),
        (mask(comment=b"\0\0\0\4tEXtk\0abCRC."), "holds tEXt, which no asset may"),
    ],
)
def test_an_asset_that_says_anything_else_is_refused(encoded, says):
    with pytest.raises(PhotoError, match=says) as caught:
        seal(encoded, "0" * 64)
    assert caught.value.reason is RejectReason.WRITE_FAILED


def test_transform_reads_back_every_asset():
    good = Photo("good", "good", source_sha256="0" * 64, encoded=(mask(), mask()))
    bad = Photo("bad", "bad", source_sha256="0" * 64, encoded=(mask(), mask(term=None)))
    with TestPipeline("FnApiRunner") as pipeline:
        photos, rejections = pipeline | beam.Create([good, bad]) | SealAssets()
        ids = photos | "Ids" >> beam.Map(lambda photo: (photo.id, len(photo.encoded)))
        refused = rejections | "Refused" >> beam.Map(lambda r: (r.id, r.stage, r.reason))
        assert_that(ids, lambda found: _is(found, [("good", 2)]), label="photos")
        assert_that(refused, lambda found: _is(found, [("bad", "seal", "write_failed")]), label="rejections")


def _is(found, expected):
    assert found == expected
