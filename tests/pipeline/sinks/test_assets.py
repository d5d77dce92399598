import dataclasses
import errno
import os
import pickle
import re
import resource

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.records import Encoded, Photo
from pipeline.sinks import storage
from pipeline.sinks.assets import PUBLISHED, WriteAssets, asset_name, store_asset, write_assets
from transforms.encode import PICTURE_FORMATS, encode_picture
from transforms.reasons import PhotoError
from transforms.source_type import SourceType, source_type_packet

_SHA, _CONFIG, _MODEL = "a" * 64, "b" * 64, "c" * 64


def _photo(photo_id="Shirt 7", **changes):
    encoded = (
        Encoded("packshot", b"jpeg" * 100, 1000, 1000, "image/jpeg", "jpg"),
        Encoded("mask", b"png" * 50, 400, 533, "image/png", "png"),
    )
    fields = {"source_uri": "in/shirt.jpg", "source_sha256": _SHA, "encoded": encoded, **changes}
    return Photo(id=photo_id, **fields)


def _tree(folder):
    return {
        os.path.relpath(os.path.join(root, name), folder): open(os.path.join(root, name), "rb").read()
        for root, _, names in os.walk(folder)
        for name in names
    }


@settings(max_examples=50, deadline=None)
@given(photo_id=st.text(st.characters(codec="utf-8"), max_size=400))
@example("")
@example("..")
@example("../../etc/passwd")
@example("/absolute")
@example("a\\b\n\0c")
@example("日本語")
@example("x" * 300)
@example("-" * 50)
@example("bad\ud800surrogate")
def test_names_stay_in_the_folder(photo_id):
    name = asset_name(photo_id, _SHA, _CONFIG, _MODEL, "packshot", "jpg")
    match = re.fullmatch(r"assets/packshot/([0-9a-f]{2})/([a-z0-9-]{1,40})-([0-9a-f]{20})\.jpg", name)
    assert match and match[3].startswith(match[1])
    assert not match[2].startswith("-")


def test_name_shows_the_id():
    name = asset_name("Été/Shirt №7.JPG", _SHA, _CONFIG, _MODEL, "mask", "png")
    assert name.rsplit("/", 1)[1].startswith("ete-shirt-no7-jpg-")


def test_name_depends_on_every_origin():
    origin = ["id", _SHA, _CONFIG, _MODEL, "mask"]
    names = {asset_name(*origin, "png")}
    for position in range(4):
        names.add(asset_name(*origin[:position], "other", *origin[position + 1 :], "png"))
    names.add(asset_name(*origin[:4], "cutout", "png"))
    assert len({os.path.basename(name) for name in names}) == 6


def test_ids_that_look_alike_get_different_names():
    names = {asset_name(i, _SHA, _CONFIG, _MODEL, "mask", "png") for i in ("a/b", "a-b", "A B", "a b", "à b")}
    assert len(names) == 5


@pytest.mark.parametrize("kind, extension", [("../x", "jpg"), ("mask", "jpg/.."), ("", "jpg"), ("mask", "")])
def test_kind_and_extension_are_checked(kind, extension):
    with pytest.raises(ValueError, match="lower-case letters and digits"):
        asset_name("id", _SHA, _CONFIG, _MODEL, kind, extension)


def test_write_assets(output):
    pixels = np.zeros((4, 4, 3), np.uint8)
    photo = _photo(content=b"source", image=pixels, alpha=pixels[..., 0], foreground=pixels)
    done = write_assets(photo, output, _CONFIG, _MODEL)
    assert [asset.kind for asset in done.assets] == ["packshot", "mask"]
    packshot = done.assets[0]
    assert (packshot.width, packshot.height, packshot.bytes) == (1000, 1000, 400)
    assert storage.read_bytes(storage.join(output, packshot.uri)) == b"jpeg" * 100
    assert done.content is None and done.encoded == ()
    assert not any(isinstance(getattr(done, f.name), np.ndarray) for f in dataclasses.fields(done))
    assert len(pickle.dumps(done)) < 2000
    assert write_assets(photo, output, _CONFIG, _MODEL) == done


def test_hostile_id_writes_below_the_output_only(tmp_path):
    write_assets(_photo("../../../escape"), str(tmp_path / "out"), _CONFIG, _MODEL)
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert os.listdir(tmp_path / "out") == ["assets"]


