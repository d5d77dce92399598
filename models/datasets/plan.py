"""What each dataset will be built from, found out before any photo is read.

Only ids, groups and file footers are read here, so that wrong settings and missing columns show at once, and so that a
dataset whose inputs did not change is known without building it again.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Iterator
from typing import Any, Literal

from models.datasets import parquet
from models.datasets.parquet import RowGroup
from models.datasets.sources import Catalogue, Sources
from models.segmentation.examples import LARGE_GROUP, WORKING_SIZE, held_out

Kind = Literal["seller", "hand", "product", "rendered"]

TRAIN, DEVELOPMENT = "train", "development"
_LABELLING = 2  # to be raised whenever labelling.py gives other labels, so that datasets are built again


@dataclasses.dataclass(frozen=True)
class Photo:
    """One row that may become an example."""

    id: str
    group: str
    row: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """One dataset to build: all examples of one kind.

    Attributes:
      kind: how its photos are labelled.
      groups_of_rows: the row groups to read.
      columns: what to read of them, by role: ``id``, ``image`` and, where there are such, ``group``, ``split``,
        ``kind``.
      away: the groups of the development split.
      split: value that the split column must have.
      most: photos whose ids hash above this are passed over; empty for none.
      beside: the file of masks, or the folder of rendered photos.
      counts: photos to be read, by split.
      fingerprint: 16 hexadecimal digits that change with anything that can change the dataset.
    """

    kind: Kind
    groups_of_rows: tuple[RowGroup, ...]
    columns: dict[str, str]
    away: frozenset[str]
    split: str = ""
    most: str = ""
    beside: str = ""
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    fingerprint: str = ""

    def photos(self, rows: Iterator[dict[str, Any]]) -> Iterator[Photo]:
        """Yields those rows that are photos of this dataset, as far as their own columns tell."""
        for row in rows:
            photo = Photo(str(row[self.columns["id"]]), str(self._value(row, "group") or self.kind), row)
            if "split" in self.columns and self._value(row, "split") != self.split:
                continue
            if self._value(row, "kind") == "mixed":
                continue
            if not self.most or _id_hash(photo.id) <= self.most:
                yield photo

    def _value(self, row: dict[str, Any], role: str) -> Any:
        return row.get(self.columns.get(role, ""))

    def split_of(self, group: str) -> str:
        """Returns the split of a group's photos."""
        return DEVELOPMENT if group in self.away else TRAIN

    def is_white_ground(self, photo: Photo) -> bool:
        """Whether the photo is said to have a pure white ground."""
        return self._value(photo.row, "kind") == "white_ground"


