"""Losses of the segmentation network, in backend-neutral ``keras.ops``.

Targets are packed as (..., 2): the label 0..1 and the weight 0..1 with which a pixel counts.
"""

from __future__ import annotations

import dataclasses

from keras import ops


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """How much each term counts in the training loss; a term of weight 0 is not computed.

    Attributes:
      cross_entropy: of the mask at half resolution.
      boundary: how much more a pixel counts in it whose neighbourhood is half product, half ground.
      soft_iou: one minus the soft intersection over union.
      ssim: one minus the structural similarity of mask and label.
      laplacian: L1 distance of the Laplacian pyramids of mask and label.
      coarse: cross-entropy of the auxiliary output at an eighth of the input.
      presence: cross-entropy of "there is a product".
    """

    cross_entropy: float = 1.0
    boundary: float = 2.0
    soft_iou: float = 1.0
    ssim: float = 0.0
    laplacian: float = 0.0
    coarse: float = 0.4
    presence: float = 0.2


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


def structural_dissimilarity(target, logits, window: int = 11):
    """One minus the mean SSIM of mask and label (Wang et al., IEEE TIP 2004), over a flat window.

    As a loss for masks after BASNet (Qin et al., CVPR 2019). The flat window replaces the paper's Gaussian one:
    average pooling is what every backend does fast.

    Args and returns: as ``weighted_cross_entropy``; ``window`` is the window's side in pixels.
    """
    labels, weights = target[..., :1], target[..., 1:]
    probability = ops.sigmoid(logits)

    def mean(x):
        return ops.average_pool(x, window, strides=1, padding="valid")

    first, second = mean(probability), mean(labels)
    variance_first = mean(probability * probability) - first * first
    variance_second = mean(labels * labels) - second * second
    covariance = mean(probability * labels) - first * second
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * first * second + c1) * (2 * covariance + c2)
    similarity = similarity / ((first * first + second * second + c1) * (variance_first + variance_second + c2))
    trusted = mean(weights)
    return ops.sum(trusted * (1 - similarity), axis=(1, 2, 3)) / (ops.sum(trusted, axis=(1, 2, 3)) + 1.0)


def laplacian_distance(target, logits, levels: int = 4):
    """L1 distance of the Laplacian pyramids of mask and label, coarse levels counting more.

    After Hou and Liu, "Context-Aware Image Matting" (ICCV 2019); the pyramid is of average pooling.

    Args and returns: as ``weighted_cross_entropy``; the sides must be divisible by 2 to the power of ``levels``.
    """
    labels, weights = target[..., :1], target[..., 1:]
    difference = (ops.sigmoid(logits) - labels) * weights  # both pyramids are linear: one of the difference will do
    total = 0.0
    for level in range(levels):
        smaller = ops.average_pool(difference, 2, strides=2)
        detail = difference - ops.repeat(ops.repeat(smaller, 2, axis=1), 2, axis=2)
        total = total + 2.0**level * ops.mean(ops.abs(detail), axis=(1, 2, 3))
        difference = smaller
    return total


def mask_loss(target, logits, weights: LossWeights | None = None):
    """The full-resolution loss: the weighted terms, averaged over the batch."""
    weights = weights or LossWeights()
    total = weights.cross_entropy * weighted_cross_entropy(target, logits, weights.boundary)
    for weight, term in (
        (weights.soft_iou, soft_iou),
        (weights.ssim, structural_dissimilarity),
        (weights.laplacian, laplacian_distance),
    ):
        if weight:
            total = total + weight * term(target, logits)
    return ops.mean(total)


def coarse_loss(target, logits):
    """The auxiliary loss at an eighth of the input: plain cross-entropy on the averaged label."""
    factor = target.shape[1] // logits.shape[1]
    pooled = ops.average_pool(target, factor, strides=factor)
    return ops.mean(weighted_cross_entropy(pooled, logits, boundary=0.0))


def presence_loss(target, logits):
    """Cross-entropy of "there is a product", target (batch, 1) of 0 or 1."""
    return ops.mean(_binary_cross_entropy(logits, target))
