"""What a run will do, found out before anything is spent: cheap columns and listings only."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
import platform
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata
from typing import Any

import pyarrow as pa

from models.registry import ModelSpec, resolve_model
from models.vae.anomaly import JudgeSpec, describe_judge
from pipeline.augmentation.prepared import Augmentation, describe_augmentation, prepare
from pipeline.carry_over import PreviousPictures
from pipeline.colour_reference import load_looks
from pipeline.config import RunConfig
from pipeline.credentials import room_for_credentials
from pipeline.previous import PreviousRows, load_previous
from pipeline.records import OWN_COLUMNS, catalogue_schema
from pipeline.refresh import RefreshPlan, latest_run, new_run_name, plan_refresh
from pipeline.sinks import storage
from pipeline.sinks.carried import CarriedRows
from pipeline.sinks.journal import FinishedRows, journal_key, noted_files
from pipeline.sinks.tables import read_part, shard_of, table_parts
from pipeline.sources.items import SourceOptions, check_unique
from pipeline.sources.listing import open_source
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
    "ImageHash",
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
      anomaly: the anomaly model, or None for none.
      options: the columns of the input that are read.
      read: number of photos that the run accounts for.
      pieces: number of pieces that the input is read in.
      previous: the last committed run's rows.
      refresh: how the input stands to that run.
      kept_rejections: rows of its rejections table that stay as they are.
      noted: files of rows that runs which did not end have finished since, of ``pipeline.sinks.journal``.
      run: the new run's name.
      expected_latest: the last committed run, None before the first.
      fingerprint: of the configuration.
      schema: of the catalogue table.
      started: when planning began, with a time zone.
      augmentation: the training samples that are asked for, None for none.
    """

    config: RunConfig
    profile: Profile
    encoding_profile: Profile
    model: ModelSpec
    looks: dict[str, Look]
    anomaly: JudgeSpec | None
    options: SourceOptions
    read: int
    pieces: int
    previous: PreviousRows
    refresh: RefreshPlan
    kept_rejections: tuple[CarriedRows, ...]
    noted: tuple[str, ...]
    run: str
    expected_latest: str | None
    fingerprint: str
    schema: pa.Schema
    started: datetime.datetime
    augmentation: Augmentation | None = None

    @property
    def to_do(self) -> int:
        """Number of photos that are looked at."""
        return self.refresh.new + self.refresh.known

    @property
    def shards(self) -> int:
        """Number of files a table is written in; follows from the input alone."""
        return shards_of(self.read)

    @property
    def removed_ids(self) -> list[str]:
        """The sorted ids of the last run that the input has no longer."""
        return sorted(self.previous.ids(self.refresh.removed))

    def carried_rows(self) -> Iterator[CarriedRows]:
        """Yields the rows of the last run's catalogue that stay without a look at their photos."""
        return self.previous.carried(self.refresh.unmoved, self.shards, refresh="unchanged")

    @property
    def journal_key(self) -> str:
        """What must agree before this run goes on from another one's finished rows."""
        return journal_key(self.fingerprint, self.model.sha256, self.config.full_refresh)

    def finished(self) -> FinishedRows:
        """Returns where to find the rows that runs which did not end have finished."""
        return FinishedRows(self.config.output, self.noted)

    def removed_rows(self) -> Iterator[CarriedRows]:
        """Yields the rows of the photos that the last run had and the input has no longer."""
        return self.previous.carried(self.refresh.removed, self.shards, last_run=self.expected_latest)

    def pictures(self) -> PreviousPictures | None:
        """Returns where to find pictures of the same bytes in the last run.

        None where there are none, where all are to be made again, and where more than the bytes decides them.
        """
        if self.expected_latest is None or self.config.full_refresh or self.options.category_column:
            return None
        return PreviousPictures(self.config.output, self.expected_latest, self.fingerprint, self.model.sha256)


