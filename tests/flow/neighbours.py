"""Machines of one network that look for one another by mDNS, as processes: `python -m tests.flow.neighbours ACT FOLDER`.

To be run inside `unshare -n` alone (`alone` makes the command): it multicasts. Prints what came of it as JSON.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes.world import World
from tests.flow.conftest import MODELS
from tests.flow.serving import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS = "10.9.0.1"
"""The network's, on loopback: what is announced at 127.0.0.1 is nobody's but this machine's."""

ADDRESS_6 = "fd09::1"
"""The same over IPv6, of a bridge without ports: loopback delivers no multicast of IPv6."""

LINK = f"ip link set lo up multicast on && ip addr add {ADDRESS}/32 dev lo && ip route add 224.0.0.0/4 dev lo"


LINK_6 = (
    "ip link set lo up && ip link add shared type bridge && ip link set shared up"
    f" && ip -6 addr add {ADDRESS_6}/64 dev shared nodad"
)


def alone(act: str, folder: Path) -> list[str]:
    """The command that runs an act in a network of its own."""
    inside = f"{LINK_6 if act == 'meet6' else LINK} && exec {sys.executable} -m tests.flow.neighbours {act} {folder}"
    return ["unshare", "-n", "sh", "-c", inside]


class Machine:
    """A models folder, and the commands that are run on it."""

    def __init__(self, world: World, folder: Path, **settings: str) -> None:
        folder.mkdir()
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(world.manifest()))
        own = {"FALLBACK_MANIFEST": str(manifest), "FALLBACK_MODELS_DIR": str(folder / "models")}
        self.environment = {**os.environ, **world.environment(), **own, **QUICK, **settings}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "fallback", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextlib.contextmanager
    def serving(self, host: str, origin: str) -> Iterator[None]:
        server = self.start("serve", "--share", "--discover", "--host", host, "--port", "0")
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith(origin)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=20)
            assert (server.returncode, said) == (0, "")

    def synced(self) -> dict[str, Any]:
        """A sync that looks for peers: its exit code, layers, warnings, and seconds from its start to its first byte."""
        began, first, layers, warned = time.monotonic(), None, [], []
        process = self.start("sync", "--discover", "--json")
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progressed" and first is None:
                first = time.monotonic() - began
            if event["event"] == "file_completed":
                layers.append(event["layer"])
            if event["event"] == "warned":
                warned.append(event["message"])
        _, said = process.communicate(timeout=60)
        return {
            "exit": process.returncode,
            "layers": sorted(layers),
            "first_byte_s": first,
            "seconds": time.monotonic() - began,
            "warned": warned,
            "said": said,
        }


def meet(
    world: World, folder: Path, host: str = ADDRESS, origin: str = f"http://{ADDRESS}:"
) -> dict[str, Any]:
    """One machine has all files and shares them; another finds it, as one that came too early did not."""
    giver, taker = Machine(world, folder / "giver"), Machine(world, folder / "taker")
    assert giver.start("sync", "--quiet").wait(60) == 0
    early = Machine(world, folder / "early").synced()
    asked = len(world.journal.entries())
    with giver.serving(host, origin):
        came = taker.synced()
        again = taker.synced()
    # Whether there is a newer version a server asks in its own time: that is no file.
    files = [each for each in world.journal.entries()[asked:] if not each.path.startswith("/api/")]
    return {**came, "early": early, "again": again, "requests": len(files)}


def meet6(world: World, folder: Path) -> dict[str, Any]:
    """The same where all addresses that others can reach are of IPv6."""
    return meet(world, folder, "::", "http://[::]:")


def lies(_world: World, _folder: Path) -> dict[str, Any]:
    """Of what anybody announces, little may be followed, and not more than so many."""
    from fallback.share.announcing import OWN, SERVICE
    from fallback.share.finding import MOST

    asked: dict[str, tuple[str, int, dict[str, str]]] = {
        "public": ("192.0.43.8", 80, {"version": "1", "path": ""}),
        "ourselves": ("127.0.0.1", 22, {"version": "1", "path": ""}),
        "nowhere": ("0.0.0.0", 80, {"version": "1", "path": ""}),
        "everybody": ("239.1.2.3", 80, {"version": "1", "path": ""}),
        "older": (ADDRESS, 81, {"version": "0", "path": ""}),
        "elsewhere": (ADDRESS, 82, {"version": "1", "path": "/../admin?x=y"}),
        "silent": (ADDRESS, 83, {}),
        "no-port": (ADDRESS, 0, {"version": "1", "path": ""}),
        "good": (ADDRESS, 84, {"version": "1", "path": "/gm"}),
        "other": ("10.200.3.4", 85, {"version": "1", "path": "", "url": "http://elsewhere.example"}),
    }
    OWN.add(f"own.{SERVICE}")
    asked["own"] = (ADDRESS, 86, {"version": "1", "path": ""})
    few = _found_among(asked)
    many = {f"n{number}": (ADDRESS, 1000 + number, {"version": "1", "path": ""}) for number in range(20)}
    crowd = _found_among(many)
    return {"found": sorted(few), "crowd": len(crowd), "most": MOST}


def _found_among(told: dict[str, tuple[str, int, dict[str, str]]]) -> tuple[str, ...]:
    from zeroconf import ServiceInfo, Zeroconf

    from fallback.share.announcing import SERVICE
    from fallback.share.finding import found

    announcer = Zeroconf(interfaces=[ADDRESS])
    try:
        infos = [
            ServiceInfo(SERVICE, f"{name}.{SERVICE}", port, properties=properties, parsed_addresses=[address])
            for name, (address, port, properties) in told.items()
        ]
        with ThreadPoolExecutor(len(infos)) as pool:  # each takes as long as it is told of
            list(pool.map(functools.partial(announcer.register_service, cooperating_responders=True), infos))
        return found(5.0, lambda: False)
    finally:
        announcer.close()


ACTS: dict[str, Callable[[World, Path], dict[str, Any]]] = {"meet": meet, "meet6": meet6, "lies": lies}


def main(act: str, folder: str) -> None:
    with World(MODELS, size="full") as world:
        print(json.dumps(ACTS[act](world, Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
