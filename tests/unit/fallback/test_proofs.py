"""Where a list of chunks comes from: what asking for it says of a gateway, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fallback import Settings, proofs
from fallback.errors import StoppedError
from fallback.health import Health
from fallback.ipfs.cid import DAG_PB, Cid
from fallback.manifest import File, Model
from fallback.outcome import Failed, Interrupted
from fallback.run import running
from fallback.sources import Wanted, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.run import Run

GATEWAY = "127.0.0.1:9"
BEFORE = Health(failures=1)
FILE = File("a", 3_000_000, "0" * 64, cid=str(Cid.of(b"x", DAG_PB)))
WANTED = Wanted(Model("m", "stt", "m", (FILE,)), FILE)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Iterator[Run]:
    settings = Settings(
        models_dir=tmp_path, gateways=(f"http://{GATEWAY}",), hf_endpoint="http://127.0.0.1:8"
    )
    with running(settings, in_order(settings), None, None, types={}) as (run, _):
        run.health[GATEWAY] = BEFORE
        yield run


def test_a_run_that_ends_says_nothing_of_a_gateway(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that it failed, nor that it is well again."""

    def asked(*_: object) -> bytes:
        run.stop.set()
        raise Failed(Interrupted("cut"))

    monkeypatch.setattr(proofs, "_asked", asked)
    with pytest.raises(StoppedError):
        proofs.chunks_of(WANTED, run)
    assert run.health == {GATEWAY: BEFORE}


def test_a_gateway_that_fails_is_asked_once_and_the_file_has_no_list(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def silent(source: object, *_: object) -> bytes:
        asked.append(str(source))
        raise Failed(Interrupted("cut"))

    monkeypatch.setattr(proofs, "_asked", silent)
    assert proofs.chunks_of(WANTED, run) == ()
    assert len(asked) == 1
    assert run.health[GATEWAY].failures == 2
    run.health[GATEWAY] = replace(BEFORE, cooling_until=run.clock.now() + 60)
    assert proofs.chunks_of(WANTED, run) == ()
    assert len(asked) == 1, "one that is known to be down is not asked"
