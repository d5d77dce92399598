import dataclasses
import pickle

import pytest

from transforms.profile import Profile

SQUARE = Profile("square", 1000, 1000)


def test_defaults_are_a_white_jpeg():
    assert SQUARE.background == (255, 255, 255)
    assert (SQUARE.media_type, SQUARE.extension) == ("image/jpeg", "jpg")
    assert dataclasses.replace(SQUARE, format="png").media_type == "image/png"


def test_is_hashable_and_picklable():
    assert pickle.loads(pickle.dumps(SQUARE)) == SQUARE
    assert len({SQUARE, Profile("square", 1000, 1000)}) == 1


def test_product_box_is_limited_by_fill_and_by_margins():
    assert SQUARE.product_box == (850, 850)
    profile = dataclasses.replace(SQUARE, width=500, margins=(0.3, 0, 0.1, 0))
    assert profile.product_box == pytest.approx((425, 600))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("width", 0, "a whole number from 16 to 10000 pixels"),
        ("width", 1000.0, "a whole number"),
        ("height", True, "a whole number"),
        ("background", (255, 255, 256), "0 to 255"),
        ("background", (1.0, 2.0, 3.0), "0 to 255"),
        ("fill", 1.01, "a fraction from 0.05 to 1.0"),
        ("fill", float("nan"), "a fraction"),
        ("margins", (0.1, 0.1), "top, right, bottom, left"),
        ("margins", (0.5, 0, 0.5, 0), "leave at least a tenth"),
        ("format", "gif", "jpeg, png"),
        ("quality", 73, "from 74 to 100"),
        ("min_quality", 96, "from 74 to 95"),
        ("chroma", 14520, "4:4:4, 4:2:0, in quotes"),
        ("max_bytes", "300KB", "a whole number"),
        ("max_upscale", 0, "a number from 0.1 to 100"),
        ("embed_srgb", "yes", "true or false"),
        ("name", "", "a text"),
        ("gradient", (1, 2), "0 to 255"),
        ("backdrop", "wall.png", "the path of a picture"),
        ("shadow", "soft", "none, contact, drop, kept"),
    ],
)
def test_a_bad_value_is_named(key, value, expected):
    with pytest.raises(ValueError) as error:
        dataclasses.replace(SQUARE, **{key: value})
    message = str(error.value)
    assert message.startswith(f"{key} is {value!r}; it has to be ")
    assert expected in message


def test_a_ground_is_a_gradient_or_a_picture():
    with pytest.raises(ValueError, match="gradient and backdrop are both given"):
        dataclasses.replace(SQUARE, gradient=(0, 0, 0), backdrop=b"picture")


@pytest.mark.parametrize("look", [{"gradient": (0, 0, 0)}, {"backdrop": b"picture"}, {"shadow": "kept"}])
def test_a_ground_is_plain_without_gradient_picture_and_shadow(look):
    assert SQUARE.has_plain_ground and not dataclasses.replace(SQUARE, **look).has_plain_ground


def test_byte_limits_must_leave_something():
    with pytest.raises(ValueError, match="min_bytes is 20; it has to be at most max_bytes, which is 10"):
        dataclasses.replace(SQUARE, min_bytes=20, max_bytes=10)


def test_from_mapping_reads_short_forms():
    profile = Profile.from_mapping(
        {"name": "mine", "width": 100, "height": 50, "background": "#f5F5f0", "margins": {"top": 0.1}}, "mine.yaml"
    )
    assert profile.background == (245, 245, 240)
    assert profile.margins == (0.1, 0.0, 0.0, 0.0)
    assert Profile.from_mapping({"name": "m", "width": 99, "height": 50, "margins": 0.05}, "m").margins == (0.05,) * 4
    listed = {"name": "m", "width": 99, "height": 50, "background": [1, 2, 3], "margins": [0, 0.1, 0.2, 0.3]}
    assert Profile.from_mapping(listed, "m").background == (1, 2, 3)
    assert Profile.from_mapping(listed, "m").margins == (0, 0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"widht": 9}, "a.yaml: unknown key 'widht' (value 9); did you mean 'width'?"),
        ({"zzz": 9}, "a.yaml: unknown key 'zzz' (value 9); known keys: name, width"),
        ({"height": 100}, "a.yaml: key 'width' is missing"),
        ({"width": 100, "height": 100, "fill": "most"}, "a.yaml: fill is 'most'; it has to be a fraction"),
        ({"width": 100, "height": 100, "background": "white"}, "a.yaml: background is 'white'; it has to be"),
        ({"width": 100, "height": 100, "background": "#gggggg"}, "a.yaml: background is '#gggggg'; it has to be"),
        ({"width": 100, "height": 100, "margins": {"up": 1}}, "a.yaml: margins names the side 'up'; the sides are top"),
    ],
)
def test_from_mapping_names_file_key_and_value(mapping, sentence):
    with pytest.raises(ValueError) as error:
        Profile.from_mapping({"name": "a", **mapping}, "a.yaml")
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def test_from_mapping_refuses_what_is_no_mapping():
    with pytest.raises(ValueError, match=r"a\.yaml: a profile is a list of 'key: value' lines, not list \[1\]"):
        Profile.from_mapping([1], "a.yaml")
