"""Runs what the worker images' Dockerfiles install, in order, in clean virtual environments: ``make test-images``.

There is no Docker in it: COPY fills an empty folder, RUN of pip is run there with the environment's own pip, and what
needs the base image (apt-get, the launcher's binary) is named and passed over. After that the source distribution is
installed without its dependencies' caches into an environment of its own and asked for its version, as workers do that
get it with ``--extra_package``.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).parents[1]
_SAYS = "import pipeline.cli, transforms.segment, models.registry as r; print(r.resolve_model().sha256)"


def instructions(dockerfile: pathlib.Path) -> list[tuple[str, str]]:
    """Returns a Dockerfile's instructions as (word, rest), continued lines joined."""
    lines = re.sub(r"\\\n", " ", dockerfile.read_text()).splitlines()
    found = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, rest in found]


def run(command: str, folder: pathlib.Path, environment: pathlib.Path) -> str:
    """Runs a shell command with an environment's programs first in PATH, and returns what it printed.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    path = f"{environment / 'bin'}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, env={"PATH": path, "HOME": str(folder)}, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout


def fresh_environment(place: pathlib.Path) -> pathlib.Path:
    """Makes an empty virtual environment and returns its folder."""
    venv.create(place, with_pip=True, clear=True)
    return place


def follow(dockerfile: pathlib.Path, scratch: pathlib.Path) -> None:
    """Executes a Dockerfile's COPY and pip instructions in order, then imports the package."""
    folder, environment = scratch / "image", fresh_environment(scratch / "venv")
    folder.mkdir()
    for word, rest in instructions(dockerfile):
        if word == "COPY" and "--from=" not in rest:
            *sources, target = rest.split()
            for source in sources:
                place = folder / target / pathlib.Path(source).name if len(sources) > 1 else folder / target
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, place)
        elif word == "RUN" and rest.startswith("pip "):
            print(f"  {rest}", flush=True)
            run(rest, folder, environment)
        else:
            print(f"  passed over: {word} {rest[:80]}")
    print(f"  imports; the model is {run(f'python -c {_SAYS!r}', scratch, environment).strip()[:12]}")


def install_sdist(scratch: pathlib.Path) -> None:
    """Builds the source distribution and installs it where nothing of the repository is in sight."""
    source, environment = scratch / "source", fresh_environment(scratch / "venv")
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("pipeline", "transforms", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run("pip install --quiet 'setuptools>=77' && python setup.py --quiet sdist", source, environment)
    (archive,) = (source / "dist").glob("*.tar.gz")
    print(f"  {archive.name}, {archive.stat().st_size / 1e6:.1f} MB", flush=True)
    run(f"pip install --quiet -c {ROOT / 'constraints.txt'} '{archive}[gcp]' && pip check", scratch, environment)
    print(f"  imports; the model is {run(f'python -c {_SAYS!r}', scratch, environment).strip()[:12]}")


def main() -> int:
    """Checks the images that are named, and the source distribution; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dockerfiles", nargs="*", default=["deploy/Dockerfile"], help="(default: deploy/Dockerfile)")
    for name in parser.parse_args().dockerfiles:
        print(name)
        with tempfile.TemporaryDirectory() as scratch:
            follow(ROOT / name, pathlib.Path(scratch))
    print("setup.py sdist")
    with tempfile.TemporaryDirectory() as scratch:
        install_sdist(pathlib.Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
