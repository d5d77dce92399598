"""The real articles that generated pictures are measured beside, in the settings of an evaluation."""

from __future__ import annotations

import dataclasses

from models.articles import ArticleSource, Fit


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealArticles:
    """Settings that say where real articles are; all as in ``ArticleSource``.

    Attributes:
      catalogue: its ``path``.
      cutouts, fit, id_column, image_column, group_column, category_column: of the same names.
    """

    catalogue: str
    cutouts: str = ""
    fit: Fit = "product"
    id_column: str = "id"
    image_column: str = "image"
    group_column: str = "seller"
    category_column: str = "category"

    def source(self, size: int) -> ArticleSource:
        """Returns the articles, fitted to a square of this side in pixels."""
        columns = {name: getattr(self, name) for name in vars(self) if name.endswith("_column")}
        return ArticleSource(self.catalogue, cutouts=self.cutouts, fit=self.fit, size=size, **columns)
