import dataclasses

import cv2
import numpy as np
import pytest

from pipeline.config import RunConfig

BASE = RunConfig(input="in", output="out")


def test_comma_separated_lists_are_parsed():
    config = RunConfig(input="in", output="out", outputs="packshot, cutout", attribute_columns="category,seller")
    assert config.outputs == ("packshot", "cutout")
    assert config.attribute_columns == ("category", "seller")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("outputs", "packshot,masks", "packshot, mask, cutout"),
        ("outputs", "", "must be a list"),
        ("outputs", "mask,mask", "twice"),
        ("cutout_format", "gif", "png, webp"),
        ("max_rejected_fraction", 1.5, "between 0 and 1"),
        ("near_duplicate_distance", 17, "at most 16"),
        ("max_pixels", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("fetch_retries", -1, "at least 0"),
        ("fetch_timeout", 0, "above 0"),
        ("input", "", "--input is empty"),
        ("accelerator", "nvidia-l4", "type:nvidia-l4;count:1"),
        ("accelerator", "type:nvidia-l4; count:1", "type:nvidia-l4;count:1"),
        ("min_ram", "16", "16GB"),
    ],
)
def test_bad_values_are_named_with_what_would_be_right(name, value, says):
    with pytest.raises(ValueError, match=says) as caught:
        dataclasses.replace(BASE, **{name: value})
    assert f"--{name}" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "amazon"},
        {"outputs": ("packshot",)},
        {"cutout_format": "webp"},
        {"max_pixels": 5},
        {"max_bytes": 5},
    ],
)
def test_what_changes_pixels_changes_the_fingerprint(change):
    assert dataclasses.replace(BASE, **change).fingerprint("1") != BASE.fingerprint("1")
    assert BASE.fingerprint("2") != BASE.fingerprint("1")


@pytest.mark.parametrize(
    "change",
    [
        {"input": "elsewhere"},
        {"output": "elsewhere"},
        {"full_refresh": True},
        {"max_rejected_fraction": 0.5},
        {"near_duplicate_distance": -1},
        {"batch_size": 3},
        {"model_threads": 2},
        {"accelerator": "type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver"},
        {"min_ram": "12.5GiB"},
        {"attribute_columns": ("category",)},
        {"outputs": ("mask", "packshot")},
    ],
)
def test_what_does_not_change_pixels_does_not(change):
    assert dataclasses.replace(BASE, **change).fingerprint("1") == BASE.fingerprint("1")


def test_editing_a_profile_file_changes_the_fingerprint(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nwidth: 500\nheight: 500\nbackground: [255, 255, 255]\nfill: 0.8\n")
    config = dataclasses.replace(BASE, profile=str(path))
    before = config.fingerprint("1")
    path.write_text(path.read_text().replace("0.8", "0.7"))
    assert config.fingerprint("1") != before


def test_an_unknown_profile_is_a_clear_error():
    with pytest.raises(ValueError, match="white-square"):
        dataclasses.replace(BASE, profile="ebay2").load_profile()


def write_picture(path, level):
    path.write_bytes(cv2.imencode(".png", np.full((20, 30, 3), level, np.uint8))[1].tobytes())
    return str(path)


@pytest.mark.parametrize(
    "change",
    [
        {"background": "#eeeeee"},
        {"background": "#ffffff-#eeeeee"},
        {"shadow": "drop"},
        {"enhance": "denoise"},
        {"enhance": "straighten"},
        {"enhance": "superres"},
    ],
)
def test_another_look_changes_the_fingerprint(change):
    assert dataclasses.replace(BASE, **change).fingerprint("1") != BASE.fingerprint("1")


def test_another_anomaly_model_or_category_changes_the_fingerprint(tmp_path):
    for name, content in (("a.tflite", b"network"), ("a.npz", b"memory")):
        (tmp_path / name).write_bytes(content)
    config = dataclasses.replace(BASE, anomaly_model=str(tmp_path / "a.tflite"))
    before = config.fingerprint("1")
    assert before != BASE.fingerprint("1")
    assert dataclasses.replace(config, category_column="kind").fingerprint("1") != before
    (tmp_path / "a.npz").write_bytes(b"another memory")
    assert config.fingerprint("1") != before


@pytest.mark.parametrize(
    "change", [{"background": "#ffffff"}, {"shadow": "none"}, {"enhance": ""}, {"background": "", "shadow": ""}]
)
def test_asking_for_what_the_profile_does_anyway_changes_nothing(change):
    assert dataclasses.replace(BASE, **change).fingerprint("1") == BASE.fingerprint("1")


def test_the_order_of_enhancements_does_not_matter_as_they_are_done_in_their_own():
    both = [dataclasses.replace(BASE, enhance=steps) for steps in ("sharpen,denoise", "denoise, sharpen")]
    assert both[0].fingerprint("1") == both[1].fingerprint("1")


def test_the_fingerprint_follows_a_backdrop_s_bytes_and_not_its_path(tmp_path):
    fingerprints = [
        dataclasses.replace(BASE, background=write_picture(tmp_path / name, level)).fingerprint("1")
        for name, level in (("a.png", 90), ("b.png", 90), ("a.png", 91))
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("shadow", "soft", "must be one of none, contact, drop, kept"),
        ("enhance", "denoise,polish", "names 'polish'; it must be a list of denoise, sharpen, exposure"),
        ("enhance", "denoise,denoise", "twice"),
    ],
)
def test_unknown_looks_are_named(name, value, says):
    with pytest.raises(ValueError, match=says) as caught:
        dataclasses.replace(BASE, **{name: value})
    assert f"--{name}" in str(caught.value)


@pytest.mark.parametrize("background", ["#fff", "#ffffff-", "#ffffff-#00000g", "#ffffff-#eeeeee-#dddddd", "none.jpg"])
def test_an_unreadable_background_is_one_sentence_that_names_it(background):
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(BASE, background=background).load_profile()
    assert repr(background) in str(caught.value) and "\n" not in str(caught.value)
