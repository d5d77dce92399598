import pathlib

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import AUGMENTED_SCHEMA
from pipeline.report import samples
from pipeline.report.samples import training_samples
from pipeline.report.wording import SAMPLE_REFUSED_TEXT

PICTURE = cv2.imencode(".png", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
TOLD = {
    "asked": 9, "accepted": 7, "missing": 2, "carried": 1, "refused": {"memorised": 3, "low_score": 1},
    "missing_categories": {"hat": 2}, "withheld": {"not_enabled": {"kilt": 5}},
}  # fmt: skip


def row(kind, number, status="accepted", **changes):
    digest = f"{number:010x}{0:010x}"
    empty = dict.fromkeys(AUGMENTED_SCHEMA.names)
    return {
        **empty, "id": f"{kind}-{digest}", "kind": kind, "parents": ["sku <b>"] if kind != "product" else [], "seed": 1,
        "generator": "g", "purpose": "p", "digital_source_type": "d", "operations": ["rotate 3.1", "hue 2"],
        "status": status, "refused_reason": "memorised" if status == "refused" else None, "final": True,
        "uri": f"{kind}-{digest}.png", "category": "hat", "config_fingerprint": "f", **changes,
    }  # fmt: skip


def write(output, rows):
    folder = pathlib.Path(output, "augmented", "first")
    folder.mkdir(parents=True)
    rows = sorted(rows, key=lambda row: row["id"])
    pq.write_table(pa.Table.from_pylist(rows, schema=AUGMENTED_SCHEMA), folder / "part-00000-of-00001.parquet")


def section(output, told=TOLD, read=lambda uri: PICTURE):
    return training_samples(str(output), "first", {"augmented": told} if told else {}, read)


def test_some_of_each_kind_and_of_the_refused_are_shown_and_generated_ones_say_so(tmp_path):
    rows = [row(kind, number) for kind in ("variant", "backdrop", "product") for number in range(30)]
    again = [row("variant", number, id=f"variant-{number:010x}{1:010x}") for number in range(30)]
    write(tmp_path, [*rows, *again, *(row("product", number, "refused") for number in range(40, 42))])
    found = section(tmp_path)
    assert found["sentence"] == "9 asked for = 7 in use + 2 missing; 1 carried over"
    shown = {group["key"]: group["pictures"] for group in found["groups"]}
    assert {key: len(pictures) for key, pictures in shown.items()} == {
        "variant": 12, "backdrop": 12, "product": 12, "refused": 2,
    }  # fmt: skip
    assert all(picture["generated"] for picture in (*shown["product"], *shown["refused"]))
    assert not any(picture["generated"] for picture in (*shown["variant"], *shown["backdrop"]))
    assert {picture["detail"] for picture in shown["variant"]} == {"rotate, hue"}
    assert {picture["detail"] for picture in shown["refused"]} == {"memorised"}
    assert [group["share"] for group in found["refused"]] == ["75 %", "25 %"]
    assert found["missing"] == "hat (2)"
    assert found["withheld"] == [{"text": SAMPLE_REFUSED_TEXT["not_enabled"], "categories": "kilt (5)"}]


def test_a_run_without_samples_has_no_section(tmp_path):
    assert section(tmp_path) is None
    write(tmp_path, [])
    assert section(tmp_path, told=None) is None


def test_pictures_that_cannot_be_read_and_more_than_fit_are_left_out(tmp_path, monkeypatch):
    write(tmp_path, [row("variant", number) for number in range(4)])

    def read(uri):
        if "0" * 20 in uri:
            raise FileNotFoundError(uri)
        return PICTURE

    pictures = section(tmp_path, read=read)["groups"][0]["pictures"]
    assert [picture["thumbnail"] is None for picture in pictures] == [True, False, False, False]
    monkeypatch.setattr(samples, "BUDGET", 1)
    assert all(p["thumbnail"] is None for p in section(tmp_path)["groups"][0]["pictures"])
