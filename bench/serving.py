"""`python -m bench.serving [--mb N] [--repeat N]`: how fast a fake gateway serves, beside nginx, to curl.

The same file, the same curl, one after the other within every repeat. nginx (Debian's package) serves it twice: by sendfile,
as Debian sets it up, and by copying, which on loopback may be faster; the ratio is to the faster of the two. A fake that
is much slower than a real server would be what every other measurement here measures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import report
from bench.machine import machine
from bench.servers import NGINX, ended, nginx
from fakes.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OUT = Path(__file__).parents[1] / "out" / "serving.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; exit 2 where curl or nginx is absent."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--mb", type=int, default=200, help="size of the file (default 200)")
    parser.add_argument("--repeat", type=int, default=7, help="medians of N (default 7)")
    options = parser.parse_args(arguments)
    if NGINX is None or shutil.which("curl") is None:
        parser.error("needs curl and nginx")
    manifest = {"big": {"files": {"big.bin": {"size": options.mb * 1_000_000}}}}
    blob = Catalogue(manifest).models["big"].files["big.bin"]
    speeds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="fakes-serving-") as folder:
        with fake_gateway(manifest, Path(folder)) as ours, nginx(blob.path.parent, Path(folder)) as theirs:
            names = ("nginx, sendfile", "nginx, copying")
            files = {name: f"{url}/{blob.path.name}" for name, url in zip(names, theirs, strict=True)}
            for _ in range(options.repeat):
                for name, url in {"fake gateway": ours, **files}.items():
                    speeds.setdefault(name, []).append(curl(url, blob.size))
        described = machine(Path(folder))
    medians = {name: median(of) for name, of in speeds.items()}
    ratio = medians["fake gateway"] / max(speed for name, speed in medians.items() if "nginx" in name)
    for name, speed in medians.items():
        print(f"{name:<16}{speed:>8.0f} MB/s")
    print(f"{'ratio':<16}{ratio:>8.2f}    medians of {options.repeat}, {options.mb} MB; written to {OUT}")
    document = {"machine": described, "mb": options.mb, "mb_s": speeds, "medians": medians, "ratio": ratio}
    report.write(OUT, document)
    return 0


def curl(url: str, size: int) -> float:
    """MB/s of one download; RuntimeError if it is not the whole file."""
    told = "%{speed_download} %{size_download}"
    command = ["curl", "-sSf", "--noproxy", "*", "-o", os.devnull, "-w", told, url]
    speed, got = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if int(got) != size:
        raise RuntimeError(f"{url}: {got} bytes of {size}")
    return float(speed) / 1e6


@contextlib.contextmanager
def fake_gateway(manifest: dict[str, Any], folder: Path) -> Iterator[str]:
    """A world in a process of its own; the file's URL at its first gateway."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "fakes", "up", "--json", "--size", "full", "--manifest", str(path)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield f"{told['urls']['gateway1']}/ipfs/{told['manifest']['big']['ipfs']['cid']}/big.bin"


if __name__ == "__main__":
    sys.exit(main())
