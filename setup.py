"""Packaging of Packshot; what is installed where, and the ``packshot`` command."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
HEIF = ["pillow-heif>=1.1"]  # libheif with a decoder for HEIC; AVIF needs nothing beside Pillow
C2PA = ["c2pa-python>=0.38,<0.39"]  # its manifests are settled byte by byte: see pipeline/credentials.py
BENCH = ["onnx>=1.17", "py-spy>=0.4", "pymatting>=1.1"]  # rembg gets an environment of its own
TRAIN = [
    "importlib_resources>=6.4",  # tensorflow-datasets needs it and does not say so
    "tensorboard>=2.20",
    "tensorflow-datasets>=4.9.9",
]
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "pipeline/version.py").read_text()).group(1)

setup(
    name="packshot",
    version=VERSION,
    description="Batch pipeline from messy catalogue photos to marketplace-ready packshots",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipeline", "pipeline.*", "transforms", "transforms.*", "models", "models.*"]),
    package_data={
        "pipeline.augmentation": ["plans/*.yaml"],
        "pipeline.profiles": ["*.yaml"],
        "pipeline.report": ["*.css", "*.html", "*.js", "*.j2"],
        "models.classifier": ["weights/*", "configs/*.yaml"],
        "models.gan": ["weights/*", "configs/*.yaml"],
        "models.vae": ["weights/*", "configs/*.yaml"],
        "models.segmentation": ["weights/*", "configs/*.yaml", "labels/*.parquet"],
        "models.superres": ["weights/*", "configs/*.yaml"],
    },
    install_requires=[
        "ai-edge-litert>=2.1",
        "apache-beam>=2.77,<2.80",
        "ImageHash>=4.3.2,<5",  # its hashes are kept between runs
        "jinja2>=3.1",
        "keras>=3.12",
        "numpy>=2.0",
        "opencv-python-headless>=4.11,<5",  # 5.0 dropped the cascades, and its tests for EXIF differ
        "pillow>=11.3",
        "pyarrow>=20",
        "pyyaml>=6",
        "requests>=2.32",
        "scipy>=1.14",
        "tensorflow>=2.21,<2.22",
    ],
    extras_require={
        "gcp": ["apache-beam[gcp]>=2.77,<2.80"],
        "aws": ["apache-beam[aws]>=2.77,<2.80"],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "onnx": ["onnxruntime>=1.20"],
        "c2pa": C2PA,
        "heif": HEIF,
        "fuzz": ["atheris>=2.3", "hypothesis>=6"],
        "train": TRAIN,
        "bench": BENCH,
        "dev": [
            *TRAIN,
            *C2PA,
            *HEIF,
            "gcp-storage-emulator>=2024.8",
            "hypothesis>=6",
            "moto[server]>=5",
            "mypy>=1.15",
            "onnx>=1.17",
            "onnxruntime>=1.20",
            "pymatting>=1.1",
            "pytest>=8",
            "pytest-xdist>=3",
            "ruff>=0.12",
            "types-PyYAML",
            "types-requests",
        ],
    },
    entry_points={"console_scripts": ["packshot=pipeline.cli:command"]},
)
