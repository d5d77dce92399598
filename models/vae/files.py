"""The files of an autoencoder that judges: its LiteRT network, and its memory beside it."""

from __future__ import annotations

import hashlib
import pathlib

DEFAULT_MODEL = "packshot-vae"

_WEIGHTS = pathlib.Path(__file__).parent / "weights"


def read_judge(name_or_path: str) -> tuple[bytes, bytes]:
    """Reads both files.

    Args:
      name_or_path: ``packshot-vae``, or path or URI of a ``.tflite`` file that ``packshot train vae`` wrote; the memory
        is the ``.npz`` of the same name beside it.

    Raises:
      ValueError: it is neither, or a file cannot be read; it is named.
    """
    network = str(_WEIGHTS / f"{DEFAULT_MODEL}.tflite") if name_or_path == DEFAULT_MODEL else name_or_path
    if not network.endswith(".tflite"):
        raise ValueError(
            f"anomaly model {name_or_path!r} must be {DEFAULT_MODEL} or a .tflite file that packshot train vae wrote"
        )
    contents = []
    for place in (network, network.removesuffix(".tflite") + ".npz"):
        try:
            contents.append(_read(place))
        except Exception as error:  # storage clients each have their own
            raise ValueError(f"anomaly model {name_or_path!r} cannot be read: {error}") from error
    return contents[0], contents[1]


def digest_of(network: bytes, memory: bytes) -> str:
    """Returns 64 hexadecimal digits that name both files' content."""
    return hashlib.sha256(hashlib.sha256(network).digest() + hashlib.sha256(memory).digest()).hexdigest()


def judge_digest(name_or_path: str) -> str:
    """Returns ``digest_of`` the files; arguments and errors as of ``read_judge``."""
    return digest_of(*read_judge(name_or_path))


def _read(place: str) -> bytes:
    if "://" in place:
        # Beam's filesystems are needed only for what lies in cloud storage
        from models.handlers import files

        return files.read_bytes(place)
    return pathlib.Path(place).read_bytes()
