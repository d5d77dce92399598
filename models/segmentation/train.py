"""Training of the segmentation network, from labelled photos to a weight file.

Rounds, each on the labels of a teacher: first GrabCut's, then the network's own predictions where they are sure
(self-training; Lee 2013, Xie et al., CVPR 2020), with the hand masks and reviewed labels in all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
from pathlib import Path

import cv2
import keras
import numpy as np

from models import registry
from models.averaging import AveragingAdamW
from models.extras import imported_for_training
from models.metrics.segmentation import intersection_over_union
from models.precision import computing_in
from models.saving import save_compactly
from models.segmentation import losses
from models.segmentation.augment import SampleMaker, whole_products
from models.segmentation.examples import Examples, square
from models.segmentation.feeding import BatchMaker, batches
from models.segmentation.network import build_network, with_size
from models.segmentation.progress import Checkpoints, Curves
from models.segmentation.settings import Round, TrainingConfig, round_fingerprint

__all__ = ["Round", "TrainingConfig", "TrainingSets", "development_score", "load_examples", "predict", "train"]

_SETTLING_STEPS = 60  # of batch statistics, to the averaged weights


@dataclasses.dataclass(frozen=True)
class TrainingSets:
    """All that is trained on and chosen by.

    Attributes:
      sellers: catalogue photos with labels of a teacher.
      hand: photos with masks that a person drew or approved, of the catalogue and of products.
      cut_outs: cut-outs of product shots.
      rendered: rendered photos.
      development: photos of groups of which nothing is trained on: those with hand masks if there are any, else
        those with a trusted label.
      fingerprint: changes with all of these.
    """

    sellers: Examples
    hand: Examples
    cut_outs: Examples
    rendered: Examples
    development: Examples
    fingerprint: str


def load_examples(config: TrainingConfig) -> TrainingSets:
    """Builds the datasets of a training, or finds them built, and reads them.

    Raises:
      FileNotFoundError, ValueError: the data are not as the configuration says, or a package is missing.
    """
    with imported_for_training():
        from models.datasets import cut_outs
    from models.datasets.plan import DEVELOPMENT, TRAIN, plan_datasets
    from models.datasets.reviewed import read_reviewed, with_reviewed

    fingerprints, found = [], {}
    reviewed = read_reviewed(config.reviewed) if config.reviewed else {}
    if config.reviewed:
        fingerprints.append(_reviewed_digest(reviewed))
    for plan in plan_datasets(config.sources):
        print(f"{plan.kind}: {sum(plan.counts.values()):,} photos to label or labelled before ...", flush=True)
        builder = cut_outs.build_dataset(plan, cut_outs.default_data_dir(config.output), workers=config.workers)
        sets = {split: cut_outs.read_examples(builder, split) for split in (TRAIN, DEVELOPMENT)}
        print(_account(plan.kind, sets, builder.left_out()), flush=True)
        if plan.kind in ("seller", "product"):  # what is exact needs no review
            sets = {split: with_reviewed(examples, reviewed) for split, examples in sets.items()}
        found[plan.kind] = sets
        fingerprints.append(plan.fingerprint)
    nothing = {TRAIN: Examples.empty(), DEVELOPMENT: Examples.empty()}
    sellers, hand, products, rendered = (found.get(kind, nothing) for kind in ("seller", "hand", "product", "rendered"))
    development = hand[DEVELOPMENT]
    if not len(development):
        development = sellers[DEVELOPMENT].take(sellers[DEVELOPMENT].trusted)
    # a photo with a mask drawn by hand needs no other label, and one that a person approved is worth as much
    others = sellers[TRAIN].take(~np.isin(sellers[TRAIN].ids, hand[TRAIN].ids))
    shots = products[TRAIN].take(products[TRAIN].trusted)
    approved = shots.take(shots.reviewed)
    return TrainingSets(
        others.take(~others.reviewed),
        hand[TRAIN].joined(others.take(others.reviewed & others.trusted)).joined(approved),
        shots.take(~shots.reviewed).joined(approved.take(whole_products(approved, sure=0.9))),
        rendered[TRAIN],
        development,
        "+".join(fingerprints),
    )


def _account(kind: str, sets: dict[str, Examples], left_out: list[dict[str, str]]) -> str:
    parts = [f"{len(examples):,} of split {split}" for split, examples in sets.items() if len(examples)]
    doubted = sum(int((~examples.trusted).sum()) for examples in sets.values())
    if doubted:
        parts.append(f"{doubted:,} of them without a trusted label")
    line = f"{kind}: " + ", ".join(parts)
    if left_out:
        first = "; ".join(f"{entry['id']!r}: {entry['reason']}" for entry in left_out[:3])
        line += f"; {len(left_out):,} left out, all named in the dataset's left_out.json ({first})"
    return line


def _reviewed_digest(reviewed) -> str:
    digest = hashlib.sha256()
    for id, judged in sorted(reviewed.items()):
        parts = [b"" if plane is None else plane.tobytes() for plane in (judged.label, judged.weight)]
        digest.update(id.encode() + b"\0" + b"".join(parts))
    return digest.hexdigest()[:16]


class Segmenter(keras.Model):
    """The network with its losses, in the form that ``fit`` trains."""

    def __init__(self, network: keras.Model, weights: losses.LossWeights):
        super().__init__(name="segmenter")
        self.network, self._weights = network, weights

    def call(self, image, training=None):
        return self.network(image, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the weighted sum of mask, coarse and presence losses."""
        return (
            losses.mask_loss(y["mask"], y_pred["mask"], self._weights)
            + self._weights.coarse * losses.coarse_loss(y["mask"], y_pred["coarse"])
            + self._weights.presence * losses.presence_loss(y["presence"], y_pred["presence"])
        )


