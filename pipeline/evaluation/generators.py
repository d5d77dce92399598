"""Where the pictures come from that are to be measured: a generator, a folder, or an array file."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from models.articles import COLOUR_NAMES, Articles

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_BATCH = 64


class Generator(Protocol):
    """A class-conditional generator as ``models.gan.sampling`` has it.

    Attributes:
      size: side of its pictures, pixels.
      category_names, colour_names: what it can be asked for.
      name: of its file.
      sha256: of its file.
    """

    @property
    def size(self) -> int: ...

    @property
    def category_names(self) -> tuple[str, ...]: ...

    @property
    def colour_names(self) -> tuple[str, ...]: ...

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    def sample(self, seeds: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Returns uint8 (n, size, size, 3) for uint64 seeds and int32 positions of category and colour, each (n,)."""

    def latents(self, seeds: np.ndarray) -> np.ndarray:
        """Returns float32 (n, d)."""

    def from_latents(self, latents: np.ndarray, categories: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Returns uint8 (n, size, size, 3)."""


def load_generator(path: str) -> Generator:
    """Reads a generator that Packshot trained.

    Raises:
      ValueError: there is no such file, or it holds no generator.
    """
    from models.gan.sampling import Sampler

    return Sampler.load(path)


@dataclasses.dataclass(frozen=True)
class Generated:
    """Generated pictures with what was asked for.

    Attributes:
      images: uint8 (n, size, size, 3), RGB.
      categories: int32 (n,), positions in the articles' ``category_names``, -1 where nothing was asked for.
      colours: int32 (n,), positions in ``COLOUR_NAMES``, -1 likewise.
      name: of the source.
      sha256: of the generator's file; empty for pictures.
    """

    images: np.ndarray
    categories: np.ndarray
    colours: np.ndarray
    name: str
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def as_articles(self, category_names: tuple[str, ...]) -> Articles:
        """Returns them as articles to learn from, those of a known category.

        Where no colour was asked for, it is the first one: learn from the categories alone then.
        """
        known = np.flatnonzero(self.categories >= 0)
        ids = np.array([f"generated-{i}" for i in known], str)
        return Articles(
            ids, ids, self.categories[known], np.maximum(self.colours[known], 0), self.images[known], category_names
        )


def positions(wanted: tuple[str, ...], names: tuple[str, ...], what: str) -> np.ndarray:
    """Returns where each wanted name stands.

    Raises:
      ValueError: one is not there.
    """
    if missing := [name for name in wanted if name not in names]:
        raise ValueError(f"the {what} {missing[0]!r} is not among {', '.join(names)}")
    return np.array([names.index(name) for name in wanted], np.int32)


def sample_like(generator: Generator, articles: Articles, *, seed: int) -> Generated:
    """Generates one picture for each article, of its category and colour, so that both sets are mixed alike.

    Args:
      generator: what is asked.
      articles: what to be like; those of categories that the generator does not know are passed over.
      seed: the i-th picture has the seed ``seed * 2**32 + i``.

    Raises:
      ValueError: it knows no category of the articles.
    """
    known = [name in generator.category_names for name in articles.category_names]
    articles = articles.take(np.array(known)[articles.categories])
    if not len(articles):
        raise ValueError(
            f"{generator.name} knows {', '.join(generator.category_names)}, none of which the catalogue has"
        )
    names = articles.category_names
    wanted = tuple(names[category] for category in articles.categories)
    categories = positions(wanted, generator.category_names, "category")
    colours = positions(tuple(COLOUR_NAMES[c] for c in articles.colours), generator.colour_names, "colour")
    seeds = (np.uint64(seed) << np.uint64(32)) + np.arange(len(articles), dtype=np.uint64)
    images = [
        generator.sample(*(array[start : start + _BATCH] for array in (seeds, categories, colours)))
        for start in range(0, len(articles), _BATCH)
    ]
    return Generated(np.concatenate(images), articles.categories, articles.colours, generator.name, generator.sha256)


def images_per_second(generator: Generator, *, batches: int = 5) -> float:
    """Times the generator at 64 pictures a batch, after one batch that is not counted."""
    seeds = np.arange(_BATCH, dtype=np.uint64)
    zeros = np.zeros(_BATCH, np.int32)
    generator.sample(seeds, zeros, zeros)
    started = time.perf_counter()
    for _ in range(batches):
        generator.sample(seeds, zeros, zeros)
    return batches * _BATCH / (time.perf_counter() - started)


def read_pictures(path: str, category_names: tuple[str, ...] | None = None) -> Generated:
    """Reads pictures made elsewhere.

    Args:
      path: an ``.npz`` with ``images`` uint8 (n, size, size, 3), RGB, and perhaps ``categories`` (names) and
        ``colours`` (names), each (n,); or a folder of picture files, whose subfolders are named by category if there
        are any.
      category_names: the articles' categories; None to pass categories over.

    Raises:
      ValueError: there are no pictures, they are not squares of one size, or a category is unknown.
    """
    place = Path(path)
    if place.suffix == ".npz" and place.is_file():
        return _from_arrays(place, category_names)
    files = sorted(file for file in place.rglob("*") if file.suffix.lower() in _PICTURES) if place.is_dir() else []
    if not files:
        raise ValueError(f"samples={path!r} is neither an .npz file nor a folder with pictures")
    images = [_picture(file) for file in files]
    if len({image.shape for image in images}) > 1 or images[0].shape[0] != images[0].shape[1]:
        sizes = sorted({f"{image.shape[1]}x{image.shape[0]}" for image in images})
        raise ValueError(
            f"the pictures of samples={path!r} are {', '.join(sizes[:4])}; they must be squares of one size"
        )
    folders = tuple(file.parent.name if file.parent != place else "" for file in files)
    categories = _known(folders, category_names, f"samples={path!r}")
    return Generated(np.stack(images), categories, np.full(len(files), -1, np.int32), place.name)


def _picture(file: Path) -> np.ndarray:
    image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{str(file)!r} cannot be decoded")
    return np.asarray(image)


def _from_arrays(place: Path, category_names: tuple[str, ...] | None) -> Generated:
    with np.load(place) as arrays:
        images = arrays["images"] if "images" in arrays else np.zeros(0)
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] != 3 or np.ptp(images.shape[1:-1]):
            raise ValueError(
                f"images of {str(place)!r} are {images.dtype} {images.shape}; they must be uint8 (n, size, size, 3)"
            )
        nothing = np.full(len(images), "")
        asked = {name: arrays.get(name, nothing) for name in ("categories", "colours")}
    if any(len(names) != len(images) for names in asked.values()):
        raise ValueError(f"{str(place)!r} has {len(images)} images and another number of categories or colours")
    categories = _known(tuple(map(str, asked["categories"])), category_names, str(place))
    return Generated(
        images, categories, _known(tuple(map(str, asked["colours"])), COLOUR_NAMES, str(place)), place.stem
    )


def _known(names: tuple[str, ...], all_names: tuple[str, ...] | None, where: str) -> np.ndarray:
    if all_names is None:
        return np.full(len(names), -1, np.int32)
    if unknown := sorted({name for name in names if name and name not in all_names}):
        raise ValueError(f"{where} names {unknown[0]!r}, which is not among {', '.join(all_names)}")
    return np.array([all_names.index(name) if name else -1 for name in names], np.int32)
