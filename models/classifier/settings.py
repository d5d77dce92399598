"""The settings of a classifier: all that decides its weights, read from YAML and checked before anything starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from models.articles import ArticleSource, Fit
from models.classifier.augment import Augmentation
from models.classifier.network import NetworkConfig
from models.settings import build, read_settings, resolved

RECIPES = Path(__file__).parent / "configs"
DEFAULT_RECIPE = "article-classifier"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a classifier is trained, whatever it is trained on.

    Attributes:
      steps: optimiser steps.
      batch_size: pictures a step.
      rate: learning rate at its peak, falling to a hundredth along a cosine.
      weight_decay: of AdamW, decoupled.
      averaging: momentum of the average of the weights, which is what is kept, 0..1.
      smoothing: of the labels, 0..1 (Szegedy et al., CVPR 2016).
      colour_weight: how much telling the main colour counts beside telling the category.
      balance: 0 draws all pictures alike, 1 all categories alike.
      steps_per_epoch: steps between two lines of the curves and two checkpoints.
      augmentation: how pictures are varied.
      network: the network's shape.
    """

    steps: int = 1200
    batch_size: int = 64
    rate: float = 3e-3
    weight_decay: float = 0.05
    averaging: float = 0.995
    smoothing: float = 0.1
    colour_weight: float = 0.3
    balance: float = 0.5
    steps_per_epoch: int = 50
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)

    def __post_init__(self):
        for name in ("steps", "batch_size", "steps_per_epoch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1")
        if self.rate <= 0:
            raise ValueError(f"rate={self.rate!r} must be above zero")
        for name in ("averaging", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 0 and below 1")
        for name in ("weight_decay", "colour_weight", "balance"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must not be negative")


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """What ``packshot train classifier`` trains.

    Attributes:
      catalogue: the photos to learn from; its ``fit`` and ``size`` are those of ``fits`` and of the network.
      output: folder for datasets, weights, checkpoints and curves.
      fits: how photos are brought to a square; with several, every photo is learnt from in each.
      seed: of initial weights, draws and variations.
      recipe: how it is trained.
      name: of the weight file.
    """

    catalogue: ArticleSource
    output: str
    fits: tuple[Fit, ...] = ("product", "frame")
    seed: int = 7
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    name: str = DEFAULT_RECIPE

    def __post_init__(self):
        if not self.fits:
            raise ValueError("fits=[] must name at least one of product, frame and crop")
        if not self.output:
            raise ValueError("output is empty; name the folder for weights, checkpoints and curves")

    @property
    def sources(self) -> tuple[ArticleSource, ...]:
        """The catalogue in each fit."""
        return tuple(dataclasses.replace(self.catalogue, fit=fit, size=self.recipe.network.size) for fit in self.fits)


def read_recipe(name_or_path: str = DEFAULT_RECIPE) -> Recipe:
    """Reads only how a classifier is trained.

    Raises:
      ValueError: as for ``read_config``.
    """
    return build(Recipe, read_settings(name_or_path, RECIPES)[0].get("recipe") or {}, "recipe")


def read_config(name_or_path: str, flags: dict[str, Any]) -> ClassifierConfig:
    """Reads a recipe, with those settings in their place that were given on the command line.

    Args:
      name_or_path: a YAML file, or the name of a recipe that comes with Packshot.
      flags: by name, None for those not given: ``catalogue`` is the path, ``cutouts`` and the columns are the
        catalogue's, ``output``, ``seed`` and ``fits`` are settings.

    Raises:
      ValueError: a setting is unknown, missing or not what it should be; it is named.
    """
    settings, folder = read_settings(name_or_path, RECIPES)
    settings = {**settings, **resolved(settings, "output", folder), **resolved(settings, "catalogue", folder)}
    catalogue = settings.get("catalogue") or {}
    catalogue = {"path": catalogue} if isinstance(catalogue, str) else dict(catalogue)
    catalogue.update(resolved(catalogue, "cutouts", folder))
    given = {name: value for name, value in flags.items() if value is not None}
    names = {field.name for field in dataclasses.fields(ArticleSource)}
    catalogue.update({name: value for name, value in given.items() if name in names - {"path", "fit", "size"}})
    if "catalogue" in given:
        catalogue["path"] = given["catalogue"]
    for name, there in (
        ("catalogue", catalogue.get("path")),
        ("output", given.get("output") or settings.get("output")),
    ):
        if not there:
            raise ValueError(f"{name} is missing; give it in the configuration file or as --{name}")
    # the fits decide what is read: the catalogue alone must not ask for cut-outs
    settings["catalogue"] = {"fit": "frame", **catalogue}
    settings.update({name: given[name] for name in ("output", "seed", "fits") if name in given})
    return build(ClassifierConfig, settings)
