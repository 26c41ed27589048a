"""A mirror of one's own: read through before the gateways, written back if so set, and never a reason for a sync to fail."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
import requests
from fsspec.implementations.memory import MemoryFileSystem

from fakes.world import World
from fallback import Manifest, sync
from fallback.events import AttemptEnded, Warned
from tests.flow.conftest import MODELS
from tests.flow.serving import QUICK
from tests.programs import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fallback import Settings
    from fallback.results import Summary

NOBODY = "http://127.0.0.1:9"
ONNX = "onnx/model.onnx"


@pytest.fixture(name="mirror", params=["memory", "file"])
def _mirror(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty one."""
    return f"memory://{uuid.uuid4()}" if request.param == "memory" else f"file://{tmp_path}/mirror"


def got(manifest: Manifest, settings: Settings) -> tuple[Summary, list[Any]]:
    told: list[Any] = []
    return sync(manifest, settings=settings, observer=told.append), told


def warnings(told: list[Any]) -> list[str]:
    return [event.message for event in told if isinstance(event, Warned)]


def held(mirror: str) -> dict[str, bytes]:
    """Everything in a mirror, by its path there."""
    fs, root = fsspec.core.url_to_fs(mirror)
    return {path.removeprefix(root).lstrip("/"): fs.cat(path) for path in fs.find(root)}


def put(mirror: str, sha256: str, data: bytes) -> None:
    fs, path = fsspec.core.url_to_fs(f"{mirror}/sha256/{sha256[:2]}/{sha256}")
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe(path, data)


def right(world: World) -> dict[str, bytes]:
    """What a complete mirror holds."""
    return {f"sha256/{blob.sha256[:2]}/{blob.sha256}": bytes(blob.view()) for blob in world.catalogue.blobs()}


def sha256_of(world: World, path: str) -> str:
    return str(world.manifest()["tiny"]["files"][path]["sha256"])


def other(settings: Settings, **changes: Any) -> Settings:
    """Another machine, that has no source but the mirror."""
    alone = {"gateways": (), "hf_endpoint": NOBODY, "hub_attempts": 1}
    return replace(settings, models_dir=settings.models_dir.with_name("other"), **{**alone, **changes})


def test_one_machine_fills_it_and_the_next_needs_nothing_else(
    world: World, manifest: Manifest, settings: Settings, mirror: str
) -> None:
    summary, told = got(manifest, replace(settings, mirror=mirror, mirror_write=True))
    assert summary.ok
    assert not warnings(told)
    assert held(mirror) == right(world)
    seen = len(world.journal.entries())
    summary, _told = got(manifest, other(settings, mirror=mirror))
    assert summary.ok
    assert {(file.layer, file.source) for file in summary.files} == {("mirror", mirror)}
    assert len(world.journal.entries()) == seen


def test_without_leave_nothing_is_written(manifest: Manifest, settings: Settings, mirror: str) -> None:
    assert got(manifest, replace(settings, mirror=mirror))[0].ok
    assert not held(mirror)


