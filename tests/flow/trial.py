"""One fault against the engine: alone, or with a good second source. What came of it, as a row of a table.

`python -m tests.flow.trial [FAULT|NUMBER…]` prints the table for every way to play a row of the fault catalogue, and
writes it as JSON (`make faults-table` puts it into the README); `test_every_fault.py` asserts the same rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.faults import Truncate
from fakes.faults.rows import rows
from fakes.world import World
from fallback import Manifest, Settings, StorageError, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.faults import Fault

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
SEND_BUFFER = 1 << 18
"""So that the bytes sent are those that the client took, and not what a kernel holds for it."""
TIMEOUT_S = 0.6
DEADLINE_S = 20.0
NOBODY = "http://127.0.0.1:9"
"""Discard's port: nobody listens, and root alone could."""
OUT = Path("out/faults.json")

AT_THE_HUB = {"expired-signature": "cdn", "rate-limited": "hub"}
"""Faults of the Hub or its CDN; all others are a gateway's."""

OF_RANGES = frozenset({"bad-header", "corrupt-on-resume"})
"""Faults of another group that strike (also) on a resume."""


@dataclass(frozen=True)
class Case:
    """One way to play a row of the catalogue; `id` is its number, its name, and the how-manieth way it is."""

    number: int
    id: str
    group: str
    fault: Fault


def _cases() -> dict[str, Case]:
    found = [
        Case(row.number, f"{row.number}-{row.name}{f'-{way}' if way > 1 else ''}", row.group, fault)
        for row in rows().values()
        for way, fault in enumerate(row.plays, start=1)
    ]
    return {case.id: case for case in found}


CASES = _cases()


@dataclass(frozen=True)
class Row:
    """What came of it: `exit` as the command line would end, `disk` at every instant, bytes that went over the wire."""

    case: str
    number: int
    fault: dict[str, Any]
    second_source: bool
    exit: int
    disk: str
    requests: int
    seconds: float
    bytes: int


def trial(case: Case, *, second_source: bool) -> Row:
    """Get one file of 3 MB from a source with this fault, into an empty folder."""
    fault, server = case.fault, AT_THE_HUB.get(case.fault.name, "gateway1")
    https = case.group == "tls"
    with (
        World(MODELS, size="full", gateways=2, https=https, send_buffer=SEND_BUFFER) as world,
        tempfile.TemporaryDirectory() as folder,
    ):
        if fault.group == "range" or fault.name in OF_RANGES:
            world.add("gateway1", Truncate(offset=CUT_AT), first=1)
        world.add(server, fault)
        settings = _settings(
            world, Path(folder), at_the_hub=server != "gateway1", second_source=second_source
        )
        manifest = Manifest.parse(json.dumps(world.manifest()), name="world")
        began = time.monotonic()
        with watched(settings.models_dir / "org/tiny/onnx/model.onnx", manifest) as disk:
            try:
                code = 0 if sync(manifest, settings=settings).ok else 1
            except StorageError:
                code = 3
        seconds = time.monotonic() - began
        entries = world.journal.entries()
        return Row(
            case=case.id,
            number=case.number,
            fault=fault.to_dict(),
            second_source=second_source,
            exit=code,
            disk=disk(),
            requests=len(entries),
            seconds=round(seconds, 2),
            bytes=sum(entry.bytes_sent for entry in entries),
        )


def _settings(world: World, folder: Path, *, at_the_hub: bool, second_source: bool) -> Settings:
    good = world.gateways[1:] if second_source else []
    bad = [NOBODY] if at_the_hub else world.gateways[:1]
    return Settings(
        models_dir=folder / "models",
        gateways=(*bad, *good),
        hf_endpoint=world.hub if at_the_hub else NOBODY,
        ca_bundle=world.ca,
        preferred_layer="huggingface" if at_the_hub else "ipfs",
        timeout_s=TIMEOUT_S,
        connect_timeout_s=TIMEOUT_S,
        backoff_s=0.05,
        max_wait_s=1,
        deadline_s=DEADLINE_S,
        reserve_bytes=0,
    )


@contextlib.contextmanager
def watched(path: Path, manifest: Manifest) -> Iterator[Callable[[], str]]:
    """Look at the final name all the while; what it held: `right`, `absent`, or `WRONG` if ever so (P1)."""
    [(_, file)] = manifest.files()
    over = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        with contextlib.suppress(FileNotFoundError):
            seen.add(hashlib.sha256(path.read_bytes()).hexdigest())

    def watch() -> None:
        while not over.wait(0.005):
            look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: "absent" if not seen else "right" if seen == {file.sha256} else "WRONG"
    finally:
        over.set()
        thread.join()
        look()


def main(wanted: list[str]) -> None:
    """Print the table, and write it to out/faults.json."""
    cases = [case for case in CASES.values() if not wanted or {case.fault.name, str(case.number)} & {*wanted}]
    results = []
    print(f"{'case':<26} {'fault':<20} {'second':<7} exit disk   requests seconds     bytes")
    for case in cases:
        for second_source in (False, True):
            row = trial(case, second_source=second_source)
            results.append(row)
            print(
                f"{row.case:<26} {case.fault.name:<20} {'yes' if second_source else 'no':<7} {row.exit:<4} "
                f"{row.disk:<6} {row.requests:>8} {row.seconds:>7.2f} {row.bytes:>9}",
                flush=True,
            )
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(row) for row in results], indent=1) + "\n")
    wrong = [row for row in results if row.disk == "WRONG" or (row.second_source and row.exit != 0)]
    print(f"{len(results)} rows, {len(wrong)} of them not as they must be; written to {OUT}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
