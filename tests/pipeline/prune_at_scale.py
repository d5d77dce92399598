"""What pruning costs for many photos: ``python -m tests.pipeline.prune_at_scale [PHOTOS]``.

Makes up the tables of two runs, of which one is kept; a tenth of the photos changed, and every photo has three
assets. The listing of the assets is made up too: what is measured is the pruning and not the disk.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from pipeline.keeping import plan_prune
from pipeline.pruning import sweep
from pipeline.records import ASSET_TYPE
from pipeline.sinks import storage
from pipeline.sinks.tables import encode_table

_KINDS = (("packshot", "jpg"), ("mask", "png"), ("cutout", "png"))
_SHARD = 50_000  # photos


def _uris(photo, version):
    for number, (kind, extension) in enumerate(_KINDS):
        digest = f"{photo * 2654435761 + number * 97 + version * 7919:020x}"[::-1]
        yield f"assets/{kind}/{digest[:2]}/seller-{photo % 50}-photo-{photo:07d}-jpg-{digest}.{extension}"


def _store_runs(place, photos):
    runs = ["20261101T223000Z-000000", "20261102T223000Z-000000"]
    for version, run in enumerate(runs):
        folder = place / "catalogue" / run
        folder.mkdir(parents=True)
        shards = -(-photos // _SHARD)
        for shard in range(shards):
            members = range(shard * _SHARD, min(photos, (shard + 1) * _SHARD))
            uris = [uri for photo in members for uri in _uris(photo, version if photo % 10 == 0 else 0)]
            values = {
                "kind": [kind for kind, _ in _KINDS] * len(members), "uri": uris, "width": [1000] * len(uris),
                "height": [1000] * len(uris), "bytes": [20_000] * len(uris),
                "sha256": [f"{number:064x}" for number in range(len(uris))], "media_type": ["image/png"] * len(uris),
            }  # fmt: skip
            arrays = [pa.array(values[field.name], field.type) for field in ASSET_TYPE]
            assets = pa.StructArray.from_arrays(arrays, fields=list(ASSET_TYPE))
            table = pa.table({"assets": pa.ListArray.from_arrays(range(0, len(uris) + 1, len(_KINDS)), assets)})
            (folder / f"part-{shard:05d}-of-{shards:05d}.parquet").write_bytes(encode_table(table))
        (place / "runs" / run).mkdir(parents=True)
        text = json.dumps({"previous_run": runs[version - 1] if version else None})
        (place / "runs" / run / "run.json").write_text(text)
    (place / "LATEST").write_text(runs[-1])


def _peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024


def _measure(place, photos):
    listing = storage.list_files

    def made_up(folder, prefix=""):
        if prefix != "assets/":
            yield from listing(folder, prefix)
            return
        for photo in range(photos):
            for version in (0, 1) if photo % 10 == 0 else (0,):
                for uri in _uris(photo, version):
                    yield storage.Entry(uri, 20_000, 0.0)

    storage.list_files = made_up
    before, began = _peak(), time.process_time()
    plan = plan_prune(str(place), 1)
    planned = time.process_time()
    tally = sweep(str(place), plan, cutoff=0.0, delete=lambda names: None)
    print(
        f"{photos:,} photos: {len(plan.named):,} assets kept, {sum(tally.files[key] for key in tally.going()):,} files "
        f"go; {planned - began:.1f} s to plan, {time.process_time() - planned:.1f} s to judge; "
        f"{_peak() - before:.0f} MB on top of {before:.0f}"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        if not sys.argv[2:]:  # tables are made in a process of their own: its memory does not count
            subprocess.run([sys.executable, "-m", "tests.pipeline.prune_at_scale", str(count), folder], check=True)
            _measure(Path(folder), count)
        else:
            _store_runs(Path(sys.argv[2]), count)
