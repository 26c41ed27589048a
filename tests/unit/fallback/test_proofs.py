"""Where a list of chunks comes from: what asking for it says of a gateway, and what it does not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fallback import Settings, proofs
from fallback.errors import StoppedError
from fallback.health import Health
from fallback.ipfs import building, dagpb
from fallback.ipfs.cid import DAG_PB, RAW, Cid
from fallback.ipfs.dagpb import Link, Node
from fallback.ipfs.unixfs import V0_2015, V1_2025, Entry, Kind
from fallback.manifest import File, IpfsRef, Model
from fallback.outcome import Failed, Interrupted
from fallback.run import running
from fallback.sources import in_order
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.run import Run
    from fallback.sources import IpfsGateway

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


def test_a_gateway_without_one_block_is_not_asked_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's block, then the file's: two requests of the one that has them, and one of the other."""
    blocks: dict[Cid, bytes] = {}
    data = bytes(range(256)) * 12_000
    built = building.file(io.BytesIO(data), V1_2025, blocks.__setitem__)
    root = building.directory({"a": built}, V1_2025, blocks.__setitem__).cid
    file = replace(FILE, size=len(data), cid=None)
    wanted = Wanted(Model("m", "stt", "m", (file,), ipfs=IpfsRef(str(root))), file)
    asked: list[str] = []

    def second_has_it(source: IpfsGateway, cid: Cid, _run: Run) -> bytes:
        asked.append(source.name)
        if source.name.endswith(":8"):
            raise Failed(Interrupted("cut"))
        return blocks[cid]

    monkeypatch.setattr(proofs, "_asked", second_has_it)
    settings = Settings(models_dir=tmp_path, gateways=("http://127.0.0.1:8", "http://127.0.0.1:9"))
    with running(settings, in_order(settings), None, None, types={}) as (run, _):
        chunks = proofs.chunks_of(wanted, run)
    assert all(chunk.is_of(data[chunk.start : chunk.stop]) for chunk in chunks)
    assert len(chunks) == 3
    assert asked == ["127.0.0.1:8", "127.0.0.1:9", "127.0.0.1:9"]


def test_of_a_profile_without_raw_leaves_nobody_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its leaves are hashes of more than the file's bytes."""
    monkeypatch.setattr(proofs, "_asked", lambda *_: pytest.fail("somebody was asked"))
    file = replace(FILE, cid=None)
    folder = Model("m", "stt", "m", (file,), ipfs=IpfsRef(FILE.cid or "", profile=V0_2015.name))
    assert proofs.chunks_of(Wanted(folder, file), run) == ()


def test_a_list_that_takes_countless_requests_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made the CID could have us ask the gateways for one block after the other, for hours."""
    blocks: dict[Cid, bytes] = {}

    def inner(size: int, *children: Cid) -> Cid:
        links = tuple(Link(child, "", size) for child in children)
        entry = Entry(Kind.FILE, block_sizes=(size,) * len(children))
        block = dagpb.encode(Node(links, entry.encode()))
        blocks[Cid.of(block, DAG_PB)] = block
        return Cid.of(block, DAG_PB)

    chain = inner(1000, Cid.of(b"leaf", RAW))
    for _ in range(20):
        chain = inner(1000, chain)
    file = replace(FILE, size=1_000_000, cid=str(inner(1000, *[chain] * 1000)))
    asked: list[Cid] = []

    def has_all(_source: object, cid: Cid, _run: Run) -> bytes:
        asked.append(cid)
        return blocks[cid]

    run.health.clear()
    monkeypatch.setattr(proofs, "_asked", has_all)
    assert proofs.chunks_of(replace(WANTED, file=file), run) == ()
    assert len(asked) == proofs.MAX_BLOCKS
