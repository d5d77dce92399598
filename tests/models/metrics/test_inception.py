import keras
import numpy as np
import pytest
import tensorflow as tf

from models.metrics.inception import Inception


def network(side, pooled=2048, classes=1000, whole=False):
    """A network of Inception's outer shape, that looks at the mean colour alone."""
    pixels = keras.Input((side, side, 3))
    mean = keras.layers.GlobalAveragePooling2D()(pixels)
    features = keras.layers.Dense(pooled, name="avg_pool")(mean)
    answers = keras.layers.Dense(classes, activation="softmax" if whole else None, name="predictions")(features)
    return keras.Model(pixels, answers if whole else [answers, features])


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 255, (3, 299, 299, 3)).astype(np.uint8)


@pytest.mark.parametrize("whole", [True, False], ids=["as keras.applications saves it", "two outputs"])
def test_a_keras_file_gives_pooled_features_and_probabilities(images, tmp_path, whole):
    made = network(299, whole=whole)
    made.save(tmp_path / "inception.keras")
    inception = Inception.load(tmp_path / "inception.keras")
    features, probabilities = inception.features_and_probabilities(images)
    assert (inception.name, inception.size, len(inception.sha256)) == ("inception", 299, 64)
    wanted = (images.astype(np.float32) / 127.5 - 1).mean(axis=(1, 2)) @ made.get_layer("avg_pool").kernel.numpy()
    np.testing.assert_allclose(features, wanted, atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    assert probabilities.shape == (3, 1000)


def test_a_saved_model_gives_the_same(images, tmp_path):
    weights = tf.Variable(np.random.default_rng(1).normal(size=(3, 2048)).astype(np.float32))

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 299, 299, 3), tf.float32, name="pixels")])
        def serve(self, pixels):
            pooled = tf.reduce_mean(pixels, (1, 2)) @ weights
            return {"pool_3": pooled[:, None, None], "logits": pooled[:, :1008]}

    served = Served()
    served.kept = weights
    tf.saved_model.save(served, str(tmp_path / "graph"), signatures=served.serve)
    features, probabilities = Inception.load(tmp_path / "graph").features_and_probabilities(images)
    wanted = (images.astype(np.float32) / 127.5 - 1).mean(axis=(1, 2)) @ weights.numpy()
    np.testing.assert_allclose(features, wanted, atol=1e-4)
    assert probabilities.shape == (3, 1008)


@pytest.mark.parametrize(
    ("side", "settings", "message"),
    [
        (299, {"pooled": 64}, r"outputs of 1000, 64 numbers; it must take pictures \(n, 299, 299, 3\)"),
        (299, {"classes": 10}, "outputs of 10, 2048 numbers"),
        (224, {}, r"takes \(None, 224, 224, 3\); it must take"),
    ],
)
def test_another_network_is_named(side, settings, message, tmp_path):
    network(side, **settings).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=message):
        Inception.load(tmp_path / "other.keras")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="is no Keras file and no folder of a SavedModel"):
        Inception.load(tmp_path / "none.keras")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is no SavedModel that serves"):
        Inception.load(tmp_path / "empty")
