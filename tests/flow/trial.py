"""One fault against the engine: alone, or with a good second source. What came of it, as a row of a table.

`python -m tests.flow.trial [FAULT…]` prints the table for every fault the fakes can play and writes
it as JSON; `test_every_fault.py` asserts the same rows.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fakes.faults import FAULTS, fault_from_dict
from fakes.faults.body import Truncate
from fakes.world import World
from fallback import Manifest, Settings, StorageError, sync

SIZE = 3_000_000
CUT_AT = 1_500_000
"""Where the first answer breaks off, so that there is a range for a fault of ranges to be about."""
MODELS: dict[str, Any] = {
    "tiny": {
        "type": "stt",
        "dir": "org/tiny",
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""},
        "files": {"onnx/model.onnx": {"size": SIZE}},
    }
}
TIMEOUT_S = 0.4
DEADLINE_S = 20.0
NOBODY = "http://127.0.0.1:9"
"""Discard's port: nobody listens, and root alone could."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "redirect": {"location": "file:///etc/passwd"},
    "status": {"status": 502},
}
"""For faults that have no default."""

AT_THE_HUB = frozenset({"expired-signature"})
"""Faults of the Hub's CDN; all others are a gateway's."""

OF_RANGES = frozenset({"corrupt-on-resume"})
"""Faults of another group that strike only ranges."""


@dataclass(frozen=True)
class Row:
    """What came of it: `exit` as the command line would end, bytes that went over the wire."""

    fault: str
    numbers: str
    second_source: bool
    exit: int
    disk: str
    requests: int
    seconds: float
    bytes: int


def trial(name: str, *, second_source: bool) -> Row:
    """Get one file of 3 MB from a source with this fault, at its defaults, into an empty folder."""
    fault = fault_from_dict(ARGUMENTS.get(name, {}) | {"name": name})
    with World(MODELS, size="full", gateways=2) as world, tempfile.TemporaryDirectory() as folder:
        if fault.group == "range" or name in OF_RANGES:
            world.add("gateway1", Truncate(offset=CUT_AT), first=1)
        world.add("cdn" if name in AT_THE_HUB else "gateway1", fault)
        good = world.gateways[1:] if second_source else []
        bad = [NOBODY] if name in AT_THE_HUB else world.gateways[:1]
        settings = Settings(
            models_dir=Path(folder) / "models",
            gateways=(*bad, *good),
            hf_endpoint=world.hub if name in AT_THE_HUB else NOBODY,
            preferred_layer="huggingface" if name in AT_THE_HUB else "ipfs",
            timeout_s=TIMEOUT_S,
            connect_timeout_s=TIMEOUT_S,
            backoff_s=0.05,
            max_wait_s=1,
            deadline_s=DEADLINE_S,
            reserve_bytes=0,
        )
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        began = time.monotonic()
        try:
            code = 0 if sync(manifest, settings=settings).ok else 1
        except StorageError:
            code = 3
        seconds = time.monotonic() - began
        entries = world.journal.entries()
        return Row(
            fault=name,
            numbers=", ".join(map(str, FAULTS[name].numbers)),
            second_source=second_source,
            exit=code,
            disk=_disk(settings.models_dir / "org/tiny/onnx/model.onnx", manifest),
            requests=len(entries),
            seconds=round(seconds, 2),
            bytes=sum(entry.bytes_sent for entry in entries),
        )


def _disk(path: Path, manifest: Manifest) -> str:
    [(_, file)] = manifest.files()
    if not path.exists():
        return "absent"
    return "right" if hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256 else "WRONG"


def main(names: list[str]) -> None:
    """Print the table, and write it to out/faults.json."""
    rows = []
    print(f"{'no.':<42} {'fault':<20} {'second':<7} exit disk   requests seconds     bytes")
    for name in names or sorted(FAULTS, key=lambda name: FAULTS[name].numbers):
        for second_source in (False, True):
            row = trial(name, second_source=second_source)
            rows.append(row)
            print(
                f"{row.numbers:<42} {row.fault:<20} {'yes' if second_source else 'no':<7} {row.exit:<4} "
                f"{row.disk:<6} {row.requests:>8} {row.seconds:>7.2f} {row.bytes:>9}",
                flush=True,
            )
    out = Path("out/faults.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    wrong = [row for row in rows if row.disk == "WRONG" or (row.second_source and row.exit != 0)]
    print(f"{len(rows)} rows, {len(wrong)} of them not as they must be; written to {out}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