def predict(network: keras.Model, images: np.ndarray, *, batch_size: int = 32, mirrored: bool = True) -> np.ndarray:
    """Predicts product probabilities.

    Args:
      network: as ``build_network`` makes it.
      images: uint8 (n, h, w, 3), any size.
      batch_size: pictures at a time.
      mirrored: whether to average with the prediction of the mirrored picture.

    Returns:
      float32 (n, size/2, size/2), 0..1.
    """
    size = network.input_shape[1]
    small = np.stack([square(image, size) for image in images]).astype(np.float32)

    def run(batch):
        logits = network.predict(batch, batch_size=batch_size, verbose=0)["mask"][..., 0]
        return 1 / (1 + np.exp(-logits))

    probability = run(small)
    if mirrored:
        probability = (probability + run(small[:, :, ::-1])[:, :, ::-1]) / 2
    return probability


def relabelled(sellers: Examples, network: keras.Model) -> Examples:
    """Labels the seller photos anew, by the network where it is sure of a photo, else by both teachers.

    Where the network is sure of most of a mask, its own label counts, weighted by how sure it is of each pixel.
    Else the label stays, and counts where the network agrees with it, if they agree by and large. All other
    photos get no weight. On hand masks of sellers never trained on, the first kind had IoU .96, the second .93,
    the rest .75.
    """
    labels, weights = sellers.labels.copy(), np.zeros_like(sellers.weights)
    for start in range(0, len(sellers), 256):
        part = slice(start, start + 256)
        for i, probability in enumerate(predict(network, sellers.images[part]), start):
            large = cv2.resize(probability, sellers.labels.shape[1:], interpolation=cv2.INTER_LINEAR)
            sure = np.abs(large - 0.5) * 2
            product, before = large > 0.5, sellers.labels[i] > 127
            unsure = np.mean(sure < 0.7) / max(product.mean(), 0.02)
            if unsure <= 0.25 and 0.03 < product.mean() < 0.93:
                # sharpened: the soft band that enlarging leaves must not be taught as softness
                labels[i] = np.clip((large - 0.5) * 4 + 0.5, 0, 1) * 255
                weights[i] = np.clip((sure - 0.2) / 0.5, 0, 1) * 255
            elif intersection_over_union(product, before) > 0.85:
                weights[i] = np.where(product == before, sellers.weights[i], 0)
    return dataclasses.replace(sellers, labels=labels, weights=weights)


def development_score(network: keras.Model, development: Examples) -> float:
    """Mean IoU at the threshold one half on the development set, 0..1; pixels of no weight are not looked at."""
    scores = []
    for probability, label, weight in zip(
        predict(network, development.images, mirrored=False), development.labels, development.weights, strict=True
    ):
        large = cv2.resize(probability, label.shape, interpolation=cv2.INTER_LINEAR)
        scores.append(intersection_over_union((large > 0.5) & (weight > 0), (label > 127) & (weight > 0)))
    return float(np.mean(scores))


def _initial_network(config: TrainingConfig) -> tuple[keras.Model, str]:
    """Returns the network at its first size, and what it starts from."""
    network = build_network(dataclasses.replace(config.network, size=config.rounds[0].size))
    if not config.init:
        return network, "scratch"
    path = _weights_path(config.init)
    try:
        if path.name.endswith(".weights.h5"):
            network.load_weights(path)
        else:
            network.set_weights(keras.models.load_model(path, compile=False).get_weights())
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"init={config.init!r} does not hold weights of the network that is to be trained ({config.network}); "
            f"give its shape as network: ({reason})"
        ) from error
    return network, hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _weights_path(init: str) -> Path:
    if registered := registry.MODELS.get(init):
        init = str(Path(registry.__file__).parent / (registered.accelerated or registered.path))
    path = Path(init)
    if not path.is_file() or not path.name.endswith((".keras", ".weights.h5")):
        raise ValueError(
            f"init={init!r} must be an existing .keras or .weights.h5 file, or one of {', '.join(registry.MODELS)}"
        )
    return path


