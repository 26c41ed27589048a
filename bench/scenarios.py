"""What is measured: what the models folder holds at the start, what is wrong with the world, and who takes part.

Data alone: nothing is run here. How a scenario is run is `running`'s, what its figures are to be is `goals`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Start = Literal["empty", "complete"]
Server = Literal["fakes", "nginx"]

MODELS: Mapping[str, Any] | None = None
"""The 13 files."""

MB = 1_000_000


def _files(sizes: Mapping[str, int]) -> dict[str, Any]:
    """A model of synthetic files, in the manifest's shape."""
    files = {path: {"size": size} for path, size in sizes.items()}
    hub = {"repo": "bench/files", "repo_type": "model", "revision": "main", "path": ""}
    return {"files": {"type": "bench", "dir": "bench/files", "huggingface": hub, "files": files}}


def _many(count: int) -> dict[str, Any]:
    """So many files of 4 to 8 kB, in folders of a hundred."""
    return _files({f"{n // 100:03}/{n:05}.bin": 4000 + n % 4000 for n in range(count)})


@dataclass(frozen=True)
class Scenario:
    """`gateways` is how many a client knows of; `rules` are those of the fakes; `start` is what is there when the clock starts."""

    name: str
    what: str
    clients: tuple[str, ...]
    content: Mapping[str, Any] | None = MODELS
    gateways: int = 1
    start: Start = "empty"
    rules: tuple[Mapping[str, Any], ...] = ()
    server: Server = "fakes"
    tries: int = 1
    """How often to ask a source for a file, for clients that can be told: what is best for them here."""
    variants: Mapping[str, tuple[str, int]] | None = None
    """Further entries of the engine, by name: one of `clients.CLIENTS`, and of how many gateways it knows."""

    @property
    def entries(self) -> tuple[str, ...]:
        """Who is measured where all programs are here, in the order of tables."""
        return (*self.clients, *(self.variants or ()))


def _hangs(*numbers: int) -> tuple[Mapping[str, Any], ...]:
    return tuple({"server": f"gateway{n}", "fault": {"name": "accept-silent"}} for n in numbers)


_EVERYBODY = (
    "fallback",
    "curl -Z + fsync",
    "curl -Z",
    "curl",
    "aria2c",
    "wget",
    "huggingface_hub",
    "pooch",
    "pypdl",
    "requests loop",
)
_LARGEST = "*decoder_model_merged.onnx"
_CAPPED = ({"server": "gateway*", "fault": {"name": "bandwidth", "rate": 8000}},)
_ONE_100_MB = _files({"model.bin": 100 * MB})

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("cold", "13 files, an empty folder, a healthy gateway", _EVERYBODY),
        Scenario(
            "cold-nginx",
            "the same from nginx, in case the fake is what is slow",
            ("fallback", "curl -Z + fsync", "curl -Z", "aria2c", "pooch", "requests loop"),
            server="nginx",
        ),
        Scenario("warm", "13 cache hits, in a process that runs", ("fallback in process",), start="complete"),
        Scenario(
            "warm-cli",
            "13 cache hits, the whole process",
            ("fallback", "python3 -c import"),
            start="complete",
        ),
        Scenario("verify", "every byte read again", ("fallback verify", "openssl -P2"), start="complete"),
        Scenario("healthy", "four gateways, all well", ("fallback", "aria2c", "curl -Z"), gateways=4),
        Scenario(
            "first-gateway-hangs",
            "the first of four accepts and is silent",
            ("fallback", "aria2c"),
            gateways=4,
            rules=_hangs(1),
        ),
        Scenario(
            "three-gateways-hang",
            "the first three of four do",
            ("fallback", "aria2c"),
            gateways=4,
            rules=_hangs(1, 2, 3),
        ),
        Scenario(
            "first-gateway-corrupts-one-byte",
            "one byte in the largest file, the second gateway is honest",
            ("fallback",),
            gateways=2,
            rules=(
                {"server": "gateway1", "path": _LARGEST, "fault": {"name": "corrupt", "offset": 100 * MB}},
            ),
        ),
        Scenario(
            "drops-every-50-MB",
            "every transfer is cut after 50 MB",
            ("fallback", "aria2c"),
            gateways=2,
            tries=5,
            rules=({"server": "gateway*", "fault": {"name": "cut-every", "bytes": 50 * MB}},),
        ),
        Scenario(
            "latency-50ms",
            "every packet comes 50 ms late",
            ("fallback", "curl -Z", "aria2c", "huggingface_hub", "pooch"),
            rules=({"server": "*", "fault": {"name": "latency", "latency": 50}},),
        ),
        Scenario(
            "gateways-capped-8MBps",
            "one file of 100 MB, each connection to a gateway has 8 MB/s",
            ("fallback", "aria2c", "curl -Z"),
            content=_ONE_100_MB,
            gateways=4,
            rules=_CAPPED,
            variants={"fallback on one gateway": ("fallback on one connection", 1)},
        ),
        Scenario(
            "gateways-capped-8MBps-13-files",
            "the same with the 13 files",
            ("fallback", "aria2c"),
            gateways=4,
            rules=_CAPPED,
            variants={"fallback on one gateway": ("fallback on one connection", 1)},
        ),
        Scenario("one-1-GB-file", "one file of 1 GB", ("fallback", "curl -Z"), content=_files({"model.bin": 1000 * MB}), server="nginx"),
        Scenario("one-5-GB-file", "one file of 5 GB", ("fallback", "curl -Z"), content=_files({"model.bin": 5000 * MB}), server="nginx"),
        Scenario(
            "sync-with-kill-at-half",
            "killed when half is there, and run again",
            ("fallback killed", "curl -Z killed", "aria2c killed"),
        ),
        # Last, for they make us large, and no client's peak of memory reads as less than ours (`process`).
        Scenario("1k-small-files", "1,000 files of 4 to 8 kB", ("fallback", "curl -Z"), content=_many(1000), server="nginx"),
        Scenario(
            "10k-small-files",
            "10,000 files of 4 to 8 kB",
            ("fallback", "curl -Z", "huggingface_hub"),
            content=_many(10_000),
            server="nginx",
        ),
    )
}  # fmt: skip