def shards_of(rows: int) -> int:
    """Returns the number of files that a table of so many rows is written in."""
    return max(1, -(-rows // _ROWS_PER_SHARD))


def plan_run(config: RunConfig, now: datetime.datetime | None = None) -> RunPlan:
    """Opens the input, the model and the last run, and compares them.

    Args:
      config: the settings.
      now: the time that names the run; the clock's by default.

    Raises:
      ValueError: anything that the user must put right before a run: an unknown profile or model, an input
        that is empty or has no such column, an id that comes twice.
    """
    return _plan(config, now, None)


def plan_replay(
    output: str, reasons: Collection[str] = (), settings: Mapping[str, Any] | None = None,
    now: datetime.datetime | None = None,
) -> RunPlan:  # fmt: skip
    """Plans a run over photos that the last run rejected; all else stays as that run left it.

    Args:
      output: the output folder.
      reasons: only photos that were rejected for one of these; empty for all.
      settings: of ``RunConfig``, in place of those of the last run.
      now: the time that names the run; the clock's by default.

    Raises:
      ValueError: there is no committed run, or it rejected nothing of the kind.
    """
    run = latest_run(output)
    if run is None:
        raise ValueError(f"{output!r} holds no committed run; name the --output of a finished run")
    last = json.loads(storage.read_bytes(storage.join(output, "runs", run, "run.json")))
    config = RunConfig.from_mapping({**last["config"], "full_refresh": False, **(settings or {}), "output": output})
    rejected = [
        (part, row)
        for part in table_parts(output, "rejections", run)
        for row in read_part(output, part, ["id", "reason"]).to_pylist()
    ]
    found = collections.Counter(row["reason"] for _, row in rejected)
    if unknown := sorted(set(reasons) - set(found)):
        there = ", ".join(f"{reason} ({count:,})" for reason, count in sorted(found.items())) or "none"
        raise ValueError(f"run {run!r} rejected no photo for the reason {unknown[0]!r}; its rejections are: {there}")
    only = frozenset(row["id"] for _, row in rejected if not reasons or row["reason"] in reasons)
    if not only:
        raise ValueError(f"run {run!r} rejected no photo; there is nothing to replay")
    return _plan(config, now, only)


def _plan(config: RunConfig, now: datetime.datetime | None, only: frozenset[str] | None) -> RunPlan:
    """Plans a run; over those photos alone whose ids are in ``only``, if it is given."""
    started = now or datetime.datetime.now(datetime.UTC)
    profile = config.load_profile()
    if config.blur_faces:
        faces.check_available()
    credentials = config.credentials()
    encoding_profile = room_for_credentials(profile, credentials.check()) if credentials else profile
    model = resolve_model(config.segmentation_model)
    looks = _load_looks(config)
    anomaly = describe_judge(config.anomaly_model) if config.anomaly_model else None
    source = open_source(
        config.input,
        id_column=config.id_column,
        image_column=config.image_column,
        attribute_columns=config.attribute_columns,
    )
    by_category = len(looks.keys() - {EVERY_CATEGORY}) > 0 or (
        anomaly is not None and config.category_column in config.attribute_columns
    )
    options = dataclasses.replace(source.options, category_column=config.category_column if by_category else "")
    schema = catalogue_schema(source.attribute_schema)
    items = list(source.items())
    check_unique(items)
    expected_latest = latest_run(config.output)
    fingerprint = config.fingerprint(__version__)
    previous = load_previous(
        config.output,
        expected_latest,
        fingerprint=fingerprint,
        model_sha256=model.sha256,
        full_refresh=config.full_refresh,
        category_column=options.category_column or None,
    )
    # Attributes of a file that was not touched are those of the last run, if that run carried the same.
    trust_storage = not config.verify_content and _attributes(previous.schema) == _attributes(schema)
    refresh = plan_refresh(items, previous, trust_storage=trust_storage, only=only)
    read = sum(len(item.ids) for item in items)
    kept_rejections: tuple[CarriedRows, ...] = ()
    if only is not None:
        assert expected_latest is not None
        replayed = {i for planned in refresh.items for i in planned.ids()}
        kept_rejections, rejected = _kept_rejections(config.output, expected_latest, replayed, len(previous))
        read = len(previous) + rejected
    augmentation = prepare(
        config,
        version=__version__,
        photos=read,
        values=source.values,
        previous_run=expected_latest,
    )
    key = journal_key(fingerprint, model.sha256, config.full_refresh)
    return RunPlan(
        config=config,
        profile=profile,
        encoding_profile=encoding_profile,
        model=model,
        looks=looks,
        anomaly=anomaly,
        options=options,
        read=read,
        pieces=len(items),
        previous=previous,
        refresh=refresh,
        kept_rejections=kept_rejections,
        # notes do not tell the category on which pictures may depend
        noted=() if options.category_column else noted_files(config.output, key, expected_latest),
        run=new_run_name(started),
        expected_latest=expected_latest,
        fingerprint=fingerprint,
        schema=schema,
        started=started,
        augmentation=augmentation,
    )


def _attributes(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return [(field.name, field.type) for field in schema if field.name not in OWN_COLUMNS]


def _kept_rejections(
    output: str, run: str, replayed: Collection[str], accepted: int
) -> tuple[tuple[CarriedRows, ...], int]:
    """Returns the rejections that a replay leaves as they are, and how many there were in all."""
    ids = [
        (part, read_part(output, part, ["id"]).column("id").to_pylist())
        for part in table_parts(output, "rejections", run)
    ]
    rejected = sum(len(names) for _, names in ids)
    shards = shards_of(accepted + rejected)
    kept: dict[tuple[int, str], list[int]] = {}
    for part, names in ids:
        for position, name in enumerate(names):
            if name not in replayed:
                kept.setdefault((shard_of(name, shards), part), []).append(position)
    return tuple(CarriedRows(shard, part, tuple(places), {}) for (shard, part), places in kept.items()), rejected


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
    """Returns what the run would do as far as it is known without reading a photo, for a person."""
    config, refresh = plan.config, plan.refresh
    last = plan.expected_latest or "none"
    known = "to be done again: --full_refresh" if config.full_refresh else "to be compared"
    resumed = "; goes on where a run stopped that did not end" if plan.noted else ""
    augment = [f"augment   {line}" for line in describe_augmentation(plan.augmentation, plan.read)]
    return "\n".join(
        [
            f"input     {config.input}: {plan.read:,} photos in {plan.pieces:,} pieces",
            f"output    {config.output}: last committed run {last}",
            f"photos    {refresh.new:,} new, {refresh.known:,} {known}, {len(refresh.unmoved):,} unmoved, "
            f"{len(refresh.removed):,} removed{resumed}",
            f"model     {plan.model.name} {plan.model.sha256[:12]}",
            *([f"anomalies {plan.anomaly.name} {plan.anomaly.sha256[:12]}"] if plan.anomaly else []),
            f"profile   {plan.profile.name}: {plan.profile.width}x{plan.profile.height}, {', '.join(config.outputs)}",
            *augment,
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
