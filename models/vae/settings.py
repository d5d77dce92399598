"""The settings of a training of the autoencoder: all that decides the weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from models.articles import ArticleSource
from models.settings import build, read_settings, resolved
from models.vae.augment import Variation
from models.vae.losses import LossWeights
from models.vae.network import NetworkConfig

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

RECIPES = Path(__file__).parent / "configs"
DEFAULT_RECIPE = "product-64"


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that decides the weights.

    Attributes:
      articles: the pictures to learn from; their ``size`` is that of the network.
      output: folder for datasets, weights, checkpoints, curves and sheets.
      steps: optimiser steps.
      batch_size: pictures a step.
      rate: highest learning rate, reached after a warm-up and falling to a fiftieth along a cosine.
      weight_decay: of AdamW, decoupled.
      averaging: momentum of the average of the weights, which is what is exported, 0..1.
      kl_warm_up: steps over which the divergence comes to count in full (Bowman et al., CoNLL 2016).
      steps_per_epoch: steps between two lines of the curves and two checkpoints.
      sheet_every: epochs between two sets of sheets.
      memory: latents of training pictures that are kept for the anomaly score, at most.
      spoilt: training pictures, beside all development ones, that detectors learn faults from, at most.
      seed: of initial weights, samples and draws.
      precision: what the network computes in; weights are kept in float32.
      network: the shape.
      loss: how much each term counts.
      variation: how far samples are from their pictures.
    """

    articles: ArticleSource
    output: str
    steps: int = 2000
    batch_size: int = 32
    rate: float = 2e-3
    weight_decay: float = 0.01
    averaging: float = 0.99
    kl_warm_up: int = 200
    steps_per_epoch: int = 25
    sheet_every: int = 4
    memory: int = 1536
    spoilt: int = 1500
    seed: int = 7
    precision: Precision = "float32"
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    loss: LossWeights = dataclasses.field(default_factory=LossWeights)
    variation: Variation = dataclasses.field(default_factory=Variation)

    def __post_init__(self):
        for name in ("steps", "batch_size", "steps_per_epoch", "sheet_every", "memory"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1")
        if self.steps % self.steps_per_epoch:
            raise ValueError(f"steps={self.steps!r} must be a multiple of steps_per_epoch={self.steps_per_epoch!r}")
        if self.rate <= 0:
            raise ValueError(f"rate={self.rate!r} must be above zero")
        if self.kl_warm_up < 0:
            raise ValueError(f"kl_warm_up={self.kl_warm_up!r} must not be negative")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging={self.averaging!r} must be at least 0 and below 1")
        if self.articles.size != self.network.size:
            raise ValueError(f"articles.size={self.articles.size!r} must be network.size={self.network.size!r}")
        if not self.output:
            raise ValueError("output is empty; name the folder for weights, checkpoints and curves")

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> TrainingConfig:
        """Builds a configuration from parsed JSON or YAML.

        Raises:
          ValueError: a key is unknown or missing, or a value is of the wrong type or out of range; it is named.
        """
        articles = values.get("articles") or {}
        if isinstance(articles, str):
            articles = {"path": articles}
        if not articles.get("path"):
            raise ValueError("articles.path is missing; give it in the configuration file or as --catalogue")
        if not values.get("output"):
            raise ValueError("output is missing; give it in the configuration file or as --output")
        return build(cls, {**values, "articles": articles})

    def fingerprint(self, data: str) -> str:
        """Returns 12 hexadecimal digits that change with whatever decides the weights.

        Args:
          data: says what is trained on.
        """
        decisive = dataclasses.asdict(self)
        for name in ("articles", "output", "sheet_every", "memory", "spoilt"):
            del decisive[name]
        return hashlib.sha256(json.dumps({"data": data, **decisive}, sort_keys=True).encode()).hexdigest()[:12]


def read_recipe(name_or_path: str = DEFAULT_RECIPE) -> dict[str, Any]:
    """Reads settings from a YAML file, or from a recipe that comes with Packshot.

    Raises:
      ValueError: there is no such file, or it is no YAML mapping.
    """
    settings, folder = read_settings(name_or_path, RECIPES)
    for name in ("articles", "output"):
        settings = {**settings, **resolved(settings, name, folder)}
    articles = settings.get("articles")
    if isinstance(articles, dict):
        settings["articles"] = {**articles, **resolved(articles, "cutouts", folder)}
    return settings


def override(settings: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings with those that were given on the command line in their place.

    Args:
      settings: from ``read_recipe``.
      flags: by name; None for those that were not given. ``catalogue``, ``cutouts`` and the columns are those of the
        articles; what is no setting is passed over.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    own = {field.name for field in dataclasses.fields(TrainingConfig)} - {"articles"}
    articles = settings.get("articles") or {}
    articles = {"path": articles} if isinstance(articles, str) else dict(articles)
    if "catalogue" in given:
        articles["path"] = given["catalogue"]
    for name in ("cutouts", "id_column", "image_column", "group_column", "category_column"):
        if name in given:
            articles[name] = given[name]
    return {**settings, **{name: given[name] for name in own & given.keys()}, "articles": articles}
