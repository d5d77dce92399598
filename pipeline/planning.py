"""What a run will do, found out before anything is spent: cheap columns and listings only."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import platform
from collections.abc import Iterator
from importlib import metadata

import pyarrow as pa

from models.registry import ModelSpec, resolve_model
from pipeline.colour_reference import load_looks
from pipeline.config import RunConfig
from pipeline.credentials import room_for_credentials
from pipeline.records import catalogue_schema
from pipeline.refresh import PreviousRows, RefreshPlan, latest_run, load_previous, new_run_name, plan_refresh
from pipeline.sources.items import PlannedItem, WorkItem, check_unique
from pipeline.sources.listing import Source, open_source
from pipeline.version import __version__
from transforms import faces
from transforms.colour_transfer import EVERY_CATEGORY, Look
from transforms.profile import Profile

_ROWS_PER_SHARD = 50_000
_LIBRARIES = (
    "apache-beam",
    "tensorflow",
    "keras",
    "ai-edge-litert",
    "opencv-python-headless",
    "pillow",
    "numpy",
    "pyarrow",
    "c2pa-python",
)


@dataclasses.dataclass(frozen=True)
class RunPlan:
    """A run that is ready to start.

    Attributes:
      config: the settings.
      profile: the profile's rules.
      encoding_profile: the same with byte limits that leave room for a C2PA manifest, if one is to be signed.
      model: the segmentation model.
      looks: of ``--colour_reference`` by category; empty for none.
      source: the opened input.
      items: the pieces of work.
      previous: the last committed run's rows.
      refresh: how the input stands to that run.
      run: the new run's name.
      expected_latest: the last committed run, None before the first.
      fingerprint: of the configuration.
      schema: of the catalogue table.
      started: when planning began, with a time zone.
    """

    config: RunConfig
    profile: Profile
    encoding_profile: Profile
    model: ModelSpec
    looks: dict[str, Look]
    source: Source
    items: list[WorkItem]
    previous: PreviousRows
    refresh: RefreshPlan
    run: str
    expected_latest: str | None
    fingerprint: str
    schema: pa.Schema
    started: datetime.datetime

    @property
    def read(self) -> int:
        """Number of photos in the input."""
        return sum(len(item.ids) for item in self.items)

    @property
    def shards(self) -> int:
        """Number of files a table is written in; follows from the input alone."""
        return max(1, -(-self.read // _ROWS_PER_SHARD))

    def planned_items(self) -> Iterator[PlannedItem]:
        """Yields the pieces of work, each with what the last run knew of its photos."""
        for item in self.items:
            rows = self.previous.rows(item.ids)
            yield PlannedItem(item, {i: row for i, row in zip(item.ids, rows, strict=True) if row is not None})


def plan_run(config: RunConfig, now: datetime.datetime | None = None) -> RunPlan:
    """Opens the input, the model and the last run, and compares them.

    Args:
      config: the settings.
      now: the time that names the run; the clock's by default.

    Raises:
      ValueError: anything that the user must put right before a run: an unknown profile or model, an input
        that is empty or has no such column, an id that comes twice.
    """
    started = now or datetime.datetime.now(datetime.UTC)
    profile = config.load_profile()
    if config.blur_faces:
        faces.check_available()
    credentials = config.credentials()
    encoding_profile = room_for_credentials(profile, credentials.check()) if credentials else profile
    model = resolve_model(config.segmentation_model)
    source = open_source(
        config.input,
        id_column=config.id_column,
        image_column=config.image_column,
        attribute_columns=config.attribute_columns,
    )
    schema = catalogue_schema(source.attribute_schema)
    items = list(source.items())
    check_unique(items)
    expected_latest = latest_run(config.output)
    previous = PreviousRows(load_previous(config.output, expected_latest))
    ids = list(itertools.chain.from_iterable(item.ids for item in items))
    return RunPlan(
        config=config,
        profile=profile,
        encoding_profile=encoding_profile,
        model=model,
        looks=_load_looks(config),
        source=source,
        items=items,
        previous=previous,
        refresh=plan_refresh(ids, previous),
        run=new_run_name(started),
        expected_latest=expected_latest,
        fingerprint=config.fingerprint(__version__),
        schema=schema,
        started=started,
    )


def _load_looks(config: RunConfig) -> dict[str, Look]:
    if not config.colour_reference:
        return {}
    looks = load_looks(config.colour_reference, config.segmentation_model)
    categories = len(looks.keys() - {EVERY_CATEGORY})
    if categories and config.category_column not in config.attribute_columns:
        raise ValueError(
            f"--colour_reference={config.colour_reference!r} has looks of {categories} categories, but "
            f"--attribute_columns does not name the column {config.category_column!r} that tells them"
        )
    return looks


def describe_plan(plan: RunPlan) -> str:
    """Returns what the run would do, for a person."""
    config, refresh = plan.config, plan.refresh
    last = plan.expected_latest or "none"
    redo = " (all are done again: --full_refresh)" if config.full_refresh else ""
    return "\n".join(
        [
            f"input     {config.input}: {plan.read:,} photos in {len(plan.items):,} pieces",
            f"output    {config.output}: last committed run {last}",
            f"photos    {refresh.new:,} new, {refresh.known:,} known{redo}, {len(refresh.removed):,} removed",
            f"model     {plan.model.name} {plan.model.sha256[:12]}",
            f"profile   {plan.profile.name}: {plan.profile.width}x{plan.profile.height}, {', '.join(config.outputs)}",
        ]
    )


def library_versions() -> dict[str, str]:
    """Returns the versions that a run's pixels may depend on."""
    versions = {"packshot": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
