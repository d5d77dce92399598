"""Losses of the segmentation network, in backend-neutral ``keras.ops``.

Targets are packed as (..., 2): the label 0..1 and the weight 0..1 with which a pixel counts.
"""

from __future__ import annotations

from keras import ops


def _binary_cross_entropy(logits, labels):
    return ops.relu(logits) - logits * labels + ops.softplus(-ops.abs(logits))


def weighted_cross_entropy(target, logits, boundary: float = 2.0):
    """Cross-entropy that counts the pixels near an edge more, and ignores those of no weight.

    Args:
      target: float32 (batch, h, w, 2), label and weight, 0..1.
      logits: float32 (batch, h, w, 1).
      boundary: how much more a pixel counts whose neighbourhood is half product, half ground;
        after F3Net's pixel position aware loss (Wei et al., AAAI 2020).

    Returns:
      float32 (batch,).
    """
    labels, weights = target[..., :1], target[..., 1:]
    nearby = ops.average_pool(labels, 15, strides=1, padding="same")
    weights = weights * (1 + boundary * 2 * ops.abs(nearby - labels))
    total = ops.sum(weights * _binary_cross_entropy(logits, labels), axis=(1, 2, 3))
    return total / (ops.sum(weights, axis=(1, 2, 3)) + 1.0)


def soft_iou(target, logits):
    """One minus the soft intersection over union of each picture (Máttyus et al., ICCV 2017).

    Pictures without product or of no weight cost nothing here: their union is empty or unknown.

    Args and returns: as ``weighted_cross_entropy``.
    """
    labels, weights = target[..., :1], target[..., 1:]
    probability = ops.sigmoid(logits)
    both = ops.sum(weights * probability * labels, axis=(1, 2, 3))
    either = ops.sum(weights * (probability + labels - probability * labels), axis=(1, 2, 3))
    has_product = ops.cast(ops.sum(weights * labels, axis=(1, 2, 3)) > 1.0, "float32")
    return has_product * (1 - (both + 1.0) / (either + 1.0))


def mask_loss(target, logits):
    """The full-resolution loss: weighted cross-entropy and soft IoU, averaged over the batch."""
    return ops.mean(weighted_cross_entropy(target, logits) + soft_iou(target, logits))


def coarse_loss(target, logits):
    """The auxiliary loss at an eighth of the input: plain cross-entropy on the averaged label."""
    factor = target.shape[1] // logits.shape[1]
    pooled = ops.average_pool(target, factor, strides=factor)
    return ops.mean(weighted_cross_entropy(pooled, logits, boundary=0.0))


def presence_loss(target, logits):
    """Cross-entropy of "there is a product", target (batch, 1) of 0 or 1."""
    return ops.mean(_binary_cross_entropy(logits, target))
