"""The command ``packshot train gate``: its flags, and what it starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.usage import OK, wrong_usage

_SOURCE = ("cutouts", "id_column", "image_column", "group_column", "category_column", "fit")


def add_gate_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``packshot train gate``."""
    parser.description = (
        "Measures what the gate of a generator must know: features of the real pictures that it learnt from, how far "
        "unseen real ones are from them, and what its discriminator makes of its own pictures."
    )
    parser.add_argument("--generator", required=True, help="by name, or the .keras file of packshot train gan")
    parser.add_argument("--classifier", default="", help="whose features count: name or .keras file")
    parser.add_argument("--catalogue", required=True, help="photos that it learnt from: Parquet file, folder or glob")
    parser.add_argument("--cutouts", help="output of packshot run --outputs cutout over them, for fit product")
    parser.add_argument("--id_column", help="the catalogue's column of ids (default: id)")
    parser.add_argument("--image_column", help="its column of images (default: image)")
    parser.add_argument("--group_column", help="its column of sellers, studios or shoots (default: seller)")
    parser.add_argument("--category_column", help="its column of categories (default: category)")
    parser.add_argument("--fit", help="product, frame or crop: what the generator's pictures are like")
    parser.add_argument("--work", default="build/gate", help="folder for the dataset (default: build/gate)")
    parser.add_argument("--output", help="the gate's file (default: beside the generator, .gate.npz)")
    parser.set_defaults(handle=_train_gate)


def _train_gate(parsed: argparse.Namespace, _: list[str]) -> int:
    from models.articles import ArticleSource
    from models.datasets.articles import load_articles
    from models.gate_facts import measure_gate
    from pipeline.augmentation.generators import generator_path, load_classifier, load_generator

    try:
        generator = load_generator(parsed.generator)
        classifier = load_classifier(parsed.classifier)
        given = {name: getattr(parsed, name) for name in _SOURCE if getattr(parsed, name) is not None}
        articles = load_articles(ArticleSource(parsed.catalogue, size=generator.size, **given), parsed.work)
        facts = measure_gate(articles["train"], articles["development"], generator, classifier)
        path = Path(parsed.output or Path(generator_path(parsed.generator)).with_suffix(".gate.npz"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(facts.to_bytes())
    except (ValueError, OSError) as error:
        return wrong_usage(error)
    print(path)
    return OK