def train(config: TrainingConfig) -> Path:
    """Trains the network; a run that was stopped goes on where it was.

    Args:
      config: all that decides the weights.

    Returns:
      Path of the exported LiteRT model, with the averaged weights; the ``.keras`` file lies beside it. Without
      TensorFlow, which LiteRT needs, the path of the latter.

    Raises:
      FileNotFoundError, ValueError: the data or settings are not as they should be; nothing was trained.
    """
    if config.tensorboard and not importlib.util.find_spec("tensorboard"):
        raise ValueError("tensorboard=True needs a package that is missing: pip install 'packshot[train]'")
    keras.utils.set_random_seed(config.seed)
    with computing_in(config.precision):
        network, start = _initial_network(config)
    output = Path(config.output)
    (output / "rounds").mkdir(parents=True, exist_ok=True)
    sets = load_examples(config)
    print(f"{len(sets.development):,} photos to choose by, of groups that are not trained on")
    first_step, ends = 0, []
    for number, stage in enumerate(config.rounds):
        fingerprint = round_fingerprint(config, number, f"{start}+{sets.fingerprint}")
        finished = output / "rounds" / f"{number}-{fingerprint}.weights.h5"
        with computing_in(config.precision):
            network = with_size(network, config.network, stage.size)
            if finished.exists():
                print(f"round {number}: trained before with the same settings, {finished} is used")
                network.load_weights(finished)
            else:
                _train_round(network, number, finished, sets, config, first_step)
        first_step += stage.steps
        ends.append(network.get_weights())
    network.set_weights(averaged(ends[-config.averaged_rounds :]))
    return _export(with_size(network, config.network, config.network.size), sets.development, output)


def averaged(ends: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Averages the weights that several rounds ended with (Wortsman et al., "Model soups", ICML 2022).

    Args:
      ends: for each round its weights, as ``get_weights`` gives them.
    """
    return [np.mean(arrays, axis=0, dtype=np.float64).astype(arrays[0].dtype) for arrays in zip(*ends, strict=True)]


def _export(network: keras.Model, development: Examples, output: Path) -> Path:
    save_compactly(network, output / "packshot-seg.keras")
    if len(development):
        print(f"development IoU at {network.input_shape[1]}: {development_score(network, development):.4f}")
    if not importlib.util.find_spec("tensorflow"):
        print("no LiteRT model was written: that needs TensorFlow")
        return output / "packshot-seg.keras"
    from models.export import export_litert

    return export_litert(network, output / "packshot-seg.tflite", weights="dynamic")  # as good, and half as large


def _train_round(
    network: keras.Model, number: int, finished: Path, sets: TrainingSets, config: TrainingConfig, first_step: int
) -> None:
    """Trains one round and writes its weights to ``finished``."""
    stage, output = config.rounds[number], Path(config.output)
    labelled = relabelled(sets.sellers, network) if stage.relabel and len(sets.sellers) else sets.sellers
    rendered = sets.rendered if stage.rendered and len(sets.rendered) else None
    maker = SampleMaker(labelled, sets.hand, sets.cut_outs, config.mix, rendered)
    make = BatchMaker(maker, stage.size, config.batch_size, config.seed)
    epochs = max(1, stage.steps // config.steps_per_epoch)
    steps = stage.steps // epochs

    model = Segmenter(network, config.loss)
    model.compile(optimizer=_optimizer(stage, config))
    model(np.zeros((1, stage.size, stage.size, 3), np.float32))  # builds it, which restoring a checkpoint asks for
    name = finished.name.removesuffix(".weights.h5")
    checkpoints = Checkpoints(finished.with_name(name))
    done = checkpoints.restore(model)
    if done:
        print(f"round {number}: goes on after epoch {done} of {epochs}")
    score = (lambda: development_score(network, sets.development)) if len(sets.development) else None
    callbacks = [Curves(output / "curves.csv", name, done, score), checkpoints]
    if config.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(output / "tensorboard" / name), write_graph=False))
    if done < epochs:
        stream = batches(make, first_step + done * steps, (epochs - done) * steps, config.workers)
        model.fit(
            stream, epochs=epochs, initial_epoch=done, steps_per_epoch=steps, shuffle=False, verbose=0,
            callbacks=callbacks,
        )  # fmt: skip
    # the averaged weights take the place of the last ones
    model.optimizer.finalize_variable_values(model.trainable_variables)
    # and the batch statistics are brought to them
    settle = dataclasses.replace(make, seed=config.seed + 1)
    for step in range(first_step, first_step + min(_SETTLING_STEPS, steps)):
        network(settle(step)[0], training=True)
    network.save_weights(finished)
    checkpoints.clear()


def _optimizer(stage: Round, config: TrainingConfig) -> keras.optimizers.Optimizer:
    warm_up = min(200, stage.steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        stage.rate / 20, stage.steps - warm_up, alpha=0.02, warmup_target=stage.rate, warmup_steps=warm_up
    )
    optimizer = AveragingAdamW(
        rate, weight_decay=config.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=config.averaging
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