def test_disk_full_is_write_failed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "replace", full)
    with pytest.raises(PhotoError, match="No space left on device") as error:
        write_assets(_photo(), str(tmp_path), _CONFIG, _MODEL)
    assert error.value.reason == "write_failed"
    assert _tree(tmp_path) == {}


def test_file_that_the_system_cuts_off_is_write_failed(tmp_path):
    """No simulation: the process may not write more than 250 bytes into one file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250, before[1]))
    try:
        with pytest.raises(PhotoError, match="400 bytes.*File too large") as error:
            write_assets(_photo(), str(tmp_path), _CONFIG, _MODEL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.reason == "write_failed"
    assert _tree(tmp_path) == {}


def test_output_that_is_a_file_is_write_failed(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(PhotoError, match="could not write"):
        write_assets(_photo(), str(tmp_path / "out"), _CONFIG, _MODEL)


def test_empty_file_is_write_failed(tmp_path):
    photo = _photo(encoded=(Encoded("mask", b"", 1, 1, "image/png", "png"),))
    with pytest.raises(PhotoError, match="encoded mask holds no bytes"):
        write_assets(photo, str(tmp_path), _CONFIG, _MODEL)


def test_two_assets_of_a_kind_are_refused(tmp_path):
    photo = _photo()
    with pytest.raises(ValueError, match="two assets of kind 'packshot'"):
        write_assets(photo.replace(encoded=photo.encoded[:1] * 2), str(tmp_path), _CONFIG, _MODEL)


def test_stage_parts_photos_that_cannot_be_written(tmp_path):
    good = [_photo(f"id {i}") for i in range(20)]
    bad = _photo("bad", encoded=(Encoded("mask", b"", 1, 1, "image/png", "png"),))
    trees = []
    for repeat in (0, 2):
        output = str(tmp_path / str(repeat))
        with beam.Pipeline(runner=FnApiRunner(bundle_repeat=repeat)) as p:
            photos, rejections = p | beam.Create([*good, bad]) | WriteAssets(output, _CONFIG, _MODEL)
            ids = photos | beam.Map(lambda photo: (photo.id, len(photo.assets)))
            assert_that(ids, equal_to([(f"id {i}", 2) for i in range(20)]), label="photos")
            found = rejections | beam.Map(lambda r: (r.id, r.stage, r.reason))
            assert_that(found, equal_to([("bad", "write", "write_failed")]), label="rejections")
        trees.append(_tree(output))
    assert len(trees[0]) == 40
    assert trees[0] == trees[1]


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
@pytest.mark.parametrize("picture_format", PICTURE_FORMATS)
def test_a_generated_product_is_never_published(tmp_path, kind, picture_format):
    """The file itself is asked, so that no mistake before this one can turn a generated product into a packshot."""
    packet = source_type_packet(SourceType.TRAINED_ALGORITHMIC_MEDIA, training_only=True)
    content = encode_picture(np.zeros((8, 8, 3), np.uint8), picture_format, packet)
    encoded = Encoded(kind, content, 8, 8, f"image/{picture_format}", "bin", "trainedAlgorithmicMedia")
    with pytest.raises(PhotoError, match=f"generated for training only must not become a {kind}"):
        write_assets(_photo(encoded=(encoded,)), str(tmp_path), _CONFIG, _MODEL)
    assert not _tree(tmp_path)
    stored = store_asset(str(tmp_path), "assets/augmented/00/x.bin", dataclasses.replace(encoded, kind="augmented"))
    assert _tree(tmp_path) == {stored.uri: content}


def test_a_packshot_of_a_photo_that_a_generator_made_is_still_published(tmp_path):
    """What a seller sends in is the seller's matter: its label stays, and the marketplace decides."""
    packet = source_type_packet(SourceType.TRAINED_ALGORITHMIC_MEDIA)
    content = encode_picture(np.zeros((8, 8, 3), np.uint8), "png", packet)
    encoded = Encoded("packshot", content, 8, 8, "image/png", "png", "trainedAlgorithmicMedia")
    assert write_assets(_photo(encoded=(encoded,)), str(tmp_path), _CONFIG, _MODEL).assets
