"""The whole job on one page: what flows where."""

from __future__ import annotations

import functools
from typing import Any

import apache_beam as beam

from models.handlers import SegmentationHandler
from models.handlers.anomaly import AnomalyHandler
from pipeline.augmentation.augmenting import AugmentCatalogue, SamplePlaces
from pipeline.carry_over import CarryOver
from pipeline.config import RunConfig
from pipeline.duplicates import FollowLeaders, SharePictures, TakeTwins
from pipeline.first_look import LookAtPhotos, tell
from pipeline.near_duplicates import FindNearDuplicates
from pipeline.plan_lists import ListPlanned
from pipeline.planning import RunPlan, library_versions
from pipeline.progress import CountDone
from pipeline.provenance import SealAssets, ground_type
from pipeline.records import (
    NEAR_DUPLICATES_KEY,
    NEAR_DUPLICATES_SCHEMA,
    REJECTIONS_SCHEMA,
    REMOVED_SCHEMA,
    Encoded,
    Rejection,
    catalogue_row,
)
from pipeline.report import write_report
from pipeline.resuming import ResumePhotos
from pipeline.sinks.assets import WriteAssets
from pipeline.sinks.commit import Commit
from pipeline.sinks.journal import NoteFinished
from pipeline.sinks.packing import PackRows
from pipeline.sinks.write_table import WriteTable
from pipeline.sources.fetch import FetchPhotos, fetch_photo
from pipeline.sources.lookup import SourceReader
from pipeline.sources.read import ReadPhotos
from pipeline.version import __version__
from transforms.anomaly import FindAnomalies
from transforms.colour_transfer import MatchLook
from transforms.compliance import CheckCompliance
from transforms.compose import ComposePackshot
from transforms.decode import DecodeLimits, DecodePhotos
from transforms.encode import EncodeAssets
from transforms.enhance import EnhancePhotos
from transforms.enlarge import EnlargePhotos
from transforms.faces import BlurFaces
from transforms.matte import MattePhotos
from transforms.normalise import NormaliseColour, NormaliseLimits
from transforms.perceptual_hash import HashPhotos
from transforms.placing import required_working_side
from transforms.privacy import ReadLabels
from transforms.quality import JudgeQuality
from transforms.segment import SegmentPhotos


