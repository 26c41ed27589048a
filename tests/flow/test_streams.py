"""The engine with a source that is no server: its bytes come out of a stream, and are proven as all are."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import pytest

from fallback import Settings, StoppedError
from fallback.engine import obtain
from fallback.events import AttemptEnded, AttemptStarted, FileCompleted
from fallback.exchange import Request
from fallback.manifest import File, Model
from fallback.outcome import NotHere
from fallback.run import running
from fallback.streams import Stream
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback.events import Event
    from fallback.exchange import Head
    from fallback.facts import LayerName
    from fallback.outcome import Outcome
    from fallback.results import Summary

DATA = {"a.bin": bytes(range(256)) * 10_000, "b/c.bin": b"small"}
CHUNK = 1 << 20


@dataclass(frozen=True)
class Shelf:
    """A source whose files are in memory; `change` is what it does to their bytes."""

    name: str = "shelf"
    layer: LayerName = "mirror"
    change: Callable[[bytes], bytes] = bytes
    is_remote: bool = False
    starts: list[int] = field(default_factory=list)

    def request(self, wanted: Wanted) -> Request | None:
        def open_(start: int) -> tuple[BinaryIO, int]:
            self.starts.append(start)
            data = self.change(DATA[wanted.file.path])
            return io.BytesIO(data[start:]), len(data)

        return Request(f"memory:///{wanted.file.path}", stream=Stream(open_, self.is_remote))

    def denied(self, head: Head) -> Outcome:
        return NotHere(str(head.status))


def model(*, chunks: bool = False) -> Model:
    def file(path: str, data: bytes) -> File:
        cut = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] if chunks else []
        listed = tuple(hashlib.sha256(each).hexdigest() for each in cut)
        return File(path, len(data), hashlib.sha256(data).hexdigest(), chunks=listed)

    return Model("m", "m", "m", tuple(file(path, data) for path, data in DATA.items()))


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Settings:
    return Settings(models_dir=tmp_path / "models", timeout_s=5, backoff_s=0.01, reserve_bytes=0)


def got(settings: Settings, *sources: Shelf, told: list[Event], of: Model | None = None) -> Summary:
    of = of or model()
    with running(settings, sources, told.append, None, types={}) as (run, _state):
        return obtain([Wanted(of, file) for file in of.files], run)


def are_right(settings: Settings) -> bool:
    return all((settings.models_dir / "m" / path).read_bytes() == data for path, data in DATA.items())


@pytest.mark.parametrize("is_remote", [False, True])
def test_files_come_out_of_a_stream(settings: Settings, *, is_remote: bool) -> None:
    told: list[Event] = []
    assert got(settings, Shelf(is_remote=is_remote), told=told).ok
    assert are_right(settings)
    kinds = [
        type(each) for each in told if each.kind in {"attempt_started", "attempt_ended", "file_completed"}
    ]
    assert kinds.count(AttemptStarted) == kinds.count(AttemptEnded) == kinds.count(FileCompleted) == 2


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_wrong_bytes_of_a_stream_are_wrong_bytes(settings: Settings) -> None:
    """Proven, blamed and banned as any source's; the next one has the file."""
    told: list[Event] = []
    assert got(settings, Shelf("liar", change=flipped), Shelf("honest"), told=told).ok
    assert are_right(settings)
    ended = [(each.source, each.outcome) for each in told if isinstance(each, AttemptEnded)]
    assert ended.count(("liar", "corrupt")) == 2
    assert ended.count(("honest", "delivered")) == 2


def test_only_the_chunk_that_is_wrong_is_read_from_the_other(settings: Settings) -> None:
    honest = Shelf("honest")
    told: list[Event] = []
    of = model(chunks=True)
    of = replace(of, files=of.files[:1])
    assert got(settings, Shelf("liar", change=flipped), honest, told=told, of=of).ok
    assert honest.starts == [2 * CHUNK]


def test_a_cut_stream_is_resumed_where_it_ended(settings: Settings) -> None:
    def open_(start: int) -> tuple[BinaryIO, int]:
        starts.append(start)
        data = DATA["a.bin"]
        return io.BytesIO(data[start : len(data) if start else 1_500_000]), len(data)

    class Cut(Shelf):
        def request(self, wanted: Wanted) -> Request | None:
            return Request("memory:///", stream=Stream(open_)) if wanted.file.path == "a.bin" else None

    starts: list[int] = []
    of = replace(model(), files=model().files[:1])
    assert got(settings, Cut(), told=[], of=of).ok
    assert starts == [0, 1_500_000]


def test_a_stream_of_another_size_is_none_of_this_file(settings: Settings) -> None:
    told: list[Event] = []
    summary = got(settings, Shelf(change=lambda data: data + b"x"), told=told)
    assert len(summary.failures) == 2
    assert {each.outcome for each in told if isinstance(each, AttemptEnded)} == {"malformed"}
    assert not [path for path in settings.models_dir.rglob("*.bin") if path.is_file()]


class Stuck(Shelf):
    """Opens, and never gives a byte."""

    def request(self, wanted: Wanted) -> Request | None:
        class Never(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                LET_GO.wait(20)
                return super().read(size)

        size = wanted.file.size or 0
        return Request("memory:///", stream=Stream(lambda _start: (Never(), size), is_remote=True))


LET_GO = threading.Event()


def test_a_remote_stream_that_hangs_keeps_no_deadline_waiting(settings: Settings) -> None:
    """P4."""
    began = time.monotonic()
    summary = got(replace(settings, deadline_s=0.5), Stuck(), told=[])
    assert all("deadline" in failure.error for failure in summary.failures)
    assert len(summary.failures) == 2
    assert time.monotonic() - began < 10


def test_a_remote_stream_that_hangs_keeps_no_stop_waiting(settings: Settings) -> None:
    stop, began = threading.Event(), time.monotonic()
    threading.Timer(0.3, stop.set).start()
    with (
        running(settings, (Stuck(),), None, stop, types={}) as (run, _state),
        pytest.raises(StoppedError),
    ):
        obtain([Wanted(model(), file) for file in model().files], run)
    assert time.monotonic() - began < 10
    LET_GO.set()


def test_no_http_library_is_loaded_for_a_stream(tmp_path: Path) -> None:
    code = (
        "import sys, json; from pathlib import Path; from fallback import Settings; import tests.flow.test_streams as t;"
        f"s = t.got(Settings(models_dir=Path({str(tmp_path)!r}), reserve_bytes=0), t.Shelf(), told=[]);"
        "print(json.dumps([s.ok, [m for m in ('requests', 'urllib3') if m in sys.modules]]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [True, []]
