from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench import asked, clients
from bench.job import Job
from bench.process import Measured, NotDoneError
from bench.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def _job(folder: Path) -> Job:
    """Of one file."""
    files = {"a.bin": {"size": 1, "sha256": f"{1:064x}"}}
    manifest = {"m": {"type": "bench", "dir": "d", "ipfs": {"cid": "c"}, "files": files}}
    return Job(manifest, folder / "manifest.json", folder / "models", ["http://127.0.0.1:1"], "")


@pytest.mark.parametrize("count", [1, 50, 3000, 20_000])
def test_what_openssl_says_of_one_call_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Two of them write into one file, and a line that is torn there is no proof."""
    files = {f"{number:05}": {"size": 1, "sha256": f"{number:064x}"} for number in range(count)}
    manifest = {"m": {"type": "bench", "dir": "d" * 80, "ipfs": {"cid": "c"}, "files": files}}
    job = Job(manifest, tmp_path / "manifest.json", tmp_path / "models", ["http://127.0.0.1:1"], "")
    said = "".join(f"{sha256} *{path}\n" for path, sha256 in job.sha256().items())
    calls: list[Sequence[str]] = []

    def run(command: Sequence[str], log: Path) -> Measured:
        calls.append(command)
        log.write_text(said)
        return Measured(1.0, 1.0, 0, 0)

    monkeypatch.setattr(clients, "run", run)
    measured = clients.prove(clients.CLIENTS["curl -Z"], job, Measured(1.0, 0.0, 0, 0))
    assert measured.verify_seconds == 1.0
    at_once = int(calls[0][calls[0].index("-n") + 1])
    assert 1 <= at_once <= max(1, count // 100)
    assert at_once == 1 or at_once * len(said) / count <= clients.WRITTEN_AT_ONCE


def test_openssl_that_fails_is_what_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that the files are wrong."""

    def run(command: Sequence[str], log: Path) -> Measured:
        log.write_text("xargs: openssl: No such file or directory")
        return Measured(1.0, 1.0, 0, 127)

    monkeypatch.setattr(clients, "run", run)
    with pytest.raises(NotDoneError, match=r"exit code 127\nxargs: openssl: No such file"):
        clients.CLIENTS["openssl -P2"].run(_job(tmp_path), tmp_path / "log")


def test_openssl_alone_has_a_peak_and_no_proof_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proving is its work; behind curl it is another program's."""
    job = _job(tmp_path)

    def run(command: Sequence[str], log: Path) -> Measured:
        log.write_text("".join(f"{sha256} *{path}\n" for path, sha256 in job.sha256().items()))
        return Measured(1.0, 1.0, 7, 0)

    monkeypatch.setattr(clients, "run", run)
    assert clients.CLIENTS["openssl -P2"].run(job, tmp_path / "log") == Measured(1.0, 1.0, 7, 0)
    proven = clients.prove(clients.CLIENTS["curl"], job, Measured(1.0, 1.0, 5, 0))
    assert (proven.peak_rss_bytes, proven.verify_seconds) == (5, 1.0)


def test_who_is_proven_by_openssl_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda command: None if command == "openssl" else command)
    absent = {name for name, client in clients.CLIENTS.items() if "openssl" in client.absent()}
    assert absent == {name for name, client in clients.CLIENTS.items() if not client.proves} | {
        "curl -Z + fsync",
        "openssl -P2",
    }


def test_aria2c_is_told_what_is_best_for_it(tmp_path: Path) -> None:
    """A gateway that hangs is asked once; one that cuts a transfer is asked again."""
    job = _job(tmp_path)
    assert "--max-tries=1" in clients._aria2c(job)
    assert "--max-tries=5" in clients._aria2c(replace(job, tries=SCENARIOS["drops-every-50-MB"].tries))
    assert "--timeout=3" in clients._aria2c(job)


def test_every_client_can_be_named() -> None:
    """With others, by commas."""
    assert asked.options(["--clients", ",".join(clients.CLIENTS)]).clients == tuple(clients.CLIENTS)


def test_an_engine_that_fails_in_process_has_not_done_its_work(tmp_path: Path) -> None:
    """It has told no seconds then."""
    (tmp_path / "manifest.json").write_text("no manifest")
    job = Job({}, tmp_path / "manifest.json", tmp_path / "models", [], "")
    assert clients.in_process(job, tmp_path / "log").code != 0
