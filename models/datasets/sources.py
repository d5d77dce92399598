"""Where the labelled photos come from: the data half of a training configuration."""

from __future__ import annotations

import dataclasses

DEFAULT_LIMIT = 10_000  # 5 GB of examples in memory


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Photos of the kind to be segmented, as the pipeline reads them; most have no mask.

    Attributes:
      path: Parquet file, or folder or glob of them; local, ``gs://`` or ``s3://``.
      id_column: column of unique ids.
      image_column: column of encoded bytes, of ``struct<bytes, path>`` or of URIs.
      group_column: column of what photos have in common: the seller, the studio, the shoot. Photos of one group
        share ground and light, so a group is trained on or chosen by, never both.
      split_column: column that says which photos may be trained on. None for the column ``split`` where there is
        one, else for all photos.
      split: value in that column of photos that may be trained on.
      limit: most photos to label, drawn by the hash of their ids; what has a mask is not counted.
    """

    path: str
    id_column: str = "id"
    image_column: str = "image"
    group_column: str = "seller"
    split_column: str | None = None
    split: str = "train"
    limit: int = DEFAULT_LIMIT

    def __post_init__(self):
        if self.limit < 1:
            raise ValueError(f"limit={self.limit!r} must be at least 1")


@dataclasses.dataclass(frozen=True)
class Products:
    """Clean product shots, to be cut out and set on other grounds.

    Attributes:
      path, id_column, image_column: as for ``Catalogue``.
      group_column: column of the shop or source.
      kind_column: column with ``white_ground``, ``studio``, ``alpha`` or ``mixed``, the last to be passed over. It
        need not exist: all photos are then treated as ``studio``.
    """

    path: str
    id_column: str = "id"
    image_column: str = "image"
    group_column: str = "source"
    kind_column: str = "kind"


@dataclasses.dataclass(frozen=True)
class Sources:
    """All data of a training.

    Attributes:
      catalogue: the photos to learn from.
      masks: Parquet file of masks drawn by hand: ``id, mask`` (encoded, 0 or 255, the photo's size) and, if there
        is one, ``doubtful``. Empty for none.
      products: clean product shots, or None.
      rendered: folder made by ``packshot samples --container parquet``. Empty for none.
      development_percent: share of the small groups that is kept out of training, to choose by.
      development_groups: further groups to keep out, by name; of the catalogue or of the products.
    """

    catalogue: Catalogue
    masks: str = ""
    products: Products | None = None
    rendered: str = ""
    development_percent: int = 20
    development_groups: tuple[str, ...] = ()
