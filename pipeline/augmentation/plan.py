"""The augmentation plan: a YAML file that says which samples are made beside the packshots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

import models
from models.gating import GateSettings
from models.settings import build, read_settings
from transforms.augment import Operation
from transforms.generated_backdrop import KINDS

USUAL_OPERATIONS = tuple(
    Operation(name) for name in ("flip", "rotate", "scale", "crop", "brightness", "contrast", "hue", "saturation")
)
_RECIPES = Path(__file__).parent / "plans"
WEIGHTS = Path(models.__file__).parent / "gan" / "weights"  # of generators that come with Packshot
_MODEL_SUFFIXES = (".keras", ".tflite", ".npz", ".onnx")


@dataclasses.dataclass(frozen=True)
class Balance:
    """Categories that are filled up with generated products.

    Attributes:
      to: distinct photos and generated products that a category is to have together.
      column: the attribute column that tells a photo's category.
      only: the categories that are filled; all of the catalogue's if empty.
      force: generate for categories, too, for which no gain was proved.
    """

    to: int
    column: str = "category"
    only: tuple[str, ...] = ()
    force: bool = False

    def __post_init__(self):
        if self.to < 1:
            raise ValueError(f"to={self.to!r} must be at least 1")


@dataclasses.dataclass(frozen=True)
class Variants:
    """Classical variants of every photo.

    Attributes:
      count: of each photo.
      operations: done in this order.
    """

    count: int = 1
    operations: tuple[Operation, ...] = USUAL_OPERATIONS

    def __post_init__(self):
        if self.count < 1:
            raise ValueError(f"count={self.count!r} must be at least 1")
        if not self.operations:
            raise ValueError("operations=[] must name at least one operation")


@dataclasses.dataclass(frozen=True)
class Backdrops:
    """Every product, its pixels unchanged, on generated grounds.

    Attributes:
      count: of each photo; it takes the kinds in turn, and another photo begins with another one.
      kinds: of ground.
      shadow: ``drop`` for products that lie, ``contact`` for those that stand, or ``none``.
    """

    count: int = 1
    kinds: tuple[str, ...] = KINDS
    shadow: Literal["drop", "contact", "none"] = "drop"

    def __post_init__(self):
        if self.count < 1:
            raise ValueError(f"count={self.count!r} must be at least 1")
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise ValueError(f"kinds names {unknown[0]!r}; it must be a list of {', '.join(KINDS)}")
        if not self.kinds:
            raise ValueError(f"kinds=[] must name at least one of {', '.join(KINDS)}")


@dataclasses.dataclass(frozen=True)
class AugmentationPlan:
    """What ``--augment`` makes; at least one of balance, variants and backdrops.

    Attributes:
      balance, variants, backdrops: what is made, None for nothing of the kind.
      generator: of the products for ``balance``: a name, or the path of a file of weights.
      gate: what a generated product must pass.
      enabled_categories: file of ``packshot evaluate augmentation``: only categories that it enables are generated. Or
        the name of a generator that comes with Packshot, for what was found of it.
      photos: which photos have samples made of them and count in their category: those that are ready, or all that
        were accepted.
      longest_side: of samples made from photos, in pixels; larger photos are shrunk.
      format: of the samples' files; generated products are always PNG.
      tfrecord: whether to write them as a TensorFlow dataset, too.
    """

    balance: Balance | None = None
    variants: Variants | None = None
    backdrops: Backdrops | None = None
    generator: str = ""
    gate: GateSettings = dataclasses.field(default_factory=GateSettings)
    enabled_categories: str = ""
    photos: Literal["ready", "all"] = "ready"
    longest_side: int = 1024
    format: Literal["png", "jpeg"] = "png"
    tfrecord: bool = False

    def __post_init__(self):
        if not (self.balance or self.variants or self.backdrops):
            raise ValueError("the plan asks for nothing; give it balance, variants or backdrops")
        if self.longest_side < 16:
            raise ValueError(f"longest_side={self.longest_side!r} must be at least 16")
        if self.balance and not self.generator:
            raise ValueError("balance needs a generator; name one, or the path of its weights")
        if self.balance and not self.enabled_categories and not self.balance.force:
            raise ValueError(
                "balance needs enabled_categories, the file of packshot evaluate augmentation that says where "
                "generated products help; or balance.force: true to generate without that proof"
            )

    @property
    def samples_a_photo(self) -> int:
        """How many samples are made of one photo."""
        return sum(part.count for part in (self.variants, self.backdrops) if part)


def read_plan(path: str) -> AugmentationPlan:
    """Reads a plan.

    Args:
      path: a YAML file, or the name of a plan that comes with Packshot. Relative paths in it are relative to its
        folder.

    Raises:
      ValueError: there is no such file, or something in it is unknown or out of its range; it is named.
    """
    settings, folder = read_settings(path, _RECIPES)
    settings = {**settings, **_paths(settings, folder)}
    if isinstance(settings.get("variants"), dict):
        settings["variants"] = _spelt_out(settings["variants"])
    try:
        return build(AugmentationPlan, settings)
    except ValueError as error:
        raise ValueError(f"augmentation plan {path!r}: {error}") from error


def read_enabled(path: str) -> frozenset[str]:
    """Reads which categories generated products were proved to help.

    Args:
      path: YAML or JSON of ``packshot evaluate augmentation``: ``{category: {difference, low, high, enabled}}``, by
        itself or under ``categories``.

    Returns:
      The categories that are enabled and whose lower bound is above zero.

    Raises:
      ValueError: there is no such file, or it is no such mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except OSError as error:
        raise ValueError(f"enabled_categories={path!r} cannot be read: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"enabled_categories={path!r} is no YAML: {' '.join(str(error).split())}") from error
    found = content.get("categories", content) if isinstance(content, Mapping) else None
    if not isinstance(found, Mapping) or not all(_is_judged(value) for value in found.values()):
        raise ValueError(
            f"enabled_categories={path!r} must be a mapping {{category: {{difference, low, high, enabled}}}}, as "
            "packshot evaluate augmentation writes it"
        )
    return frozenset(str(name) for name, value in found.items() if value["enabled"] and (value["low"] or 0) > 0)


def _is_judged(value: Any) -> bool:
    if not isinstance(value, Mapping) or not {"low", "enabled"} <= value.keys():
        return False
    return value["low"] is None or isinstance(value["low"], int | float)


def _paths(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns the settings that are paths, made relative to the current folder; names of models stay as they are."""

    def found(value: Any, *, always: bool = False) -> Any:
        named = not always and not str(value).endswith(_MODEL_SUFFIXES) and "/" not in str(value)
        if not isinstance(value, str) or not value or "://" in value or named:
            return value
        return str(folder / value)

    changed = {"generator": found(settings["generator"])} if "generator" in settings else {}
    if "enabled_categories" in settings:
        value = settings["enabled_categories"]
        shipped = WEIGHTS / f"{value}.enabled.yaml"
        changed["enabled_categories"] = str(shipped) if shipped.exists() else found(value, always=True)
    gate = settings.get("gate")
    if isinstance(gate, dict):
        changed["gate"] = {
            name: found(value) if name in ("file", "classifier") else value for name, value in gate.items()
        }
    return changed


def _spelt_out(variants: dict[str, Any]) -> dict[str, Any]:
    """Lets an operation be given by its name alone."""
    operations = variants.get("operations")
    if not isinstance(operations, list):
        return variants
    return {**variants, "operations": [{"name": o} if isinstance(o, str) else o for o in operations]}
