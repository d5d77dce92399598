"""Both networks and their losses, in the form that ``fit`` trains on any backend."""

from __future__ import annotations

import keras
from keras import ops

from models.draws import reseed
from models.gan import losses
from models.gan.diff_augment import augment
from models.gan.settings import LossConfig

_PENALISED = 4  # a quarter of a batch carries the penalty, with its whole weight


def _labels(data):
    return tuple(ops.convert_to_tensor(data[name]) for name in ("category", "colour"))


class Adversaries(keras.Model):
    """Generator and discriminator, trained by the gradient of one sum.

    The generator's term sees the discriminator through weights that no gradient reaches, and the discriminator's term
    sees generated pictures that no gradient leaves: one backward pass gives each network the gradient of its own loss,
    whatever the backend.

    Args:
      generator, discriminator: as ``models.gan.network`` builds them.
      loss: what is lowered.
      ground: value of the plain ground, -1..1, for augmentation.
      seed: of latents, labels, noise and augmentation.
    """

    def __init__(
        self, generator: keras.Model, discriminator: keras.Model, loss: LossConfig, *, ground: float, seed: int
    ):
        super().__init__(name="adversaries")
        self.generator, self.discriminator = generator, discriminator
        self._settings, self._ground = loss, ground
        self._seed, self._seeds = seed, keras.random.SeedGenerator(seed)
        self._penalty = keras.Variable(loss.penalty, trainable=False, name="penalty")
        self._balance = keras.metrics.Mean("real_minus_fake")

    def call(self, data, training=None):
        """Judges generated pictures; ``data``: as ``fit`` gets it. Returns logits (b,)."""
        labels = _labels(data)
        picture = self.generator([self._latents(ops.shape(labels[0])[0]), *labels], training=training)
        return self.discriminator([picture, *labels], training=training)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Sets what an epoch has of its own: the weight of the penalty, and the draws, so that a training that was
        stopped goes on with the same."""
        self._penalty.assign(self._settings.penalty_at(epoch / epochs))
        reseed(self._seeds, self._seed, epoch)

    def _latents(self, count):
        return keras.random.normal((count, self.generator.input_shape[0][1]), seed=self._seeds)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the sum of both losses.

        Args:
          x: ``picture`` uint8 (b, s, s, 3), ``category`` and ``colour`` int32 (b,) of real articles; as
            many are generated with the same labels.
          y, y_pred, sample_weight, training: not used.
        """
        settings, count = self._settings, ops.shape(x["category"])[0]
        real = ops.cast(x["picture"], "float32") / 127.5 - 1
        labels = _labels(x)
        fake = ops.cast(self.generator([self._latents(count), *labels], training=True), "float32")
        shown = [augment(p, settings.augment, self._seeds, self._ground) for p in (real, fake)]
        seen = [shown[0], ops.stop_gradient(shown[1])]

        judged_real = self._judge(seen[0], labels)
        judged_fake = self._judge(seen[1], labels)
        total = losses.discriminator_loss(settings.loss, judged_real, judged_fake)
        if settings.penalty or settings.later_penalty:
            few = count // _PENALISED
            noisy = [p[:few] + settings.noise * keras.random.normal(ops.shape(p[:few]), seed=self._seeds) for p in seen]
            few_labels = tuple(label[:few] for label in labels)
            for logits, disturbed in zip((judged_real, judged_fake), noisy, strict=True):
                slope = losses.gradient_penalty(logits[:few], self._judge(disturbed, few_labels), settings.noise)
                total = total + self._penalty / 2 * slope

        deceived = self._judge_frozen(shown[1], labels)
        total = total + losses.generator_loss(settings.loss, ops.stop_gradient(judged_real), deceived)
        self._balance.update_state(ops.mean(judged_real) - ops.mean(judged_fake))
        return total

    def _judge(self, pictures, labels):
        return self.discriminator([pictures, *labels], training=True)

    def _judge_frozen(self, pictures, labels):
        """Judges through weights that the generator's loss must not move."""
        judge = self.discriminator
        frozen = [ops.stop_gradient(ops.convert_to_tensor(v)) for v in judge.trainable_variables]
        others = [ops.convert_to_tensor(v) for v in judge.non_trainable_variables]
        return judge.stateless_call(frozen, others, [pictures, *labels], training=True)[0]
