import json
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.samples import render_samples


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory) -> Path:
    """A small rendered catalogue, as a folder of photos with some broken files among them."""
    folder = tmp_path_factory.mktemp("catalogue")
    render_samples(folder, count=18, seed=11, broken=3)
    return folder


@pytest.fixture(scope="session")
def parquet_catalogue(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parquet-catalogue")
    render_samples(folder, count=10, seed=12, container="parquet")
    return folder / "catalogue.parquet"


class Finished:
    """A finished run's output."""

    def __init__(self, output: Path, status: int):
        self.output, self.status = output, status
        self.run = (output / "LATEST").read_text().strip()
        self.json = json.loads((output / "runs" / self.run / "run.json").read_text())

    def tables(self) -> dict[str, bytes]:
        return {
            f"{table}/{part.name}": part.read_bytes()
            for table in ("catalogue", "rejections")
            for part in sorted((self.output / table / self.run).iterdir())
        }

    def assets(self) -> dict[str, bytes]:
        root = self.output / "assets"
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def packshot():
    """Runs ``packshot run`` in this process and returns what it left."""

    def run(source: Path, output: Path, *flags: str) -> Finished:
        arguments = ["run", "--input", str(source), "--output", str(output), "--max_rejected_fraction", "0.5", *flags]
        return Finished(output, main(arguments))

    return run


@pytest.fixture(scope="session")
def first_run(packshot, catalogue, tmp_path_factory) -> Finished:
    return packshot(catalogue / "images", tmp_path_factory.mktemp("first") / "out", "--outputs", "packshot,mask,cutout")
