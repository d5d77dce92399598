import dataclasses
import importlib.resources

import cv2
import numpy as np
import pytest

from pipeline.profiles import DEFAULT_PROFILE, load_profile, profile_names, with_look

NAMES = ["amazon", "google", "jd", "shopify", "taobao", "white-square", "zalando"]


def test_the_marketplaces_are_there():
    assert profile_names() == NAMES
    assert DEFAULT_PROFILE in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_profile_loads_and_says_where_its_rules_come_from(name):
    assert load_profile(name).name == name
    text = importlib.resources.files("pipeline.profiles").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    comment = text.partition("width:")[0].lower()
    assert "source:" in comment
    assert "to be checked" in comment


def test_published_rules():
    square = load_profile("white-square")
    assert (square.width, square.height, square.background, square.fill) == (1000, 1000, (255, 255, 255), 0.85)
    assert square.format == "jpeg"
    amazon = load_profile("amazon")
    assert amazon.background == (255, 255, 255)
    assert amazon.fill >= 0.85
    assert 1600 <= max(amazon.width, amazon.height) <= 10_000
    google = load_profile("google")
    assert min(google.width, google.height) >= 1500
    assert 0.75 <= google.fill <= 0.9
    assert google.max_bytes <= 16_000_000
    shopify = load_profile("shopify")
    assert (shopify.width, shopify.height) == (2048, 2048)
    assert shopify.max_bytes <= 20_000_000
    zalando = load_profile("zalando")
    assert (zalando.width, zalando.height) == (1801, 2600)
    taobao = load_profile("taobao")
    assert (taobao.width, taobao.height) == (800, 800)
    assert taobao.min_bytes > 38 * 1024
    assert taobao.max_bytes < 300_000
    assert min(load_profile("jd").width, load_profile("jd").height) >= 800


def test_own_profile_by_path(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("width: 640\nheight: 480\nbackground: '#eeeeee'\nchroma: '4:2:0'\n", encoding="utf-8")
    profile = load_profile(str(file))
    assert (profile.name, profile.width, profile.background) == ("mine", 640, (238, 238, 238))
    assert profile.chroma == "4:2:0"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("width: 640\nheight: 480\nfil: 0.8\n", "unknown key 'fil' (value 0.8); did you mean 'fill'?"),
        ("width: 640\nheight: 480\nfill: 85\n", "fill is 85; it has to be a fraction from 0.05 to 1.0"),
        ("width: 640\nheight: 480\nchroma: 4:2:0\n", "chroma is 14520; it has to be one of 4:4:4, 4:2:0, in quotes"),
        ("width: [640\n", "not valid YAML"),
        ("", "a profile is a list of 'key: value' lines, not NoneType None"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        load_profile(str(file))
    assert str(error.value).startswith(str(file))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown profile 'amazn'; known are amazon, google, jd"):
        load_profile("amazn")


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        load_profile(str(tmp_path / "none.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read: it is not a UTF-8 text"):
        load_profile(str(tmp_path / "binary.yaml"))


@pytest.fixture
def backdrop(tmp_path):
    path = tmp_path / "wall.png"
    path.write_bytes(cv2.imencode(".png", np.full((20, 30, 3), 90, np.uint8))[1].tobytes())
    return path


def test_a_backdrop_s_path_is_relative_to_the_profile_s_file(tmp_path, backdrop):
    (tmp_path / "looks").mkdir()
    file = tmp_path / "looks" / "mine.yaml"
    file.write_text("width: 640\nheight: 480\nbackdrop: ../wall.png\nshadow: contact\n", encoding="utf-8")
    profile = load_profile(str(file))
    assert profile.backdrop == backdrop.read_bytes() and profile.shadow == "contact"
    file.write_text("width: 640\nheight: 480\nbackdrop: wall.png\n", encoding="utf-8")
    with pytest.raises(ValueError, match="wall.png' cannot be read: No such file"):
        load_profile(str(file))
    file.write_text("width: 640\nheight: 480\nbackdrop: mine.yaml\n", encoding="utf-8")
    with pytest.raises(ValueError, match="mine.yaml': the backdrop of .* bytes is no picture"):
        load_profile(str(file))


def test_a_look_replaces_the_ground_and_keeps_the_rest(backdrop):
    own = dataclasses.replace(load_profile("white-square"), gradient=(1, 2, 3))
    assert with_look(own) == own
    plain = with_look(own, background="#f0f0f0", shadow="drop")
    assert plain == dataclasses.replace(own, background=(240, 240, 240), gradient=None, shadow="drop")
    gradient = with_look(plain, background="#ffffff-#000102")
    assert (gradient.background, gradient.gradient, gradient.shadow) == ((255, 255, 255), (0, 1, 2), "drop")
    picture = with_look(gradient, background=str(backdrop))
    assert picture.backdrop == backdrop.read_bytes() and picture.gradient is None
    assert with_look(picture, background="#ffffff").backdrop is None


def test_the_marketplaces_keep_a_plain_ground_without_shadow():
    assert all(load_profile(name).has_plain_ground for name in NAMES)
