"""`python -m bench.bundles [--size full|small] [--repeat N]`: making and installing a bundle, beside tar and sha256sum.

What others would do: `sha256sum -c`, `tar -cf` and a sync of the file to make one, `tar -xf`, a sync of each file and
`sha256sum -c` to install it; all files are on disk and proven then. Without the syncs, too, for who does not care for a
power cut. The command line is measured whole, with its start. One after the other within every repeat; nothing is
dropped from the page cache, for nobody's figures would gain by it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import report
from bench.asked import positive
from bench.machine import machine
from fakes.catalogue import Catalogue, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

OUT = Path(__file__).parents[1] / "out" / "bundles.json"
CHECK, SYNC = "sha256sum --quiet -c ../SUMS", "find . -type f -exec sync {} +"
OURS = f"{sys.executable} -m fallback bundle"
WAYS = {
    "make": {
        "fallback": f"{OURS} create -q -o ../made.tar",
        "sha256sum, tar, sync": f"{CHECK} && tar -cf ../made.tar * && sync ../made.tar",
        "sha256sum, tar": f"{CHECK} && tar -cf ../made.tar *",
    },
    "install": {
        "fallback": f"{OURS} install -q ../bundle.tar",
        "tar, sha256sum, sync": f"tar -xf ../bundle.tar && {CHECK} && {SYNC}",
        "tar, sha256sum": f"tar -xf ../bundle.tar && {CHECK}",
    },
}
"""What is done in a folder that holds all files, and in an empty one; the first of others is what ours is measured by."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; exit 2 where tar or sha256sum is absent."""
    parser = argparse.ArgumentParser(prog="python -m bench.bundles", description=__doc__)
    parser.add_argument(
        "--size", choices=("full", "small"), default="full", help="492 MB (default), or under 1 MB"
    )
    parser.add_argument("--repeat", type=positive, default=5, help="medians of N (default 5)")
    parser.add_argument("--chunks", action="store_true", help="the manifest has the SHA-256 of each MiB, too")
    options = parser.parse_args(arguments)
    if shutil.which("tar") is None or shutil.which("sha256sum") is None:
        parser.error("needs tar and sha256sum")
    seconds: dict[str, dict[str, list[float]]] = {
        task: {way: [] for way in ways} for task, ways in WAYS.items()
    }
    with tempfile.TemporaryDirectory(prefix="fallback-bundles-") as name:
        folder = Path(name)
        size = _staged(folder, Catalogue(size=options.size), proofs=options.chunks)
        for _ in range(options.repeat):
            for task, ways in WAYS.items():
                for way, command in ways.items():
                    seconds[task][way].append(_timed(command, folder, task))
        described = machine(folder) | {"load": os.getloadavg()}
    medians: dict[str, dict[str, float]] = {
        task: {way: median(of) for way, of in ways.items()} for task, ways in seconds.items()
    }
    ratios: dict[str, float] = {}
    for task, ways_ in medians.items():
        for way, took in ways_.items():
            print(f"{task:<8}{way:<22}{took:>8.2f} s{size / took / 1e6:>8.0f} MB/s")
        ours, theirs, *_ = ways_.values()
        ratios[task] = ours / theirs
        print(f"{task:<8}{'ratio':<22}{ratios[task]:>8.2f}")
    print(
        f"medians of {options.repeat}, {size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}; written to {OUT}"
    )
    report.write(
        OUT, {"machine": described, "bytes": size, "seconds": seconds, "medians": medians, "ratios": ratios}
    )
    return 0


def _staged(folder: Path, catalogue: Catalogue, *, proofs: bool) -> int:
    """A full models folder, the sums of its files, and a bundle of them; how many bytes they have."""
    full, manifest = folder / "full", catalogue.manifest(proofs=proofs)
    for name, model in catalogue.models.items():
        for path, blob in model.files.items():
            target = full / manifest[name]["dir"] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(blob.path, target)
    files = targets(manifest)
    (folder / "SUMS").write_text("".join(f"{file['sha256']}  {path}\n" for path, file in files.items()))
    (full / ".manifests.json").write_text(json.dumps(manifest))
    _run(f"{OURS} create -q -o ../bundle.tar", full)
    return sum(file["size"] for file in files.values())


def _timed(command: str, folder: Path, task: str) -> float:
    """Seconds that `command` takes; what it made is deleted before the next."""
    place = folder / ("full" if task == "make" else "empty")
    if task == "install":
        place.mkdir()
        shutil.copyfile(folder / "full" / ".manifests.json", place / ".manifests.json")
    os.sync()  # what an earlier one left to be written is not this one's
    began = time.monotonic()
    _run(command, place)
    took = time.monotonic() - began
    if task == "install":
        shutil.rmtree(place)
    (folder / "made.tar").unlink(missing_ok=True)
    return took


def _run(command: str, folder: Path) -> None:
    environment: dict[str, Any] = os.environ | {
        "FALLBACK_MODELS_DIR": str(folder),
        "FALLBACK_RESERVE_BYTES": "0",
    }
    subprocess.run(["sh", "-ec", command], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