def build_graph(
    pipeline: beam.Pipeline,
    plan: RunPlan,
    *,
    progress: str | None = None,
    marker: str | None = None,
    aside: str | None = None,
    synced: bool = True,
) -> None:
    """Adds the job to a pipeline.

    Pixels live between ``DecodePhotos`` and ``WriteAssets`` alone, which is one fused stage. Its steps all have the
    same resource hints, not only the one that needs a GPU: a runner fuses no steps that ask for different workers.

    Args:
      pipeline: an empty pipeline.
      plan: what to do.
      progress: a file that grows by a byte with every finished photo, or None.
      marker: a file that must be there at the commit, or None; see ``pipeline.markers``.
      aside: where all workers are on this machine, a folder for finished rows on their way to their table, or None.
      synced: whether assets are synced one by one; else those who note them do it for many, which works where all
        workers are on this machine and ``storage.syncs_together`` says so.
    """
    config, model = plan.config, plan.model
    limits = DecodeLimits(max_pixels=config.max_pixels, max_bytes=config.max_bytes)
    # a cut-out has the source's own resolution; without one, no more is decoded than the packshot needs
    wanted = None if "cutout" in config.outputs else required_working_side(plan.profile)
    handler = SegmentationHandler(
        config.segmentation_model, batch_size=config.batch_size, threads=config.model_threads, sha256=model.sha256,
        share_model=config.share_model, half_precision=config.half_precision, second_look=not config.single_look,
    )  # fmt: skip
    row_of = functools.partial(
        catalogue_row,
        model=model.name,
        model_sha256=model.sha256,
        config_fingerprint=plan.fingerprint,
        packshot_version=__version__,
    )
    refused = []
    hints = config.resource_hints()

    # counted before any Flatten, which ends the fused stage: a runner may finish one stage before the next
    def counted(elements, label: str, hints=hints):
        return elements | f"Count{label}" >> beam.ParDo(CountDone(progress)).with_resource_hints(**hints)

    def stage(photos, label: str, transform: beam.PTransform):
        photos, rejections = photos | label >> transform.with_resource_hints(**hints)
        refused.append(counted(rejections, f"Refused{label}"))
        return photos

    listed = functools.partial(ListPlanned, output=config.output, run=plan.run)
    items = (
        pipeline
        | "ListWork" >> listed(plan.refresh.items, name="work")  # PlannedItem
        | "SpreadWork" >> beam.Reshuffle()  # PlannedItem
    )
    fetching = {**_fetching(config), "verify_content": config.verify_content}
    look = LookAtPhotos(plan.options, functools.partial(fetch_photo, **fetching), plan.shards)
    items, unchanged, twins = items | "LookAtPhotos" >> look  # PlannedItem, CarriedRows, Twins
    unchanged = counted(unchanged, "Unchanged", {})
    # told before anything is read for good: a side input ends the stage before it
    items = items | "TellTwins" >> beam.Map(tell, beam.pvalue.AsSingleton(twins))  # PlannedItem
    photos = stage(items, "ReadPhotos", ReadPhotos(plan.options))  # Photo, encoded or a URI
    photos, following = photos | "TakeTwins" >> TakeTwins().with_resource_hints(**hints)  # Photo, Twin
    photos = stage(photos, "FetchPhotos", FetchPhotos(**fetching))  # + content, source_sha256
    carry_over = CarryOver(plan.shards, plan.pictures()).with_resource_hints(**hints)
    photos, carried, leading, rejections = photos | "CarryOver" >> carry_over
    carried = counted(carried, "Carried")  # CarriedRows
    refused.append(counted(rejections, "RefusedCarryOver"))
    if plan.noted:
        resume = ResumePhotos(plan.finished()).with_resource_hints(**hints)
        photos, resumed, resumed_leading = photos | "ResumePhotos" >> resume
        resumed = counted(resumed, "Resumed")  # catalogue row
    photos = stage(photos, "ReadLabels", ReadLabels())  # + source_type, source_credentials
    photos = stage(photos, "DecodePhotos", DecodePhotos(limits, wanted))  # + image
    photos = stage(photos, "HashPhotos", HashPhotos())  # + perceptual
    segment = SegmentPhotos(handler, model.size, closer_look=not config.single_look)
    photos = stage(photos, "SegmentPhotos", segment)  # + coarse_mask, presence
    photos = stage(photos, "MattePhotos", MattePhotos())  # + alpha, foreground
    if config.blur_faces:
        photos = stage(photos, "BlurFaces", BlurFaces())  # image, foreground
    colour_limits = NormaliseLimits.for_neutral_paint() if config.neutral_backdrop else NormaliseLimits()
    photos = stage(photos, "NormaliseColour", NormaliseColour(colour_limits))  # + background_gain
    if plan.looks:
        match = MatchLook(plan.looks, config.colour_transfer, config.category_column)
        photos = stage(photos, "MatchLook", match)  # + the category's ground and tone
    photos = stage(photos, "EnhancePhotos", EnhancePhotos(config.enhance))  # + enhancements
    photos = stage(photos, "JudgeQuality", JudgeQuality())  # + measurements
    if "superres" in config.enhance:
        photos = stage(photos, "EnlargePhotos", EnlargePhotos(plan.profile))  # + enlarged, enhancements
    if plan.anomaly:
        judge = AnomalyHandler(config.anomaly_model, batch_size=config.batch_size, sha256=plan.anomaly.sha256)
        find = FindAnomalies(judge, plan.anomaly.size, config.category_column)
        photos = photos | "FindAnomalies" >> find  # + anomaly, category_doubt; nothing is rejected
    compose = ComposePackshot(plan.profile, straighten="straighten" in config.enhance)
    photos = stage(photos, "ComposePackshot", compose)  # + packshot
    encode = EncodeAssets(
        config.outputs, plan.encoding_profile, config.cutout_format, Encoded, ground_type(plan.profile)
    )
    photos = stage(photos, "EncodeAssets", encode)  # + encoded, digital_source_type
    photos = stage(photos, "SealAssets", SealAssets(config.credentials()))  # encoded, read back and perhaps signed
    photos = stage(photos, "CheckCompliance", CheckCompliance(plan.profile))  # perhaps more review reasons
    write = WriteAssets(config.output, plan.fingerprint, model.sha256, synced=synced)
    photos = stage(photos, "WriteAssets", write)  # + assets, and no pixels any more

    done = counted(photos | "MakeRows" >> beam.Map(row_of).with_resource_hints(**hints), "Done")  # catalogue row
    note = NoteFinished(config.output, plan.run, plan.journal_key, syncs=not synced)
    done = done | "NoteFinished" >> beam.ParDo(note).with_resource_hints(**hints)  # the same
    leaders = photos | "LeadingRows" >> beam.FlatMap(lambda photo: [(photo.id, row_of(photo))] if photo.leads else [])
    if plan.noted:
        done = (done, resumed) | "GatherDone" >> beam.Flatten()  # catalogue row
        leaders = (leaders, resumed_leading) | "GatherLeading" >> beam.Flatten()  # (id, catalogue row)
    if plan.options.uris:
        done = done | "SharePictures" >> SharePictures(plan.options.category_column)  # catalogue row
    lost = refused | "GatherRejections" >> beam.Flatten()  # Rejection
    outcomes = {
        "rows": leaders,
        "carried": leading,
        "rejections": lost | "LeadingRejections" >> beam.FlatMap(lambda lost: [(lost.id, lost)] if lost.leads else []),
        "twins": following | "KeyTwins" >> beam.Map(lambda twin: (twin.leader, twin)),
    }
    followed, rejections = outcomes | "FollowLeaders" >> FollowLeaders(plan.shards)  # row or CarriedRows
    rows = (
        done | "PackRows" >> PackRows(plan.schema, plan.shards, aside=aside),  # PackedRows
        unchanged,
        carried,
        counted(followed, "Followed", {}),
        pipeline | "Unmoved" >> listed(plan.carried_rows(), name="unmoved"),
    ) | "GatherRows" >> beam.Flatten()  # PackedRows, CarriedRows or catalogue row
    lost = (
        (lost, counted(rejections, "RefusedFollowing", {}))
        | "GatherAllRejections" >> beam.Flatten()  # Rejection
        | "MakeRejectionRows" >> beam.Map(_rejection_row, plan.fingerprint)  # rejections row
    )
    lost = (
        lost,
        pipeline | "KeptRejections" >> listed(plan.kept_rejections, name="rejections"),
    ) | "GatherRejectionRows" >> beam.Flatten()  # rejections row or CarriedRows
    catalogue = rows | "WriteCatalogue" >> WriteTable(config.output, "catalogue", plan.run, plan.schema, plan.shards)
    near = catalogue | "FindNearDuplicates" >> FindNearDuplicates(
        config.output, plan.run, config.near_duplicate_distance, plan.shards
    )  # near_duplicates row
    removed = pipeline | "ListRemoved" >> listed(plan.removed_rows(), name="removed")  # CarriedRows
    tables = (
        catalogue,
        lost | "WriteRejections" >> WriteTable(config.output, "rejections", plan.run, REJECTIONS_SCHEMA, plan.shards),
        removed | "WriteRemoved" >> WriteTable(config.output, "removed", plan.run, REMOVED_SCHEMA, plan.shards),
        near
        | "PackNearDuplicates"
        >> PackRows(NEAR_DUPLICATES_SCHEMA, plan.shards, NEAR_DUPLICATES_KEY[0], aside=aside)  # PackedRows
        | "WriteNearDuplicates"
        >> WriteTable(
            config.output, "near_duplicates", plan.run, NEAR_DUPLICATES_SCHEMA, plan.shards, NEAR_DUPLICATES_KEY
        ),
    )
    if plan.augmentation is not None:
        augment = AugmentCatalogue(_places(plan, aside), plan.augmentation)
        tables = (*tables, *(catalogue | "AugmentCatalogue" >> augment))
    summaries = tables | "GatherSummaries" >> beam.Flatten()  # ShardSummary, and SampleCount of samples
    timings = photos | "TakeTimings" >> beam.Map(lambda photo: photo.summed())  # {stage: milliseconds}
    _ = (summaries, timings) | "Commit" >> Commit(
        config.output,
        plan.run,
        read=plan.read,
        removed=len(plan.refresh.removed),
        started=plan.started,
        expected_latest=plan.expected_latest,
        config=config.as_dict(),
        model={"name": model.name, "sha256": model.sha256},
        versions=library_versions(),
        write_report=functools.partial(
            write_report,
            read_sources=SourceReader(config.id_column, config.image_column),
            previous_run=plan.expected_latest,
        ),
        marker=marker,
        augmented=plan.augmentation is not None,
    )


def _fetching(config: RunConfig) -> dict[str, Any]:
    return {
        "max_bytes": config.max_bytes,
        "timeout": config.fetch_timeout,
        "retries": config.fetch_retries,
        "allow_private_hosts": config.allow_private_hosts,
    }


def _places(plan: RunPlan, aside: str | None) -> SamplePlaces:
    config = plan.config
    return SamplePlaces(
        config.output, plan.run, plan.options, _fetching(config),
        DecodeLimits(max_pixels=config.max_pixels, max_bytes=config.max_bytes),
        config.blur_faces, config.credentials(), aside,
    )  # fmt: skip


def _rejection_row(rejection: Rejection, config_fingerprint: str) -> dict:
    row = {**vars(rejection), "config_fingerprint": config_fingerprint}
    del row["leads"]
    return row
