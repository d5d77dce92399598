"""Which articles a dataset will hold, found out before any photo is read."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Iterator
from typing import Any

from models.articles import DEVELOPMENT, SPLITS, TEST, TRAIN, ArticleSource
from models.datasets import parquet
from models.datasets.parquet import RowGroup

_VERSION = 1  # to be raised whenever the same photos give other examples, so that datasets are built again


@dataclasses.dataclass(frozen=True)
class ArticlePlan:
    """One dataset to build.

    Attributes:
      source: where the articles come from.
      groups_of_rows: the row groups to read.
      columns: what to read of them.
      splits: split of each group of photos.
      stranded: whether the split column keeps photos out of training: only those of test groups are used then.
      category_names: all categories, in alphabetical order.
      cutouts: for ``fit`` product, place of the cut-out of each photo by id.
      counts: photos to be read, by split.
      fingerprint: 16 hexadecimal digits that change with anything that can change the dataset.
    """

    source: ArticleSource
    groups_of_rows: tuple[RowGroup, ...]
    columns: tuple[str, ...]
    splits: dict[str, str]
    split_column: str
    category_names: tuple[str, ...]
    cutouts: dict[str, str]
    counts: dict[str, int]
    fingerprint: str

    def split_of(self, row: dict[str, Any]) -> str | None:
        """Returns the split of a photo, or None for one that is not used."""
        split = self.splits[str(row[self.source.group_column])]
        if row[self.source.category_column] is None:
            return None
        if self.source.fit == "product" and str(row[self.source.id_column]) not in self.cutouts:
            return None
        kept_out = self.split_column and row[self.split_column] != self.source.split
        return None if kept_out and split != TEST else split


def plan_articles(source: ArticleSource) -> ArticlePlan:
    """Finds out what a dataset is to be built from, reading only small columns.

    Raises:
      FileNotFoundError: there is nothing at a path.
      ValueError: columns are missing, ids are not unique, or a split would be empty.
    """
    files = parquet.find_parquet(source.path)
    roles = {f"{role}_column": getattr(source, f"{role}_column") for role in ("id", "group", "category")}
    needed = {column: setting for setting, column in roles.items()} | {source.image_column: "image_column"}
    if source.split_column:
        needed[source.split_column] = "split_column"
    names = parquet.column_names(files, needed=needed)
    split_column = source.split_column or ("split" if source.split_column is None and "split" in names else "")
    small = tuple(dict.fromkeys([*roles.values(), *([split_column] if split_column else [])]))
    rows = list(parquet.read_columns(files, small))
    _check_ids([str(row[source.id_column]) for row in rows], source, files[0])
    plan = ArticlePlan(
        source,
        tuple(parquet.row_groups(files)),
        (*small, source.image_column),
        _splits(rows, source, split_column),
        split_column,
        tuple(sorted({str(row[source.category_column]) for row in rows if row[source.category_column] is not None})),
        _cutouts(source) if source.fit == "product" else {},
        {},
        "",
    )
    counts = collections.Counter(split for split in map(plan.split_of, rows) if split)
    if not counts[TRAIN]:
        raise ValueError(
            f"not one photo of {source.path!r} may be trained on; look at split_column and the percentages"
        )
    return dataclasses.replace(plan, counts=dict(counts), fingerprint=_fingerprint(plan, files))


def _check_ids(ids: list[str], source: ArticleSource, file: str) -> None:
    if twice := [id for id, count in collections.Counter(ids).items() if count > 1]:
        raise ValueError(
            f"{len(twice)} ids of column {source.id_column!r} stand more than once in {file!r} and beside it "
            f"({twice[0]!r}); every photo needs an id of its own"
        )


def _splits(rows: list[dict[str, Any]], source: ArticleSource, split_column: str) -> dict[str, str]:
    sizes = collections.Counter(str(row[source.group_column]) for row in rows)
    trainable = {str(row[source.group_column]) for row in rows if not split_column or row[split_column] == source.split}
    splits = {}
    for group, size in sizes.items():
        drawn = int(hashlib.sha256(f"articles {group}".encode()).hexdigest()[:8], 16) % 100
        if group not in trainable:
            splits[group] = TEST
        elif size > source.large_group or drawn >= source.test_percent + source.development_percent:
            splits[group] = TRAIN
        else:
            splits[group] = TEST if drawn < source.test_percent else DEVELOPMENT
    return splits


def _cutouts(source: ArticleSource) -> dict[str, str]:
    """Returns the place of every usable cut-out of the last committed run, by id."""
    run = parquet.read_file(posixpath.join(source.cutouts, "LATEST")).decode().strip()
    files = parquet.find_parquet(posixpath.join(source.cutouts, "catalogue", run))
    places = {}
    for row in parquet.read_columns(files, ["id", "review_reasons", "assets"]):
        assets = [asset for asset in row["assets"] if asset["kind"] == "cutout"]
        if assets and not set(row["review_reasons"]) & set(source.left_out_reasons):
            places[row["id"]] = posixpath.join(source.cutouts, assets[0]["uri"])
    if not places:
        raise ValueError(
            f"the last run of cutouts={source.cutouts!r} wrote no usable cut-out; run it with --outputs cutout"
        )
    return places


def _fingerprint(plan: ArticlePlan, files: list[str]) -> str:
    settings = {
        field.name: getattr(plan.source, field.name)
        for field in dataclasses.fields(ArticleSource)
        if field.name not in ("path", "cutouts")
    }
    decisive = {
        "version": _VERSION,
        "files": [[posixpath.basename(uri), parquet.footer_digest(uri)] for uri in files],
        "settings": settings,
        "split_column": plan.split_column,
        # names of assets follow from the photo's bytes, the settings and the model
        "cutouts": sorted((id, posixpath.basename(place)) for id, place in plan.cutouts.items()),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def describe(plan: ArticlePlan) -> str:
    """Says in a line what will be built."""
    counts = ", ".join(f"{plan.counts.get(split, 0):,} {split}" for split in SPLITS)
    return f"articles: {counts}; {len(plan.category_names)} categories, {plan.source.fit} at {plan.source.size} px"


def train_rows(plan: ArticlePlan, rows: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ``(split, row)`` of those rows that are used."""
    for row in rows:
        if split := plan.split_of(row):
            yield split, row
