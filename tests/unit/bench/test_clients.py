from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import asked, clients
from bench.job import Job
from bench.process import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
    measured = clients.prove(clients.CLIENTS["curl -Z"], job, tmp_path / "log", Measured(1.0, 0.0, 0, 0))
    assert measured.verify_seconds == 1.0
    at_once = int(calls[0][calls[0].index("-n") + 1])
    assert 1 <= at_once <= max(1, count // 100)
    assert at_once == 1 or at_once * len(said) / count <= clients.WRITTEN_AT_ONCE


def test_every_client_can_be_named() -> None:
    """With others, by commas."""
    assert asked.options(["--clients", ",".join(clients.CLIENTS)]).clients == tuple(clients.CLIENTS)


def test_an_engine_that_fails_in_process_has_not_done_its_work(tmp_path: Path) -> None:
    """It has told no seconds then."""
    (tmp_path / "manifest.json").write_text("no manifest")
    job = Job({}, tmp_path / "manifest.json", tmp_path / "models", [], "")
    assert clients.in_process(job, tmp_path / "log").code != 0
