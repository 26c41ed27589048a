"""The real command line as a subprocess, against the fakes: codes, signals, and who says what where."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Corrupt, Hang, Stall, Status
from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.faults import Fault

MODELS: dict[str, Any] = {
    "tiny": {
        "type": "stt",
        "dir": "org/tiny",
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""},
        "files": {"config.json": {"size": 900}, "onnx/model.onnx": {"size": 1_000_000}},
    }
}
ALL = {"config.json", "onnx/model.onnx"}
QUICK = {"FALLBACK_TIMEOUT_S": "1", "FALLBACK_CONNECT_TIMEOUT_S": "1", "FALLBACK_BACKOFF_S": "0.05"}
KEPT = "fallback: stopped; what had come is kept"
PROMPT_S = 2.0
"""A signal ends a run in a tenth of a second; a busy machine may be slower."""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of stdout; one that is no JSON object fails the test."""
        events = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(event, dict) for event in events)
        return events


@dataclass
class Shell:
    """`fallback` in a folder of its own, with a home of its own, knowing no source but the fakes."""

    world: World
    folder: Path
    models_dir: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *args: str, limit: str = "unlimited", to: str = "", **env: str) -> subprocess.Popen[str]:
        """`limit`: no file may get larger (`ulimit -f`); `to`: a redirection."""
        inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH"}}
        own = {"HOME": str(self.folder), "FALLBACK_MODELS_DIR": str(self.models_dir)}
        own |= {"FALLBACK_MANIFEST": str(self.folder / "manifest.json"), "FALLBACK_RESERVE_BYTES": "0"}
        process = subprocess.Popen(
            [
                "sh",
                "-c",
                f'ulimit -f {limit} && exec "$@" {to}',
                "sh",
                sys.executable,
                "-m",
                "fallback",
                *args,
            ],
            env=inherited | self.world.environment() | own | QUICK | env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def __call__(self, *args: str, limit: str = "unlimited", to: str = "", **env: str) -> Done:
        return self.end(self.start(*args, limit=limit, to=to, **env))

    def end(self, process: subprocess.Popen[str], timeout: float = 20) -> Done:
        out, err = process.communicate(timeout=timeout)
        assert "Traceback" not in err, err
        return Done(process.returncode, out, err)

    def unsized(self) -> None:
        """Let the manifest say nothing of sizes and digests."""
        path = self.folder / "manifest.json"
        document = json.loads(path.read_text())
        document["tiny"]["files"] = {"onnx/model.onnx": {"size": 20 << 30}}
        path.write_text(json.dumps(document))

    def names(self) -> set[str]:
        """Final names that are there, each proven here to be right."""
        wanted = self.world.manifest()["tiny"]["files"]
        there = {path: self.models_dir / "org/tiny" / path for path in wanted}
        here = {path: target.read_bytes() for path, target in there.items() if target.exists()}
        assert all(hashlib.sha256(data).hexdigest() == wanted[path]["sha256"] for path, data in here.items())
        return set(here)

    def partials(self) -> list[bytes]:
        return [path.read_bytes() for path in self.models_dir.rglob("*.partial") if path.stat().st_size]


@pytest.fixture(name="world", scope="module")
def _world() -> Iterator[World]:
    with World(MODELS, size="full") as world:
        yield world


@pytest.fixture(name="fallback")
def _fallback(world: World, tmp_path: Path) -> Iterator[Shell]:
    world.clear()
    world.journal.clear()
    (tmp_path / "manifest.json").write_text(json.dumps(world.manifest()))
    shell = Shell(world, tmp_path, tmp_path / "models")
    yield shell
    for process in shell.started:
        process.kill()
        process.communicate()


@pytest.fixture(name="urls")
def _urls(world: World) -> list[str]:
    """The large file's URL at each gateway."""
    cid = world.manifest()["tiny"]["ipfs"]["cid"]
    return [f"{gateway}/ipfs/{cid}/onnx/model.onnx" for gateway in world.gateways]


def test_json_is_all_of_stdout_and_stderr_is_empty_when_all_is_right(fallback: Shell) -> None:
    """Exit 0; one object a line, the first and the last speak of the run."""
    done = fallback("sync", "--json")
    assert (done.code, done.err, fallback.names()) == (0, "", ALL)
    assert (done.events[0]["event"], done.events[-1]["event"]) == ("run_started", "run_ended")
    assert {event["path"] for event in done.events if event["event"] == "file_completed"} == ALL


def test_people_read_stderr_and_stdout_is_empty(fallback: Shell) -> None:
    """A line a file and a table; with --quiet nothing."""
    done = fallback("sync")
    assert (done.code, done.out) == (0, "")
    assert "tiny/config.json: right, 900 bytes from 127.0.0.1" in done.err
    assert "2 of 2 files right, 1,000,900 bytes received" in done.err
    assert fallback("sync", "--quiet") == Done(0, "", "")


def test_what_nobody_has_is_exit_1_and_each_source_s_reason_is_on_stderr(
    fallback: Shell, world: World
) -> None:
    """Stdout stays JSON to the last line."""
    world.add("*", Status(404))
    done = fallback("sync", "--json", "--quiet")
    assert (done.code, fallback.names()) == (1, set())
    assert done.events[-1]["failed"] == 2
    hosts = [url.removeprefix("http://") for url in (*world.gateways, world.hub)]
    assert all(done.err.count(f"  {host}: not there (404)\n") == len(ALL) for host in hosts)


@pytest.mark.fault(98)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("flags", [["--json"], []], ids=["json", "lines"])
def test_a_signal_ends_a_download_at_once_and_keeps_what_came(
    fallback: Shell, world: World, number: signal.Signals, code: int, flags: list[str]
) -> None:
    """No final name but right ones, no traceback; the partial is the file's beginning, and a next run succeeds."""
    world.add("*", Stall(offset=600_000), path="*.onnx")
    process = fallback.start("sync", *flags, FALLBACK_TIMEOUT_S="30")
    wait_for(lambda: fallback.names() == {"config.json"} and bool(fallback.partials()))
    process.send_signal(number)
    done = fallback.end(process, timeout=PROMPT_S)
    assert (done.code, done.err.splitlines()[-1]) == (code, KEPT)
    assert not flags or done.events[-1]["stopped"]
    assert flags or not done.out
    (partial,) = fallback.partials()
    assert bytes(world.catalogue.models["tiny"].files["onnx/model.onnx"].view()).startswith(partial)
    assert fallback.names() == {"config.json"}
    world.clear()
    assert (fallback("sync", "--quiet"), fallback.names()) == (Done(0, "", ""), ALL)


@pytest.mark.parametrize(
    ("fault", "asked"), [(Hang(), 1), (Status(429, retry_after=30), 5)], ids=["answer", "pause"]
)
def test_a_signal_ends_a_run_that_waits(fallback: Shell, world: World, fault: Fault, asked: int) -> None:
    """For an answer, or until a source may be asked again: nothing has come, so nothing is left behind."""
    world.add("*", fault)
    process = fallback.start("sync", "--json", FALLBACK_TIMEOUT_S="30")
    wait_for(lambda: len({entry.server for entry in world.journal}) == asked)
    process.send_signal(signal.SIGINT)
    done = fallback.end(process, timeout=PROMPT_S)
    assert (done.code, done.err.strip()) == (130, KEPT)
    assert not list(fallback.models_dir.rglob("*.partial"))


def test_dry_run_and_offline_make_no_request(fallback: Shell, world: World) -> None:
    """And say so: 0 for a plan, 1 for files that are missing."""
    assert fallback("sync", "--dry-run").out.count(world.hub) == 2
    done = fallback("sync", "--offline")
    assert (done.code, done.err.count("offline is set, nothing was requested")) == (1, 2)
    assert not world.journal.entries()


def test_gateways_are_asked_in_the_order_of_their_flags(fallback: Shell, world: World) -> None:
    """And no others: the flag replaces the environment's list."""
    world.add("gateway3", Status(404))
    done = fallback(
        "sync", "tiny", "--jobs", "1", "--gateway", world.gateways[2], "--gateway", world.gateways[1]
    )
    assert (done.code, fallback.names()) == (0, ALL)
    assert [entry.server for entry in world.journal] == ["gateway3", "gateway2"] * 2


def test_prefer_huggingface_asks_the_hub_first(fallback: Shell, world: World) -> None:
    assert fallback("sync", "--prefer", "huggingface").code == 0
    assert {entry.server for entry in world.journal} == {"hub", "cdn"}


BROKEN = {
    "not JSON": ("{", "document: is not JSON: "),
    "no sha256": ('{"a": {"files": {"x": {"size": 1}}}}', 'a.files["x"].sha256: is missing'),
    "absent": (None, "file: cannot be read: No such file"),
    "outside": ('{"a": {"files": {"../x": {"size": 1, "sha256": "%s"}}}}' % ("0" * 64), 'a.files["../x"]: '),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_manifest_that_cannot_be_used_is_exit_2(fallback: Shell, world: World, name: str) -> None:
    """The message points at the key; nothing was requested, and nothing was made."""
    path = fallback.folder / "other.json"
    text, message = BROKEN[name]
    if text is not None:
        path.write_text(text)
    done = fallback("sync", "--json", "--manifest", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"fallback: manifest {path} cannot be used:\n  {message}")
    assert not world.journal.entries()
    assert not fallback.models_dir.exists()


@pytest.mark.parametrize("kind", ["a file", "read-only"])
def test_a_models_folder_that_cannot_be_used_is_exit_3(fallback: Shell, world: World, kind: str) -> None:
    """The message names the folder, and no source is asked for what nobody could keep."""
    if kind == "a file":
        fallback.models_dir.write_bytes(b"mine")
    elif os.geteuid() == 0:  # who may write everywhere but where there is no writing at all
        fallback.models_dir = Path("/proc/self/models")
    else:
        fallback.models_dir.mkdir(mode=0o500)
    done = fallback("sync")
    assert done.code == 3
    assert f"fallback: {fallback.models_dir}: 2 file(s) could not be kept; the first: " in done.err
    assert kind != "a file" or fallback.models_dir.read_bytes() == b"mine"
    assert not world.journal.entries()


def test_a_full_disk_is_exit_3_and_blames_no_source(fallback: Shell, world: World) -> None:
    """One source is asked, once: another cannot make room. Nothing has a wrong name."""
    done = fallback("sync", limit="600")
    assert done.code == 3
    assert "1 file(s) could not be kept" in done.err
    assert "File too large" in done.err
    assert fallback.names() == {"config.json"}
    assert len(world.journal.select(path="*.onnx")) == 1
    assert fallback("sources").out.splitlines()[0].endswith(" up")


def test_get_takes_the_second_mirror_when_the_first_is_corrupt(
    fallback: Shell, world: World, urls: list[str]
) -> None:
    """Into a folder that is made; the first is then known for it."""
    world.add("gateway1", Corrupt())
    target = fallback.folder / "new/folder/model.onnx"
    sha256 = world.manifest()["tiny"]["files"]["onnx/model.onnx"]["sha256"]
    done = fallback("get", *urls[:2], "--sha256", sha256, "-o", str(target))
    assert (done.code, done.out) == (0, "")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == sha256
    assert done.err.endswith(f"{target}: 1000000 bytes from {world.gateways[1].removeprefix('http://')}\n")
    assert "not believed for 1 file" in fallback("sources").out.splitlines()[0]


def test_get_of_other_bytes_is_exit_1_and_leaves_nothing(fallback: Shell, urls: list[str]) -> None:
    """The digest decides, whatever the server says; the message has the one it saw."""
    done = fallback("get", urls[0], "--sha256", "0" * 64, "-o", "x", "--json")
    assert (done.code, done.events[-1]["event"]) == (1, "run_ended")
    assert "wrong bytes: sha256 " in done.err
    assert not (fallback.folder / "x").exists()


def test_status_metrics_and_sources_agree_on_what_a_sync_did(fallback: Shell, world: World) -> None:
    """Three questions to one state: who served, who failed, and what is here."""
    world.add("gateway1", Status(404))
    assert fallback("sync").code == 0
    host = world.gateways[1].removeprefix("http://")
    assert fallback("status").out.count(f" from ipfs {host}\n") == 2
    assert json.loads(fallback("metrics").out)["gateways"][host]["success"] == 2
    assert json.loads(fallback("metrics", "reset").out)["ok"] is True
    assert json.loads(fallback("metrics", "records").out) == {"metrics": []}
    assert len(world.journal) == 4


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


@pytest.mark.parametrize("to", ["2>&-", "2>/dev/full"])
def test_an_exit_code_does_not_depend_on_who_reads_stderr(fallback: Shell, to: str) -> None:
    """Closed or full: the files are had, and what goes wrong has its code."""
    assert (fallback("sync", to=to).code, fallback.names()) == (0, ALL)
    assert fallback("sync", "no such model", to=to).code == 2


def test_a_storage_failure_hides_no_other_failure(fallback: Shell, world: World) -> None:
    """Exit 3 for the disk; the file that nobody could serve is named with its reasons all the same."""
    world.add("*", Status(404))
    (fallback.models_dir / "org/tiny/config.json").mkdir(parents=True)
    done = fallback("sync")
    assert done.code == 3
    assert "1 file(s) could not be kept" in done.err
    assert done.err.count("not there (404)") == 5
    assert "0 of 2 files right" in done.err


def test_a_host_that_is_two_sources_is_asked_as_both(fallback: Shell, world: World) -> None:
    """P5: a gateway and HuggingFace behind one address, as behind a proxy of a company's."""
    gateway = world.gateways[0]
    done = fallback("sync", FALLBACK_GATEWAYS=gateway, FALLBACK_HF_ENDPOINT=gateway)
    assert (done.code, fallback.names()) == (0, ALL)


def _await_reading(pid: int, path: Path) -> None:
    """Until the process has opened the file: how long its start takes is the machine's affair."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError):  # one was closed meanwhile
            if any(each.resolve() == path.resolve() for each in Path(f"/proc/{pid}/fd").iterdir()):
                return
        time.sleep(0.02)
    raise AssertionError(f"{path} was not opened")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", [("verify",), ("verify", "--repair"), ("sync",)])
def test_a_signal_ends_hashing_at_once(
    fallback: Shell, command: tuple[str, ...], number: signal.Signals
) -> None:
    """Of a file that takes many seconds; nothing is renamed."""
    large = fallback.models_dir / "org/tiny/onnx/model.onnx"
    large.parent.mkdir(parents=True)
    with large.open("wb") as stream:
        stream.truncate(20 << 30)  # a hole: it takes no room
    fallback.unsized()
    process = fallback.start(*command, FALLBACK_UNSAFE_ALLOW_MISSING_SHA256="1")
    _await_reading(process.pid, large)
    process.send_signal(number)
    done = fallback.end(process, timeout=PROMPT_S)
    assert done.code == 128 + number
    assert large.stat().st_size == 20 << 30
    assert not list(large.parent.glob("*.bak"))


def test_a_deadline_ends_hashing(fallback: Shell) -> None:
    """P4."""
    large = fallback.models_dir / "org/tiny/onnx/model.onnx"
    large.parent.mkdir(parents=True)
    with large.open("wb") as stream:
        stream.truncate(20 << 30)
    fallback.unsized()
    began = time.monotonic()
    done = fallback("sync", "--deadline", "1", FALLBACK_UNSAFE_ALLOW_MISSING_SHA256="1")
    # And the interpreter's start, on a busy machine. Hashing it all would take ten times as long.
    assert time.monotonic() - began < 1 + 1 + 3
    assert done.code == 1
    assert "the deadline has passed" in done.err


def test_a_reset_that_failed_says_so(fallback: Shell) -> None:
    """And one that did not leaves nothing in the copy either."""
    assert fallback("sync", "-q").code == 0
    assert json.loads((fallback.models_dir / ".metrics.json").read_text())
    assert fallback("metrics", "reset").code == 0
    assert json.loads((fallback.models_dir / ".metrics.json").read_text()) == []
    assert fallback("sync", "-q").code == 0
    (fallback.models_dir / ".fallback/state.sqlite3").chmod(0o444)
    with contextlib.closing(sqlite3.connect(fallback.models_dir / ".fallback/state.sqlite3")) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        done = fallback("metrics", "reset")
    assert (done.code, "ok" in done.out) == (3, False)


def test_junk_in_the_state_database_fails_nothing(fallback: Shell) -> None:
    """P11: whoever wrote it there."""
    assert fallback("sync", "-q").code == 0
    with contextlib.closing(sqlite3.connect(fallback.models_dir / ".fallback/state.sqlite3")) as db, db:
        db.execute("UPDATE attempts SET error_message = x'ff00', gateway = x'ff'")
        db.execute("UPDATE verified SET verified_at = 'abc', layer = x'ff'")
    assert fallback("sync", "-q").code == 0
    assert fallback("status", "--json").code == 0
    assert fallback("metrics", "records").code == 0
    assert fallback.names() == ALL


def test_a_name_that_is_no_text_is_a_name(fallback: Shell, world: World) -> None:
    """POSIX: any bytes but / and NUL."""
    [_, file] = world.manifest()["tiny"]["files"].items()
    cid = world.manifest()["tiny"]["ipfs"]["cid"]
    url = f"{world.gateways[0]}/ipfs/{cid}/{file[0]}"
    done = fallback("get", url, "--sha256", file[1]["sha256"], "-o", os.fsdecode(b"\xff.bin"))
    assert (done.code, len(list(fallback.folder.glob("*.bin")))) == (0, 1)


@pytest.mark.fault(100)
def test_no_more_open_files_is_nobody_s_fault_but_ours(fallback: Shell) -> None:
    done = fallback("sync", "--jobs", "64", limit="unlimited && ulimit -n 11")
    assert done.code == 3
    assert "Too many open files" in done.err
    assert "cooling" not in fallback("sources").out
