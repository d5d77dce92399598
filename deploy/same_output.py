"""Says whether runs left the same bytes: python deploy/same_output.py OUT OUT ...

Compared are all assets and the tables of the last committed run. Exit status 1 where they differ.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

TABLES = ("catalogue", "rejections", "removed", "near_duplicates")


def digests(output: Path) -> dict[str, str]:
    """Returns the SHA-256 of every asset and of every file of the last run's tables, by name without the run's."""
    run = (output / "LATEST").read_text().strip()
    named = {str(path.relative_to(output)): path for path in output.glob("assets/**/*") if path.is_file()}
    for table in TABLES:
        named |= {f"{table}/{path.name}": path for path in (output / table / run).glob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(named.items())}


def describe(output: Path, found: dict[str, str]) -> str:
    """Returns a line on what a run left: its ledger, and one digest over the names and digests of all files."""
    run = json.loads((output / "runs" / (output / "LATEST").read_text().strip() / "run.json").read_text())
    ledger = ", ".join(f"{run[field]:,} {field}" for field in ("read", "ready", "review", "rejected"))
    whole = hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in found.items()).encode()).hexdigest()
    assets = sum(name.startswith("assets/") for name in found)
    return f"{output}: {ledger}; {assets:,} assets, {len(found) - assets} files of tables, {whole[:16]}"


def main(outputs: list[str]) -> int:
    """Prints a line for every output and the first differences from the first one."""
    if len(outputs) < 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    found = {output: digests(Path(output)) for output in outputs}
    for output, files in found.items():
        print(describe(Path(output), files))
    first = found[outputs[0]]
    different = False
    for output in outputs[1:]:
        names = first.keys() | found[output].keys()
        others = sorted(name for name in names if first.get(name) != found[output].get(name))
        for name in others[:5]:
            both = name in first and name in found[output]
            print(f"{name} differs in {output}" if both else f"{name} is not in both")
        different = different or bool(others)
    print("they differ" if different else "the same bytes")
    return int(different)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
