"""The settings of a training: all that decides the weights, read from YAML and checked before anything starts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from models.datasets.sources import Catalogue, Products, Sources
from models.segmentation.augment import Mix
from models.segmentation.losses import LossWeights
from models.segmentation.network import NetworkConfig
from models.settings import build, names_of, read_settings, resolved

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

_RECIPES = Path(__file__).parent / "configs"
DEFAULT_RECIPE = "packshot-seg"


@dataclasses.dataclass(frozen=True)
class Round:
    """One stretch of training at one picture size.

    Attributes:
      size: side of the training pictures in pixels, a multiple of 32 and at least 64.
      steps: optimiser steps.
      rate: learning rate at the start, falling to a fiftieth along a cosine.
      relabel: whether the network labels the seller photos anew before this round.
      rendered: whether rendered photos are among the samples.
    """

    size: int
    steps: int
    rate: float
    relabel: bool = False
    rendered: bool = False

    def __post_init__(self):
        if self.size < 64 or self.size % 32:
            raise ValueError(f"size={self.size!r} must be a multiple of 32 and at least 64")
        if self.steps < 1:
            raise ValueError(f"steps={self.steps!r} must be at least 1")
        if self.rate <= 0:
            raise ValueError(f"rate={self.rate!r} must be above zero")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that decides the weights.

    Attributes:
      catalogue: the photos to learn from; in YAML a mapping, or only the path.
      output: folder for datasets, weights, checkpoints and curves.
      masks, products, rendered, development_percent, development_groups: as in ``Sources``.
      reviewed: Parquet file of labels that a person judged, for ``models.datasets.reviewed``. Empty for none.
      init: weights to start from: a name of the model registry, or a ``.keras`` or ``.weights.h5`` file. Empty to
        start from scratch.
      rounds: what to train, in order.
      averaged_rounds: so many of the last rounds' weights are averaged into what is exported.
      batch_size: pictures a step.
      weight_decay: of AdamW, decoupled.
      averaging: momentum of the average of the weights, which is what is exported, 0..1.
      seed: of initial weights and of all samples.
      precision: what the network computes in; weights are kept and exported in float32.
      steps_per_epoch: steps between two lines of the curves and two checkpoints.
      workers: threads that label photos and make samples.
      tensorboard: whether to write curves for TensorBoard too.
      mix: how often each kind of sample is drawn.
      loss: how much each term of the loss counts.
      network: the network's shape; its ``size`` is that of the exported model.
    """

    catalogue: Catalogue
    output: str
    masks: str = ""
    products: Products | None = None
    rendered: str = ""
    reviewed: str = ""
    development_percent: int = 20
    development_groups: tuple[str, ...] = ()
    init: str = ""
    rounds: tuple[Round, ...] = (
        Round(160, 1900, 1.2e-3),
        Round(192, 1200, 8e-4, relabel=True),
        Round(256, 350, 3e-4, relabel=True, rendered=True),
    )
    averaged_rounds: int = 1
    batch_size: int = 16
    weight_decay: float = 0.02
    averaging: float = 0.998
    seed: int = 7
    precision: Precision = "float32"
    steps_per_epoch: int = 50
    workers: int = 2
    tensorboard: bool = False
    mix: Mix = dataclasses.field(default_factory=Mix)
    loss: LossWeights = dataclasses.field(default_factory=LossWeights)
    network: NetworkConfig = dataclasses.field(default_factory=lambda: NetworkConfig(size=256))

    def __post_init__(self):
        for name in ("batch_size", "steps_per_epoch", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging={self.averaging!r} must be at least 0 and below 1")
        if not 0 <= self.development_percent < 100:
            raise ValueError(f"development_percent={self.development_percent!r} must be at least 0 and below 100")
        if not self.rounds:
            raise ValueError("rounds=[] must name at least one round")
        if not 1 <= self.averaged_rounds <= len(self.rounds):
            raise ValueError(
                f"averaged_rounds={self.averaged_rounds!r} must be from 1 to {len(self.rounds)}, the rounds"
            )
        if not self.output:
            raise ValueError("output is empty; name the folder for weights, checkpoints and curves")

    @property
    def sources(self) -> Sources:
        """The data half."""
        return Sources(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Sources)})

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> TrainingConfig:
        """Builds a configuration from parsed JSON or YAML.

        Raises:
          ValueError: a key is unknown or missing, or a value is of the wrong type or out of range; it is named.
        """
        for name in ("catalogue", "output"):
            if not values.get(name):
                raise ValueError(f"{name} is missing; give it in the configuration file or as --{name}")
        values = dict(values)
        for name in ("catalogue", "products"):
            if isinstance(values.get(name), str):
                values[name] = {"path": values[name]} if values[name] else None
        return build(cls, values)


def round_fingerprint(config: TrainingConfig, number: int, data: str) -> str:
    """Returns 12 hexadecimal digits that change with whatever decides the weights after a round.

    Args:
      config: the settings.
      number: the round, from 0; later rounds do not matter.
      data: says what is trained on and what is started from.
    """
    decisive = {
        "data": data,
        "rounds": [dataclasses.asdict(stage) for stage in config.rounds[: number + 1]],
        "network": {k: v for k, v in dataclasses.asdict(config.network).items() if k != "size"},
        "mix": dataclasses.asdict(config.mix),
        "loss": dataclasses.asdict(config.loss),
        **{
            name: getattr(config, name)
            for name in ("batch_size", "weight_decay", "averaging", "seed", "precision", "steps_per_epoch")
        },
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def read_recipe(name_or_path: str = DEFAULT_RECIPE) -> dict[str, Any]:
    """Reads a YAML file of training settings.

    Args:
      name_or_path: path of a file, or the name of a recipe that comes with Packshot. Relative paths in the file are
        relative to its own folder.

    Returns:
      The settings, with paths that hold from the current folder.

    Raises:
      ValueError: there is no such file, or it is no YAML mapping.
    """
    settings, folder = read_settings(name_or_path, _RECIPES)
    for name in ("output", "masks", "rendered", "reviewed", "catalogue", "products"):
        settings = {**settings, **resolved(settings, name, folder)}
    if str(settings.get("init", "")).endswith((".keras", ".h5")):
        settings.update(resolved(settings, "init", folder))
    return settings


def override(settings: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with those that were given on the command line in their place.

    Args:
      settings: from ``read_recipe``.
      flags: by name; None for those that were not given. What is no setting is passed over. ``catalogue`` and
        ``products`` are paths; ``id_column``, ``image_column`` and ``group_column`` are the catalogue's.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    columns = {name: given[name] for name in ("id_column", "image_column", "group_column") if name in given}
    merged = {**settings, **{name: given[name] for name in names_of(TrainingConfig) if name in given}}
    for name in ("catalogue", "products"):
        before = settings.get(name)
        if isinstance(before, dict) and isinstance(merged.get(name), str):
            merged[name] = {**before, "path": merged[name]}
    if columns:
        catalogue = merged.get("catalogue")
        merged["catalogue"] = {**({"path": catalogue} if isinstance(catalogue, str) else catalogue or {}), **columns}
    return merged