def test_what_it_has_is_not_written_again(
    settings: Settings, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files come from a peer, which is asked before it; what is there of another size is replaced."""
    with World(MODELS, size="full", peers=1) as near:
        manifest = Manifest.parse(json.dumps(near.manifest()), name="world")
        sha256 = sha256_of(near, ONNX)
        put(mirror, sha256, right(near)[f"sha256/{sha256[:2]}/{sha256}"])
        put(mirror, sha256_of(near, "config.json"), b"torn")
        fs, _ = fsspec.core.url_to_fs(mirror)
        moved: list[str] = []
        mv = type(fs).mv

        def noted(fs: Any, old: str, new: str) -> None:
            moved.append(new)
            mv(fs, old, new)

        monkeypatch.setattr(type(fs), "mv", noted)
        taker = replace(settings, peers=tuple(near.peers), mirror=mirror, mirror_write=True)
        summary, told = got(manifest, taker)
        assert held(mirror) == right(near)
        assert [path.rpartition("/")[2] for path in moved] == [sha256_of(near, "config.json")]
    assert {file.layer for file in summary.files} == {"peer"}
    assert not warnings(told)


def test_a_mirror_that_lies_is_one_source_that_lies(
    world: World, manifest: Manifest, settings: Settings, mirror: str, all_right: Callable[[], bool]
) -> None:
    """The gateway has the file; alone, the mirror is a clean failure."""
    sha256 = sha256_of(world, ONNX)
    put(mirror, sha256, b"\0" * 3_000_000)
    summary, told = got(manifest, replace(settings, mirror=mirror))
    assert summary.ok
    assert all_right()
    ended = [event.outcome for event in told if isinstance(event, AttemptEnded) and event.layer == "mirror"]
    assert sorted(ended) == ["corrupt", "not_here"]
    alone, _told = got(manifest, other(settings, mirror=mirror))
    assert {failure.path for failure in alone.failures} == {"config.json", ONNX}
    assert not (settings.models_dir.with_name("other") / "org/tiny" / ONNX).exists()


def test_what_was_wrong_in_it_is_put_anew(
    world: World, manifest: Manifest, settings: Settings, mirror: str
) -> None:
    """Of the right size, too: else everybody would fetch it in vain for ever."""
    put(mirror, sha256_of(world, ONNX), b"\0" * 3_000_000)
    summary, told = got(manifest, replace(settings, mirror=mirror, mirror_write=True))
    assert summary.ok
    assert not warnings(told)
    assert held(mirror) == right(world)


@pytest.mark.parametrize("size", [0, 1000, 3_000_001])
def test_of_another_size_it_is_not_the_file(
    world: World,
    manifest: Manifest,
    settings: Settings,
    mirror: str,
    all_right: Callable[[], bool],
    size: int,
) -> None:
    put(mirror, sha256_of(world, ONNX), b"\0" * size)
    assert got(manifest, replace(settings, mirror=mirror))[0].ok
    assert all_right()


def test_it_is_resumed_from(world: World, manifest: Manifest, settings: Settings, mirror: str) -> None:
    """What a gateway had begun, the mirror ends."""
    assert got(manifest, replace(settings, mirror=mirror, mirror_write=True))[0].ok
    target = settings.models_dir / "org/tiny" / ONNX
    data = target.read_bytes()
    taker = other(settings, mirror=mirror)
    partial = taker.models_dir / "org/tiny/onnx" / f".model.onnx.{sha256_of(world, ONNX)[:8]}-aaaa.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(data[:2_000_000])
    summary, _told = got(manifest, taker)
    assert summary.ok
    assert {file.path: file.bytes_received for file in summary.files} == {"config.json": 900, ONNX: 1_000_000}


def test_any_http_server_is_a_mirror(
    world: World, manifest: Manifest, settings: Settings, tmp_path: Path
) -> None:
    """Of files in folders; and it is not written to, which is said."""
    folder = tmp_path / "mirror"
    assert got(manifest, replace(settings, mirror=f"file://{folder}", mirror_write=True))[0].ok

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        summary, told = got(manifest, other(settings, mirror=url, mirror_write=True))
        server.shutdown()
    assert summary.ok
    assert {file.layer for file in summary.files} == {"mirror"}
    assert warnings(told) == ["mirror_write: a mirror that is asked by HTTP is not written to"]


class Stuck(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store in which what `doing` names never returns, until the test is over."""

    protocol = "stuck"
    doing = ""
    over = threading.Event()

    def info(self, path: str, **options: Any) -> Any:
        self._wait("info")
        return super().info(path, **options)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self._wait(f"open {mode}")
        stream = super()._open(path, mode, **options)
        if mode == "rb":
            read = stream.read

            def late(size: int = -1) -> bytes:
                self._wait("read")
                return bytes(read(size))

            stream.read = late
        return stream

    def _wait(self, doing: str) -> None:
        if doing == self.doing:
            self.over.wait(30)


@pytest.fixture(name="stuck")
def _stuck() -> Iterator[type[Stuck]]:
    fsspec.register_implementation("stuck", Stuck, clobber=True)
    Stuck.over = threading.Event()
    yield Stuck
    Stuck.over.set()
    Stuck.doing = ""


@pytest.mark.parametrize("doing", ["info", "open rb", "read"])
def test_a_store_that_hangs_holds_no_run_past_its_deadline(
    world: World, manifest: Manifest, settings: Settings, stuck: type[Stuck], doing: str
) -> None:
    """P4; and with a good source beside it, it costs that source's patience."""
    url = f"stuck://{uuid.uuid4()}"
    for path in ("config.json", ONNX):
        sha256 = sha256_of(world, path)
        put(url, sha256, right(world)[f"sha256/{sha256[:2]}/{sha256}"])
    stuck.doing = doing
    began = time.monotonic()
    summary, _told = got(
        manifest, other(settings, mirror=url, deadline_s=1, timeout_s=20, connect_timeout_s=20)
    )
    assert time.monotonic() - began < 2
    assert len(summary.failures) == 2
    assert got(manifest, replace(settings, mirror=url, patience_s=0.2))[0].ok


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "nothing moved for 0.5 s"),
        ({"timeout_s": 30, "connect_timeout_s": 30, "deadline_s": 2}, "the run is over"),
    ],
)
def test_a_store_that_takes_nothing_ends_no_run_late(
    manifest: Manifest,
    settings: Settings,
    stuck: type[Stuck],
    all_right: Callable[[], bool],
    changes: dict[str, Any],
    why: str,
) -> None:
    """P4, P11: it is said, and the sync has succeeded."""
    stuck.doing = "open wb"
    url = f"stuck://{uuid.uuid4()}"
    began = time.monotonic()
    summary, told = got(manifest, replace(settings, mirror=url, mirror_write=True, **changes))
    assert time.monotonic() - began < 10
    assert summary.ok
    assert all_right()
    assert warnings(told) == [f"the mirror does not have all files: {why}"]


