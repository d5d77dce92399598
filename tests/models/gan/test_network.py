import keras
import numpy as np
import pytest

from models.gan.network import (
    BlurPool,
    NetworkConfig,
    OnGround,
    build_discriminator,
    build_generator,
)

SMALL = {"size": 16, "latent": 8, "widths": (16, 8, 8), "embedding": 4}
LABELS = (np.array([0, 2], np.int32), np.array([1, 0], np.int32))


def pictures(network, latent, labels=LABELS):
    return keras.ops.convert_to_numpy(network([latent, *labels], training=False))


@pytest.mark.parametrize("architecture", ["residual", "dcgan"])
@pytest.mark.parametrize("conditioning", ["none", "category", "category+colour"])
def test_shapes_and_what_the_networks_heed(architecture, conditioning):
    keras.utils.set_random_seed(1)
    widths = SMALL["widths"][: 2 if architecture == "dcgan" else 3]
    config = NetworkConfig(architecture=architecture, conditioning=conditioning, **{**SMALL, "widths": widths})
    generator, discriminator = build_generator(config, 3, 2), build_discriminator(config, 3, 2)
    latent = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    drawn = pictures(generator, latent)
    assert drawn.shape == (2, 16, 16, 3) and drawn.dtype == np.float32
    others = pictures(generator, latent, (LABELS[0][::-1].copy(), LABELS[1]))
    assert np.allclose(drawn, others) == (conditioning == "none")
    others = pictures(generator, latent, (LABELS[0], LABELS[1][::-1].copy()))
    assert np.allclose(drawn, others) == (conditioning != "category+colour")
    logits = keras.ops.convert_to_numpy(discriminator([drawn, *LABELS]))
    assert logits.shape == (2,) and logits.dtype == np.float32


def test_cutouts_are_set_on_the_ground():
    cutout = np.zeros((1, 1, 3, 4), np.float32)
    cutout[0, 0, :, :3], cutout[0, 0, :, 3] = -1, (-50, 0, 50)
    picture = keras.ops.convert_to_numpy(OnGround(243)(cutout))[0, 0, :, 0]
    np.testing.assert_allclose(picture * 127.5 + 127.5, [243, 121.5, 0], atol=1e-3)


@pytest.mark.parametrize("architecture, drawing", [("residual", "draw2"), ("dcgan", "drawn")])
def test_where_nothing_is_drawn_the_picture_is_the_ground(architecture, drawing):
    widths = SMALL["widths"][: 2 if architecture == "dcgan" else 3]
    generator = build_generator(
        NetworkConfig(architecture=architecture, ground=243, **{**SMALL, "widths": widths}), 3, 2
    )
    layer = generator.get_layer(drawing)
    kernel, bias = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.array([0, 0, 0, -50], np.float32)])
    latent = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    drawn = pictures(generator, latent)
    assert drawn.shape == (2, 16, 16, 3)
    np.testing.assert_allclose(drawn * 127.5 + 127.5, 243, atol=1e-3)


def test_halving_favours_no_pixel():
    even, odd = (np.zeros((1, 16, 16, 2), np.float32) for _ in range(2))
    even[0, 6, 6], odd[0, 7, 7] = 1, 1
    halves = [keras.ops.convert_to_numpy(BlurPool()(x)) for x in (even, odd)]
    assert halves[0].shape == (1, 8, 8, 2)
    np.testing.assert_allclose(halves[0].sum(), halves[1].sum())
    np.testing.assert_allclose(halves[0][0, 2:5, 2:5].ravel(), halves[1][0, 2:5, 2:5][::-1, ::-1].ravel())
    flat = keras.ops.convert_to_numpy(BlurPool()(np.ones((1, 8, 8, 1), np.float32)))
    np.testing.assert_allclose(flat[0, 1:-1, 1:-1], 1)
    # in bfloat16 by another way, with the same result
    noise = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    coarse = keras.ops.convert_to_numpy(keras.ops.cast(BlurPool(dtype="bfloat16")(noise), "float32"))
    np.testing.assert_allclose(coarse, keras.ops.convert_to_numpy(BlurPool()(noise)), atol=0.02)


def test_places_are_judged_besides_the_whole():
    config = NetworkConfig(**SMALL)
    discriminator = build_discriminator(config, 3, 2)
    places = [layer for layer in discriminator.layers if layer.name.startswith("place")]
    assert [layer.output.shape[1] for layer in places] == [8, 4]
    picture = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    before = keras.ops.convert_to_numpy(discriminator([picture, *LABELS]))
    places[0].bias.assign_add([1.0])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(discriminator([picture, *LABELS])), before + 1, rtol=1e-5)


def test_spectral_normalisation_bounds_the_discriminators_convolutions():
    config = NetworkConfig(spectral_normalisation=True, **SMALL)
    discriminator = build_discriminator(config, 3, 2)
    wrapped = [layer for layer in discriminator.layers if isinstance(layer, keras.layers.SpectralNormalization)]
    assert wrapped
    picture = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    for _ in range(30):
        discriminator([picture, *LABELS], training=True)
    kernel = keras.ops.convert_to_numpy(wrapped[0].layer.kernel)
    assert np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 48}, "size=48 must be one of 16, 32, 64"),
        (
            {"widths": (8,)},
            r"widths=\[8\] must be 5 numbers for residual of size 64: channels at 4, 8, 16, 32, 64 pixels",
        ),
        ({"widths": (8,) * 5, "architecture": "dcgan"}, "must be 4 numbers for dcgan of size 64"),
        ({"latent": 0}, "must be at least 1"),
        ({"ground": 300}, "ground=300 must be from 0 to 255"),
    ],
)
def test_what_cannot_be_built_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**settings)
