"""The settings of a training: all that decides the weights, read from YAML and checked before anything starts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from models.articles import ArticleSource
from models.gan.diff_augment import Operation
from models.gan.losses import Loss
from models.gan.network import NetworkConfig
from models.settings import build, names_of, read_settings, resolved

RECIPES = Path(__file__).parent / "configs"
DEFAULT_RECIPE = "state-64"


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """What both networks lower.

    Attributes:
      loss: ``relativistic`` or ``non_saturating``.
      penalty: weight of R1 + R2, the squared gradient of the discriminator at real and at generated pictures; 0 for
        none.
      later_penalty: its weight in the later part of the training, or None for the same: generated pictures are nearer
        to real ones by then, and the discriminator must be free to see finer things.
      later_from: where the later part begins, as a share of the epochs.
      noise: standard deviation of the finite differences that estimate it, of values -1..1.
      augment: differentiable augmentation, in order; empty for none.
    """

    loss: Loss = "relativistic"
    penalty: float = 0.05
    later_penalty: float | None = None
    later_from: float = 0.6
    noise: float = 0.02
    augment: tuple[Operation, ...] = ("colour", "translation", "cutout")

    def __post_init__(self):
        for name in ("penalty", "later_penalty"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must not be below zero")
        if not 0 <= self.later_from <= 1:
            raise ValueError(f"later_from={self.later_from!r} must be from 0 to 1")
        if self.noise <= 0:
            raise ValueError(f"noise={self.noise!r} must be above zero")

    def penalty_at(self, share: float) -> float:
        """Returns the weight of R1 + R2 where so much of the training is done, 0..1."""
        later = self.later_penalty is not None and share >= self.later_from
        return float(self.later_penalty if later and self.later_penalty is not None else self.penalty)


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """How the weights move.

    Attributes:
      rate: the generator's learning rate.
      ratio: the discriminator's over the generator's (TTUR); 1 for the same.
      final: the rates at the end, over those at the start; they fall along a cosine.
      beta_1, beta_2: Adam's.
      clip: largest norm of a variable's gradient; 0 for no clipping.
      averaging: momentum of the average of the weights, which is what is exported, 0..1.
    """

    rate: float = 2e-4
    ratio: float = 1.0
    final: float = 0.2
    beta_1: float = 0.0
    beta_2: float = 0.99
    clip: float = 0.0
    averaging: float = 0.998

    def __post_init__(self):
        for name in ("rate", "ratio", "final"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be above zero")
        for name in ("beta_1", "beta_2", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 0 and below 1")
        if self.clip < 0:
            raise ValueError(f"clip={self.clip!r} must not be below zero")


@dataclasses.dataclass(frozen=True)
class GanConfig:
    """All that decides the weights.

    Attributes:
      articles: what is learnt from; its size is that of the network.
      output: folder for datasets, weights, checkpoints, curves and sheets.
      steps: optimiser steps; each shows the discriminator ``batch_size`` real pictures.
      batch_size: pictures a step.
      mirrored: whether real pictures are mirrored at random.
      balance: how far rare categories are drawn more often, 0 as they come to 1 all alike.
      limit: most articles to learn from, drawn by the hash of their ids; 0 for all.
      seed: of initial weights and all draws.
      steps_per_epoch: steps between two lines of the curves, two checkpoints and two looks at coverage.
      stop_after: epochs after which the training ends, with the rates of the whole; 0 for all. A later training of
        the same settings goes on from there.
      precision: what the networks compute in.
      network, loss, optimiser: as they are named.
    """

    articles: ArticleSource
    output: str
    steps: int = 10_000
    batch_size: int = 32
    mirrored: bool = True
    balance: float = 0.3
    limit: int = 0
    seed: int = 7
    steps_per_epoch: int = 250
    stop_after: int = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    optimiser: OptimiserConfig = dataclasses.field(default_factory=OptimiserConfig)

    def __post_init__(self):
        for name in ("steps", "steps_per_epoch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1")
        if self.batch_size < 4:
            raise ValueError(f"batch_size={self.batch_size!r} must be at least 4, a quarter of which is penalised")
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance={self.balance!r} must be from 0 to 1")
        for name in ("limit", "stop_after"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must not be below zero")
        if self.articles.size != self.network.size:
            raise ValueError(f"articles.size={self.articles.size!r} must be network.size={self.network.size!r}")
        if self.network.ground is not None and self.articles.fit != "product":
            raise ValueError(f"network.ground={self.network.ground!r} is for articles.fit: product; leave it out")
        if not self.output:
            raise ValueError("output is empty; name the folder for weights, checkpoints and curves")

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> GanConfig:
        """Builds a configuration from parsed JSON or YAML.

        Raises:
          ValueError: a key is unknown or missing, or a value is of the wrong type or out of range; it is named.
        """
        articles = values.get("articles") or {}
        for name, value in (("articles.path", articles.get("path")), ("output", values.get("output"))):
            if not value:
                flag = name.removeprefix("articles.").replace("path", "catalogue")
                raise ValueError(f"{name} is missing; give it in the configuration file or as --{flag}")
        return build(cls, values)

    def fingerprint(self, data: str) -> str:
        """Returns 12 hexadecimal digits that change with whatever decides the weights.

        Args:
          data: says what is trained on.
        """
        decisive = dataclasses.asdict(self)
        for name in ("output", "articles", "stop_after"):
            del decisive[name]
        return hashlib.sha256(json.dumps([decisive, data], sort_keys=True).encode()).hexdigest()[:12]


def read_recipe(name_or_path: str = DEFAULT_RECIPE, flags: dict[str, Any] | None = None) -> dict[str, Any]:
    """Reads a YAML file of training settings, with what was given on the command line in its place.

    Args:
      name_or_path: path of a file, or the name of a recipe that comes with Packshot. Relative paths in the file are
        relative to its own folder.
      flags: by name; None for those that were not given. ``catalogue``, ``cutouts`` and those that end in ``_column``
        are of ``articles``.

    Raises:
      ValueError: there is no such file, or it is no YAML mapping.
    """
    settings, folder = read_settings(name_or_path, RECIPES)
    settings = {**settings, **resolved(settings, "output", folder)}
    articles = dict(settings.get("articles") or {})
    for name in ("path", "cutouts"):
        articles.update(resolved(articles, name, folder))
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    if "catalogue" in given:
        articles["path"] = given.pop("catalogue")
    articles |= {name: given[name] for name in names_of(ArticleSource) if name in given}
    settings |= {name: given[name] for name in names_of(GanConfig) if name in given}
    return {**settings, "articles": articles}