@pytest.mark.parametrize("doing", ["mv", "_open"])
def test_a_store_that_fails_is_said_and_leaves_no_name(
    manifest: Manifest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    """Its disk is full: when all but the name is there, or at once, when there is nothing to clean up."""
    mirror = f"file://{tmp_path}/mirror"
    fs, _ = fsspec.core.url_to_fs(mirror)

    def full(fs: Any, path: str, *options: Any, **more: Any) -> Any:
        if "rb" in (*options, *more.values()):
            return real(fs, path, *options, **more)
        raise OSError(28, "No space left on device")

    real = getattr(type(fs), doing)
    monkeypatch.setattr(type(fs), doing, full)
    summary, told = got(manifest, replace(settings, mirror=mirror, mirror_write=True))
    assert summary.ok
    assert [message.rpartition(": ")[2] for message in warnings(told)] == ["No space left on device"] * 2
    assert not held(mirror)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nosuch://bucket/models", "nobody knows what nosuch:// is"),
        ("gs://bucket/models", "what gs:// needs is not installed, such as fallback[s3]"),
    ],
)
def test_a_store_whose_library_is_absent_says_so(
    manifest: Manifest, settings: Settings, url: str, why: str
) -> None:
    summary, _told = got(manifest, other(settings, mirror=url))
    assert why in summary.failures[0].error
    assert got(manifest, replace(settings, mirror=url))[0].ok


@contextlib.contextmanager
def _s3() -> Iterator[dict[str, str]]:
    """A real S3 server with an empty bucket, on loopback; the environment that leads there. Its keys are nobody's."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [path_of("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        ends_at = time.monotonic() + 60
        while True:
            with contextlib.suppress(requests.ConnectionError):
                assert requests.put(f"{url}/bucket", timeout=20).status_code == 200
                break
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.kill()
        server.wait()


@pytest.mark.needs("moto_server", "module:s3fs")
@pytest.mark.timeout(180)
def test_s3_is_filled_read_and_never_has_a_part_of_a_file(world: World, tmp_path: Path) -> None:
    """The command line against moto's server: one machine writes, the next has no other source."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(world.manifest()))

    def ran(name: str, **settings: str) -> list[dict[str, Any]]:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **QUICK,
            "FALLBACK_TIMEOUT_S": "20",
            "FALLBACK_MANIFEST": str(manifest),
            "FALLBACK_MODELS_DIR": str(tmp_path / name),
            "FALLBACK_MIRROR": "s3://bucket/models",
            **settings,
        }
        command = [sys.executable, "-m", "fallback", "sync", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    with _s3() as there:
        ran("first", FALLBACK_MIRROR_WRITE="true", **world.environment(), **there)
        seen = len(world.journal.entries())
        listed = requests.get(f"{there['AWS_ENDPOINT_URL']}/bucket?list-type=2", timeout=20).text
        told = ran("second", FALLBACK_GATEWAYS="none", FALLBACK_HF_ENDPOINT=NOBODY, **there)
    assert all(f"<Key>models/{path}</Key>" in listed for path in right(world))
    assert listed.count("<Key>") == len(right(world))
    assert {event["layer"] for event in told if event["event"] == "file_completed"} == {"mirror"}
    assert len(world.journal.entries()) == seen
    for path in ("config.json", ONNX):
        sha256 = sha256_of(world, path)
        copied = (tmp_path / "second/org/tiny" / path).read_bytes()
        assert copied == right(world)[f"sha256/{sha256[:2]}/{sha256}"]
