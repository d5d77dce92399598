"""The settings of a training: all that decides the weights, read from YAML and checked before anything starts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from models.articles import ArticleSource
from models.settings import build, read_settings, resolved
from models.superres.network import NetworkConfig
from models.superres.samples import Degradations

RECIPES = Path(__file__).parent / "configs"
DEFAULT_RECIPE = "packshot-superres"


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that decides the weights.

    Attributes:
      articles: the photos to learn from; ``fit`` must be crop: enlarging is learnt from photos at their own scale.
      output: folder for weights, checkpoints and curves.
      patch: side of the large patches in pixels, even.
      batch_size: pairs of patches a step.
      steps: optimiser steps.
      rate: learning rate at the start, falling to a fiftieth along a cosine.
      averaging: momentum of the average of the weights, which is what is exported, 0..1.
      seed: of initial weights and of all samples.
      steps_per_epoch: steps between two lines of the curves and two checkpoints.
      stop_after: epochs after which training ends, on the schedule of all ``steps``; 0 for none. Raised, it goes on.
      degradations: how small patches come about.
      network: the network's shape.
    """

    articles: ArticleSource
    output: str
    patch: int = 96
    batch_size: int = 8
    steps: int = 3000
    rate: float = 3e-3
    averaging: float = 0.998
    seed: int = 7
    steps_per_epoch: int = 100
    stop_after: int = 0
    degradations: Degradations = dataclasses.field(default_factory=Degradations)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)

    def __post_init__(self):
        if self.articles.fit != "crop":
            raise ValueError(
                f"articles.fit={self.articles.fit!r} must be 'crop'; enlarging is learnt at a photo's scale"
            )
        if self.patch < 32 or self.patch % 2:
            raise ValueError(f"patch={self.patch!r} must be even and at least 32")
        for name in ("batch_size", "steps", "steps_per_epoch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1")
        if self.steps % self.steps_per_epoch:
            raise ValueError(f"steps={self.steps!r} must be a multiple of steps_per_epoch={self.steps_per_epoch!r}")
        if self.stop_after < 0:
            raise ValueError(f"stop_after={self.stop_after!r} must be 0 or more")
        if not self.rate > 0:
            raise ValueError(f"rate={self.rate!r} must be above zero")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging={self.averaging!r} must be at least 0 and below 1")
        if not self.output:
            raise ValueError("output is empty; name the folder for weights, checkpoints and curves")

    def fingerprint(self) -> str:
        """Returns 12 hexadecimal digits that change with whatever decides the weights after each epoch."""
        decisive = {k: v for k, v in dataclasses.asdict(self).items() if k not in ("output", "stop_after")}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def read_config(name_or_path: str = DEFAULT_RECIPE, catalogue: str | None = None, **flags: Any) -> TrainingConfig:
    """Reads the settings of a training.

    Args:
      name_or_path: a YAML file, or the name of a recipe that comes with Packshot.
      catalogue: path of the photos, in place of the file's ``articles.path``.
      flags: settings that take the place of the file's; None for those that were not given.

    Raises:
      ValueError: a file or a setting is missing, or a value is wrong; it is named.
    """
    settings, folder = read_settings(name_or_path, RECIPES)
    settings = {**settings, **resolved(settings, "articles", folder), **resolved(settings, "output", folder)}
    settings.update({name: value for name, value in flags.items() if value is not None})
    if catalogue:
        settings["articles"] = {**settings.get("articles", {}), "path": catalogue}
    if not settings.get("output"):
        raise ValueError("output is missing; give it in the configuration file or as --output")
    return build(TrainingConfig, settings)