def _id_hash(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()[:16]


def plan_datasets(sources: Sources) -> list[Plan]:
    """Finds out what datasets to build.

    Args:
      sources: the training's data.

    Returns:
      A plan each for the kinds that there are: seller, hand, product, rendered.

    Raises:
      FileNotFoundError: there is nothing at a path.
      ValueError: columns are missing, ids are not unique, no photo may be trained on, or a mask has no photo that
        may be trained on.
    """
    seller, photos = _plan_catalogue(sources.catalogue)
    sizes = collections.Counter(photo.group for photo in photos)
    away = frozenset(
        group
        for group, size in sizes.items()
        if group in sources.development_groups or (size <= LARGE_GROUP and held_out(group, sources.development_percent))
    ) | frozenset(sources.development_groups)
    if not set(sizes) - away:
        raise ValueError(
            f"every group of {sources.catalogue.path!r} is kept out of training ({_some(sizes)}); lower "
            f"development_percent or look at catalogue.group_column={sources.catalogue.group_column!r}"
        )
    plans = [_finished(_limited(seller, photos, sources.catalogue.limit), photos, away)]
    if sources.masks:
        plans.append(_plan_masks(seller, photos, sources.masks, away))
    if products := sources.products:
        files = parquet.find_parquet(products.path)
        columns = {"id": products.id_column, "image": products.image_column, "group": products.group_column}
        needed = {column: f"products.{role}_column" for role, column in columns.items()}
        if products.kind_column in parquet.column_names(files, needed=needed):
            columns["kind"] = products.kind_column
        plans.append(_planned("product", files, columns, away))
    if sources.rendered:
        files = parquet.find_parquet(posixpath.join(sources.rendered, "catalogue.parquet"))
        parquet.column_names(files, needed={"id": "rendered", "image": "rendered"})
        plans.append(_planned("rendered", files, {"id": "id", "image": "image"}, away, sources.rendered))
    return plans


def _plan_catalogue(catalogue: Catalogue) -> tuple[Plan, list[Photo]]:
    """Returns the plan without splits, and all photos that may be trained on, without their pictures."""
    files = parquet.find_parquet(catalogue.path)
    columns = {"id": catalogue.id_column, "image": catalogue.image_column, "group": catalogue.group_column}
    needed = {column: f"catalogue.{role}_column" for role, column in columns.items()}
    if catalogue.split_column:
        needed[catalogue.split_column] = "catalogue.split_column"
    names = parquet.column_names(files, needed=needed)
    if catalogue.split_column or (catalogue.split_column is None and "split" in names):
        columns["split"] = catalogue.split_column or "split"
    plan = Plan("seller", tuple(parquet.row_groups(files)), columns, frozenset(), split=catalogue.split)
    photos = _listed(plan, files)
    if not photos:
        where = f" with {columns['split']}={catalogue.split!r}" if "split" in columns else ""
        raise ValueError(f"there are no photos{where} in {catalogue.path!r}; look at catalogue.split_column and .split")
    return plan, photos


def _plan_masks(seller: Plan, photos: list[Photo], masks: str, away: frozenset[str]) -> Plan:
    files = parquet.find_parquet(masks)
    parquet.column_names(files, needed={"id": "masks", "mask": "masks"})
    drawn = {str(row["id"]) for row in parquet.read_columns(files, ["id"])}
    if strangers := drawn - {photo.id for photo in photos}:
        rule = f" with {seller.columns['split']}={seller.split!r}" if "split" in seller.columns else ""
        raise ValueError(
            f"{len(strangers)} masks of {masks!r} have no photo{rule} in the catalogue ({_some(strangers)}); masks of "
            f"photos that may not be trained on must be left out"
        )
    plan = dataclasses.replace(seller, kind="hand", beside=masks)
    return _finished(plan, [photo for photo in photos if photo.id in drawn], away)


def _planned(kind: Kind, files: list[str], columns: dict[str, str], away: frozenset[str], beside: str = "") -> Plan:
    plan = Plan(kind, tuple(parquet.row_groups(files)), columns, frozenset(), beside=beside)
    return _finished(plan, _listed(plan, files), away)


def _listed(plan: Plan, files: list[str]) -> list[Photo]:
    small = [column for role, column in plan.columns.items() if role != "image"]
    photos = list(plan.photos(parquet.read_columns(files, small)))
    counts = collections.Counter(photo.id for photo in photos)
    if twice := [id for id, count in counts.items() if count > 1]:
        raise ValueError(
            f"{len(twice)} ids of column {plan.columns['id']!r} stand more than once in {files[0]!r} and beside it "
            f"({_some(twice)}); every photo needs an id of its own"
        )
    return photos


def _limited(plan: Plan, photos: list[Photo], limit: int) -> Plan:
    if len(photos) <= limit:
        return plan
    return dataclasses.replace(plan, most=sorted(_id_hash(photo.id) for photo in photos)[limit - 1])


def _finished(plan: Plan, photos: list[Photo], away: frozenset[str]) -> Plan:
    """Adds the splits, the counts and the fingerprint."""
    groups = {photo.group for photo in photos}
    plan = dataclasses.replace(plan, away=away & groups)
    kept = [photo for photo in photos if not plan.most or _id_hash(photo.id) <= plan.most]
    counts = collections.Counter(plan.split_of(photo.group) for photo in kept)
    files = sorted({group.uri for group in plan.groups_of_rows})
    decisive = {
        "labelling": _LABELLING,
        "size": WORKING_SIZE,
        "kind": plan.kind,
        "files": [[posixpath.basename(uri), parquet.footer_digest(uri)] for uri in files],
        "columns": plan.columns,
        "away": sorted(plan.away),
        "split": plan.split,
        "most": plan.most,
    }
    if plan.kind == "hand":
        contents = [parquet.read_file(uri) for uri in parquet.find_parquet(plan.beside)]
        decisive["masks"] = [hashlib.sha256(content).hexdigest() for content in contents]
    fingerprint = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
    return dataclasses.replace(plan, counts=dict(counts), fingerprint=fingerprint)


def _some(names) -> str:
    shown = [repr(name) for name in sorted(map(str, names))[:3]]
    return ", ".join(shown) + (" ..." if len(names) > 3 else "")
