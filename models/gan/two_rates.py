"""Adam with a rate for each network, an average of the weights, and the size of the gradients for the alarms."""

from __future__ import annotations

import keras
from keras import ops

from models.averaging import AveragingAdamW

_MEMORY = 0.98  # of the running mean of the gradients' norms


@keras.saving.register_keras_serializable("packshot")
class TwoRateAdam(AveragingAdamW):
    """Adam that moves the discriminator at another rate than the generator (Heusel et al., NeurIPS 2017).

    Args:
      learning_rate: of the generator; may be a schedule.
      ratio: the discriminator's rate over the generator's.
      discriminator: variables of the discriminator.
      **settings: of ``AveragingAdamW``.
    """

    def __init__(self, learning_rate=2e-4, *, ratio: float = 1.0, discriminator=(), **settings):
        super().__init__(learning_rate, weight_decay=0.0, **settings)
        self._ratio = ratio
        self._of_discriminator = {id(variable) for variable in discriminator}
        self.generator_norm, self.discriminator_norm = (
            self.add_variable(shape=(), name=f"{name}_gradient_norm") for name in ("generator", "discriminator")
        )

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        for norm, wanted in ((self.generator_norm, False), (self.discriminator_norm, True)):
            mine = [
                gradient
                for gradient, variable in zip(grads, trainable_variables or self._trainable_variables, strict=True)
                if gradient is not None and (id(variable) in self._of_discriminator) is wanted
            ]
            size = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in mine)) if mine else ops.zeros(())
            start = ops.cast(ops.equal(self.iterations, 0), "float32")
            kept = _MEMORY * (1 - start)
            norm.assign(kept * norm + (1 - kept) * ops.cast(size, "float32"))
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        if id(self._trainable_variables[self._get_variable_index(variable)]) in self._of_discriminator:
            learning_rate = learning_rate * self._ratio
        super().update_step(gradient, variable, learning_rate)
