"""The run's configuration: one frozen, validated object, from which flags, help and fingerprint follow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

from models.vae.files import judge_digest
from pipeline.colour_reference import reference_digest
from pipeline.credentials import Credentials, certificate_digest
from pipeline.profiles import load_profile, with_look
from transforms import enhance, enlarge
from transforms.colour_transfer import TRANSFERS
from transforms.perceptual_hash import MOST_DISTANCE
from transforms.profile import SHADOWS, Profile

OUTPUT_KINDS = ("packshot", "mask", "cutout")
CUTOUT_FORMATS = ("png", "webp")
ENHANCEMENTS = (*enhance.STEPS, "straighten", enlarge.STEP)
_ACCELERATOR = re.compile(r"type:[\w-]+(;[\w-]+(:[\w.-]+)?)*", re.ASCII)
_MEMORY = re.compile(r"\d+(\.\d+)?[KMGTP]i?B", re.ASCII)


def _setting(default: Any = dataclasses.MISSING, *, help: str, pixels: bool = False, **flag: Any) -> Any:
    """Declares a setting: ``pixels`` says that it changes what is made of a photo; the rest is argparse's."""
    return dataclasses.field(default=default, metadata={"help": help, "pixels": pixels, **flag})


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What one run does. Every field is a flag of ``packshot run`` of the same name.

    Raises:
      ValueError: a value is out of its range; the message names the flag, the value and what would be right.
    """

    input: str = _setting(help="Parquet file, folder or glob, or folder or glob of images; local, gs:// or s3://")
    output: str = _setting(help="output folder; local, gs:// or s3://")
    profile: str = _setting(
        "white-square", pixels=True, help="a marketplace's rules by name, or the path of a YAML file"
    )
    outputs: tuple[str, ...] = _setting(
        ("packshot", "mask"), pixels=True, help=f"comma-separated list of {', '.join(OUTPUT_KINDS)}"
    )
    background: str = _setting(
        "", help="another ground than the profile's: '#rrggbb', '#rrggbb-#rrggbb' (a gradient) or a picture's path"
    )
    shadow: str = _setting(
        "", help="another shadow than the profile's: none, contact, drop or kept (the photo's own)", metavar="SHADOW"
    )
    enhance: tuple[str, ...] = _setting(
        (), pixels=True, help=f"comma-separated list of {', '.join(ENHANCEMENTS)}; each acts only where it is needed"
    )
    cutout_format: str = _setting("png", pixels=True, help="format of the cut-out", choices=CUTOUT_FORMATS)
    blur_faces: bool = _setting(False, pixels=True, help="make faces on the product's side of the mask unrecognisable")
    c2pa_certificate: str | None = _setting(
        None, help="PEM file of a certificate chain: sign every asset with a C2PA manifest; needs the extra c2pa"
    )
    c2pa_key: str | None = _setting(None, help="PEM file of the certificate's private key: EC or Ed25519, unencrypted")
    id_column: str = _setting("id", help="Parquet column of the photo's id")
    image_column: str | None = _setting(
        None,
        help="Parquet column of the image: binary, struct<bytes, path> or string URI; found by itself if there is one",
    )
    attribute_columns: tuple[str, ...] = _setting(
        (), help="comma-separated Parquet columns to carry into the catalogue"
    )
    segmentation_model: str = _setting("packshot-seg", help="model by name, or the path of a model file")
    augment: str = _setting(
        "none", help="training samples to make beside the pictures: a plan's path or name, or none", metavar="PLAN"
    )
    full_refresh: bool = _setting(False, help="process every photo, also those that the last run has done")
    verify_content: bool = _setting(
        False, help="read every photo, also where size, version and time of change in its storage are as before"
    )
    max_rejected_fraction: float = _setting(
        0.05, help="more rejections than this end with status 3", metavar="FRACTION"
    )
    max_pixels: int = _setting(100_000_000, pixels=True, help="photos of more pixels are rejected unread", metavar="N")
    max_bytes: int = _setting(64 * 2**20, pixels=True, help="photos of more bytes are rejected unread", metavar="N")
    neutral_backdrop: bool = _setting(
        False, pixels=True, help="the backdrops are known to be white or grey: their tint is the light's"
    )
    colour_reference: str = _setting(
        "", help="bring grounds and tone to one look: a .json of packshot reference, or a picture", metavar="FILE"
    )
    colour_transfer: str = _setting("mk", help="how: mk (linear Monge-Kantorovich) or reinhard", choices=TRANSFERS)
    category_column: str = _setting(
        "category", help="the attribute column by which --colour_reference and --anomaly_model tell categories"
    )
    anomaly_model: str = _setting(
        "",
        help="send products to review that an autoencoder finds unlike what it has learnt: packshot-vae (clothing), or "
        "a .tflite file of packshot train vae",
        metavar="MODEL",
    )
    near_duplicate_distance: int = _setting(
        8,
        help="list pairs of photos whose perceptual hashes differ in at most N of 64 bits; a negative number: none",
        metavar="N",
    )
    keep_runs: int = _setting(
        0, help="keep the last N committed runs and delete what only older ones name; 0 keeps all", metavar="N"
    )
    batch_size: int = _setting(8, help="photos in one call of the segmentation model", metavar="N")
    model_threads: int = _setting(1, help="threads of one call of the segmentation model on CPU", metavar="N")
    half_precision: bool = _setting(
        False, pixels=True, help="where a GPU runs the segmentation model, have it compute in 16 bits"
    )
    single_look: bool = _setting(
        False,
        pixels=True,
        help="have the segmentation model look once at every photo: no second look where its mask is in doubt, "
        "no closer one at small products",
    )
    share_model: bool = _setting(
        False, help="one segmentation model a machine for all its worker processes: for a GPU that several share"
    )
    accelerator: str = _setting(
        "",
        help="ask the runner for workers with a GPU where pixels are, as in 'type:nvidia-l4;count:1;"
        "install-nvidia-driver'; a resource hint of Beam's, which Dataflow heeds and other runners pass over",
        metavar="HINT",
    )
    min_ram: str = _setting("", help="the same for memory, as in 16GB", metavar="SIZE")
    fetch_timeout: float = _setting(20.0, help="seconds that an http(s) request may wait", metavar="SECONDS")
    fetch_retries: int = _setting(3, help="repetitions of a fetch that failed in passing", metavar="N")
    allow_private_hosts: bool = _setting(False, help="let http(s) URIs name hosts of private networks")

    def __post_init__(self):
        for name in ("outputs", "attribute_columns", "enhance"):
            value = getattr(self, name)
            if isinstance(value, str):
                value = value.split(",")
            object.__setattr__(self, name, tuple(part.strip() for part in value if part.strip()))
        unknown = [kind for kind in self.outputs if kind not in OUTPUT_KINDS]
        if unknown or not self.outputs:
            raise ValueError(f"--outputs={','.join(self.outputs)!r} must be a list of {', '.join(OUTPUT_KINDS)}")
        if self.shadow and self.shadow not in SHADOWS:
            raise ValueError(f"--shadow={self.shadow!r} must be one of {', '.join(SHADOWS)}")
        if unknown := [step for step in self.enhance if step not in ENHANCEMENTS]:
            raise ValueError(f"--enhance names {unknown[0]!r}; it must be a list of {', '.join(ENHANCEMENTS)}")
        for name, noun in (("outputs", "an output"), ("enhance", "a step")):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"--{name}={','.join(getattr(self, name))!r} names {noun} twice")
        if self.cutout_format not in CUTOUT_FORMATS:
            raise ValueError(f"--cutout_format={self.cutout_format!r} must be one of {', '.join(CUTOUT_FORMATS)}")
        for name, least in (
            ("max_pixels", 1),
            ("max_bytes", 1),
            ("batch_size", 1),
            ("model_threads", 1),
            ("fetch_retries", 0),
            ("keep_runs", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"--{name}={getattr(self, name)!r} must be at least {least}")
        if self.colour_transfer not in TRANSFERS:
            raise ValueError(f"--colour_transfer={self.colour_transfer!r} must be one of {', '.join(TRANSFERS)}")
        if self.near_duplicate_distance > MOST_DISTANCE:
            raise ValueError(
                f"--near_duplicate_distance={self.near_duplicate_distance!r} must be at most {MOST_DISTANCE}"
            )
        if not 0 <= self.max_rejected_fraction <= 1:
            raise ValueError(f"--max_rejected_fraction={self.max_rejected_fraction!r} must lie between 0 and 1")
        if self.accelerator and not _ACCELERATOR.fullmatch(self.accelerator):
            raise ValueError(f"--accelerator={self.accelerator!r} must be like 'type:nvidia-l4;count:1'")
        if self.min_ram and not _MEMORY.fullmatch(self.min_ram):
            raise ValueError(f"--min_ram={self.min_ram!r} must be a size like '16GB' or '12.5GiB'")
        if not self.fetch_timeout > 0:
            raise ValueError(f"--fetch_timeout={self.fetch_timeout!r} must be above 0 seconds")
        for name in ("c2pa_certificate", "c2pa_key"):
            if "-----" in (getattr(self, name) or ""):  # its content must not get into a message or run.json
                raise ValueError(f"--{name} holds the text of a PEM file; name the file's path")
        if (self.c2pa_certificate is None) != (self.c2pa_key is None):
            raise ValueError("--c2pa_certificate and --c2pa_key go together; one of them is missing")
        for name in ("input", "output"):
            if not getattr(self, name):
                raise ValueError(f"--{name} is empty; name a path")

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> RunConfig:
        """Builds a configuration from a mapping that may hold more than its fields."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names and value is not None})

    def load_profile(self) -> Profile:
        """Returns the profile's rules, with the ground and the shadow that were asked for.

        Raises:
          ValueError: the profile is unknown or wrong, or the ground's picture cannot be read.
        """
        return with_look(load_profile(self.profile), background=self.background, shadow=self.shadow)

    def resource_hints(self) -> dict[str, str]:
        """Returns what is asked of the workers that hold pixels, as ``PTransform.with_resource_hints`` takes it."""
        return {name: getattr(self, name) for name in ("accelerator", "min_ram") if getattr(self, name)}

    def credentials(self) -> Credentials | None:
        """Returns who signs the assets, or None for nobody."""
        if self.c2pa_certificate is None or self.c2pa_key is None:
            return None
        return Credentials(self.c2pa_certificate, self.c2pa_key)

    def fingerprint(self, version: str) -> str:
        """Names all that decides an asset's bytes beside the photo and the model.

        Args:
          version: Packshot's release.

        Returns:
          16 hexadecimal digits; the same on every machine.
        """
        decisive = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.metadata.get("pixels")
        }
        profile = dataclasses.asdict(self.load_profile())
        if profile["backdrop"] is not None:
            profile["backdrop"] = hashlib.sha256(profile["backdrop"]).hexdigest()
        decisive["profile"], decisive["enhance"] = profile, sorted(self.enhance)
        decisive["outputs"] = sorted(self.outputs)
        if self.c2pa_certificate is not None:
            decisive["c2pa_certificate"] = certificate_digest(self.c2pa_certificate)
        if self.colour_reference:
            digest = reference_digest(self.colour_reference)
            decisive["colour_reference"] = [digest, self.colour_transfer, self.category_column]
        if self.anomaly_model:
            decisive["anomaly_model"] = [judge_digest(self.anomaly_model), self.category_column]
        text = json.dumps({"version": version, **decisive}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Returns the settings as JSON can hold them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))
