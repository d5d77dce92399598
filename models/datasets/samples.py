"""Training samples as a TensorFlow Datasets folder: TFRecord files that any training reads without knowing Packshot."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

NAME, VERSION, SPLIT = "packshot_augmented", "1.0.0", "train"
_TEXTS = ("id", "kind", "category", "colour", "purpose", "digital_source_type", "generator")


def features() -> tfds.features.FeaturesDict:
    """Returns what an example holds.

    ``image`` is uint8 (h, w, 3), RGB. ``mask`` is uint8 (h, w, 1), 0 ground to 255 product; of a generated product, of
    which none is known, it is (1, 1, 1) and 0, and ``has_mask`` is false. Texts that are not known are empty.
    """
    return tfds.features.FeaturesDict({
        **{name: tfds.features.Text() for name in _TEXTS},
        "parents": tfds.features.Sequence(tfds.features.Text()),
        "image": tfds.features.Image(shape=(None, None, 3)),
        "mask": tfds.features.Image(shape=(None, None, 1)),
        "has_mask": tfds.features.Scalar(np.bool_),
    })  # fmt: skip


def tfrecord(rows: Iterable[tuple[Mapping[str, Any], bytes, bytes | None]]) -> bytes:
    """Returns examples as the bytes of a TFRecord file.

    Args:
      rows: row of the table ``augmented``, file of the picture, and file of its mask or None.
    """
    import tensorflow as tf

    made = features()
    with tempfile.TemporaryDirectory(prefix="packshot-samples-") as folder:
        path = os.path.join(folder, "examples")
        with tf.io.TFRecordWriter(path) as writer:
            for row, picture, mask in rows:
                example = {
                    **{name: row[name] or "" for name in _TEXTS},
                    "parents": list(row["parents"]),
                    "image": picture,
                    "mask": _no_mask() if mask is None else mask,
                    "has_mask": mask is not None,
                }
                writer.write(made.serialize_example(made.encode_example(example)))
        return Path(path).read_bytes()


def shard_name(shard: int, shards: int) -> str:
    """Returns the name of one of the dataset's files."""
    return f"{NAME}-{SPLIT}.tfrecord-{shard:05d}-of-{shards:05d}"


def metadata(lengths: list[int], sizes: list[int]) -> dict[str, bytes]:
    """Returns the files, by name, that tell TensorFlow Datasets what the TFRecord files beside them hold.

    Args:
      lengths: examples in each file.
      sizes: bytes of each file.
    """
    with tempfile.TemporaryDirectory(prefix="packshot-samples-") as folder:
        for shard in range(len(lengths)):  # by whose names TensorFlow Datasets knows what it is about
            Path(folder, shard_name(shard, len(lengths))).touch()
        split = tfds.core.SplitInfo(
            name=SPLIT, shard_lengths=lengths, num_bytes=sum(sizes),
            filename_template=tfds.core.ShardedFileTemplate(
                dataset_name=NAME, data_dir=folder, split=SPLIT, filetype_suffix="tfrecord"
            ),
        )  # fmt: skip
        tfds.folder_dataset.write_metadata(
            data_dir=folder, features=features(), split_infos=[split], check_data=False,
            description="Training samples that packshot run --augment made; look at purpose and digital_source_type.",
        )  # fmt: skip
        return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.json"))}


def _no_mask() -> bytes:
    return cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
