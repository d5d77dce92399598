"""The generator of a plan with its gate: what must be known of it before the job, and loading it in a worker."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path

from models.gate_facts import Classifier, GateFacts, Generator
from models.gating import Gate, GatedGenerator, GateSettings
from models.handlers import files
from pipeline.augmentation.plan import WEIGHTS, AugmentationPlan


@dataclasses.dataclass(frozen=True)
class GeneratorFacts:
    """What must be known of a generator before a job starts; see ``models.gating.Generator``.

    Attributes:
      gate_sha256: of the gate's file; empty where the gate is open.
    """

    name: str
    sha256: str
    size: int
    category_names: tuple[str, ...]
    gate_sha256: str


def generator_facts(plan: AugmentationPlan, load: Callable[[str], Generator]) -> GeneratorFacts:
    """Loads a plan's generator to see what it is.

    Raises:
      ValueError: there is no such generator, or no gate file for it.
    """
    generator = load(plan.generator)
    gate = "" if plan.gate.open else hashlib.sha256(_gate_content(plan)).hexdigest()
    return GeneratorFacts(generator.name, generator.sha256, generator.size, tuple(generator.category_names), gate)


def load_generator(name_or_path: str) -> Generator:
    """Loads a generator of ``models.gan`` by name or path."""
    importlib.import_module("models.gan.network")  # Keras must know its layers before it reads a file that has them
    from models.gan.sampling import Sampler

    return Sampler.load(generator_path(name_or_path))


def load_classifier(name_or_path: str) -> Classifier:
    """Loads the catalogue's classifier by name or path, by default the one that comes with Packshot."""
    from models.classifier import classifier

    return classifier.Classifier.load(name_or_path) if name_or_path else classifier.Classifier.load()


def load_gated(
    generator: str,
    settings: GateSettings,
    sha256: str,
    *,
    gate_file: str,
    load: Callable[[str], Generator] = load_generator,
    load_judge: Callable[[str], Classifier] = load_classifier,
) -> GatedGenerator:
    """Loads a generator and its gate, in a worker.

    Args:
      generator: name or path.
      settings: of the gate.
      sha256: what the generator must hash to.
      gate_file: path of the gate's file.
      load, load_judge: load generator and classifier.

    Raises:
      ValueError: the worker has another generator than the one the job was planned with, or the gate is of another.
    """
    made = load(generator)
    if made.sha256 != sha256:
        raise ValueError(
            f"generator {generator!r} has sha256 {made.sha256} here and {sha256} where the job was started; the same "
            "Packshot and the same generator must be installed on every worker"
        )
    if settings.open:
        return GatedGenerator(made, Gate(settings, None, None), None)
    facts = read_gate(gate_file)
    if facts.generator_sha256 != sha256:
        raise ValueError(f"gate file {gate_file!r} is of another generator; make it anew with packshot train gate")
    return GatedGenerator(made, Gate(settings, facts, load_judge(settings.classifier)), facts)


def gated_loader(plan: AugmentationPlan, generator: GeneratorFacts) -> Callable[[], GatedGenerator]:
    """Returns what loads the plan's generator and gate in a worker; it can be pickled."""
    return functools.partial(load_gated, plan.generator, plan.gate, generator.sha256, gate_file=gate_path(plan))


def gate_path(plan: AugmentationPlan) -> str:
    """Returns where the gate's file lies: as the plan says, or beside the generator."""
    if plan.gate.open or plan.gate.file:
        return plan.gate.file
    return str(Path(generator_path(plan.generator)).with_suffix(".gate.npz"))


def generator_path(name_or_path: str) -> str:
    """Returns the file of a generator that comes with Packshot, by name, or the path as it is."""
    if Path(name_or_path).suffix:
        return name_or_path
    return str(WEIGHTS / f"{name_or_path}.keras")


def read_gate(path: str) -> GateFacts:
    """Reads a gate's file.

    Raises:
      ValueError: there is none, or it is damaged.
    """
    try:
        return GateFacts.from_bytes(files.read_bytes(path))
    except ValueError as error:
        raise ValueError(f"gate file {path!r}: {error}") from error


def _gate_content(plan: AugmentationPlan) -> bytes:
    path = gate_path(plan)
    try:
        return files.read_bytes(path)
    except Exception as error:  # storage clients each have their own
        raise ValueError(
            f"there is no gate file {path!r} for generator {plan.generator!r}; make one with packshot train gate, name "
            "it as gate.file, or let every picture pass with gate.open: true"
        ) from error
