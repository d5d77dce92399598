"""What can be said of the images without building them; `make test-images` runs their install steps."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DOCKERFILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "deploy").rglob("*Dockerfile"))
BEAM = re.search(r"^apache-beam==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]


@pytest.fixture(params=DOCKERFILES)
def instructions(request):
    """The instructions of a Dockerfile, as (word, rest), continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / request.param).read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def _of(instructions, word):
    return [rest for found, rest in instructions if found == word]


def test_bases_are_pinned(instructions):
    for base in _of(instructions, "FROM"):
        image = base.split()[0]
        assert image == "${WORKER}" or re.search(r":[\w.-]*\d[\w.-]*$", image), image
        assert ":latest" not in image


def test_beam_of_the_image_is_beam_of_the_package(instructions):
    for base in [*_of(instructions, "FROM"), *_of(instructions, "COPY")]:
        if found := re.search(r"apache/beam_python3\.11_sdk:(\S+)", base):
            assert found[1] == BEAM


def test_installs_follow_the_constraints_and_leave_no_cache(instructions):
    for command in _of(instructions, "RUN"):
        if "pip install" in command:
            assert "--no-cache-dir" in command and "-c constraints.txt" in command and command.endswith("pip check")
        if "apt-get install" in command:
            assert "--no-install-recommends" in command and "rm -rf /var/lib/apt/lists/*" in command


def test_what_is_copied_is_there(instructions):
    ignored = (ROOT / ".dockerignore").read_text().split()
    for copied in _of(instructions, "COPY"):
        if "--from=" in copied:
            continue
        *sources, _ = copied.split()
        for source in sources:
            assert (ROOT / source).exists() and source.split("/")[0] not in ignored, source


def test_worker_images_start_beams_boot_program_and_launchers_googles(instructions):
    entries = _of(instructions, "ENTRYPOINT")
    assert all(entry.startswith("[") for entry in entries)
    launcher = any("FLEX_TEMPLATE_PYTHON_PY_FILE" in rest for rest in _of(instructions, "ENV"))
    expected = '["/opt/google/dataflow/python_template_launcher"]' if launcher else '["/opt/apache/beam/boot"]'
    assert entries[-1:] in ([], [expected])  # the first is the base's own, Beam's
