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
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import report
from fakes.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OUT = Path(__file__).parents[1] / "out" / "serving.json"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONF = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log; {user}
events {{}}
http {{
    access_log off; tcp_nopush on; root {root};
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{ports[0]}; sendfile on; }}
    server {{ listen 127.0.0.1:{ports[1]}; sendfile off; output_buffers 2 512k; }}
}}
"""


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
        with fake_gateway(manifest, Path(folder)) as ours, nginx(blob.path, Path(folder)) as theirs:
            for _ in range(options.repeat):
                for name, url in {"fake gateway": ours, **theirs}.items():
                    speeds.setdefault(name, []).append(curl(url, blob.size))
        machine = report.machine(Path(folder))
    medians = {name: median(of) for name, of in speeds.items()}
    ratio = medians["fake gateway"] / max(speed for name, speed in medians.items() if "nginx" in name)
    for name, speed in medians.items():
        print(f"{name:<16}{speed:>8.0f} MB/s")
    print(f"{'ratio':<16}{ratio:>8.2f}    medians of {options.repeat}, {options.mb} MB; written to {OUT}")
    document = {"machine": machine, "mb": options.mb, "mb_s": speeds, "medians": medians, "ratio": ratio}
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
    with _ended(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield f"{told['urls']['gateway1']}/ipfs/{told['manifest']['big']['ipfs']['cid']}/big.bin"


@contextlib.contextmanager
def nginx(file: Path, folder: Path) -> Iterator[dict[str, str]]:
    """One worker of nginx for the file's folder; the file's URLs by how it is served."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [one.getsockname()[1], other.getsockname()[1]]
    # As root it would serve as another user, who may not read a folder of ours.
    user = "user root;" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, user=user, ports=ports, root=file.parent))
    assert NGINX is not None
    with _ended(subprocess.Popen([NGINX, "-e", str(folder / "log"), "-c", str(conf)])):
        _await(ports[1])
        names = ("nginx, sendfile", "nginx, copying")
        yield {name: f"http://127.0.0.1:{port}/{file.name}" for name, port in zip(names, ports, strict=True)}


@contextlib.contextmanager
def _ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    try:
        with process:
            yield process
            process.terminate()
    finally:
        process.kill()


def _await(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx does not answer")


if __name__ == "__main__":
    sys.exit(main())
