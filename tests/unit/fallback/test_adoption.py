"""Partials and who takes them over: one writer each, hashed before a byte of them counts."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from fallback import adoption, owner
from fallback.errors import SizeError
from fallback.ledger import Ledger, Response
from fallback.manifest import File
from fallback.names import LEDGER, PARTIAL
from fallback.partial import Partial, own_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATA = bytes(range(200))
FILE = File(path="a.bin", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())
ONE = Response(0, "ipfs", "dweb.link", '"a"')
TWO = Response(50, "ipfs", "ipfs.io")
STRANGER = "0f0f0f-1-1"


def never() -> bool:
    return False


@pytest.fixture(name="target")
def _target(tmp_path: Path) -> Path:
    return tmp_path / "a.bin"


def let_go(target: Path, data: bytes = DATA[:50], *responses: Response) -> Path:
    """A partial that a run left in good order; its path."""
    partial = Partial.fresh(target, FILE)
    for response in responses or (ONE,):
        partial.ledger.add(response)
    partial.write(data)
    partial.close()
    return partial.ledger.path.with_suffix(PARTIAL)


def adopt(
    target: Path, *, quiet_s: float = 60, over: Callable[[], bool] = never, file: File = FILE
) -> Partial | None:
    others = adoption.left_of(target, file)
    return adoption.adopt(others, target, file, quiet_s=quiet_s, over=over)


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_a_fresh_one_names_its_file_and_its_writer(target: Path) -> None:
    partial = Partial.fresh(target, FILE)
    found = adoption.found(partial.path)
    assert found is not None
    assert FILE.sha256 is not None
    assert (found.file, found.sha8, found.life) == ("a.bin", FILE.sha256[:8], "alive")
    assert found.ledger == partial.ledger.path
    partial.close()
    assert names(target) == []  # an empty one is of no use


def test_what_was_let_go_is_taken_with_its_ledger(target: Path) -> None:
    left = let_go(target, DATA[:50])
    partial = adopt(target)
    assert partial is not None
    assert (partial.size, partial.inherited, partial.ledger.responses) == (50, 50, (ONE,))
    assert not left.exists()
    partial.write(DATA[50:])
    partial.proof.finish()
    partial.rename()
    assert target.read_bytes() == DATA
    assert names(target) == ["a.bin"]


def test_one_taker_only(target: Path) -> None:
    let_go(target)
    first = adopt(target)
    assert first is not None
    assert adopt(target) is None  # its owner is alive: us
    first.close()
    again = adopt(target)
    assert again is not None
    again.close()


def test_the_largest_first(target: Path) -> None:
    let_go(target, DATA[:10])
    let_go(target, DATA[:90])
    let_go(target, DATA[:50])
    partial = adopt(target)
    assert partial is not None
    assert partial.size == 90
    partial.close()


def test_of_a_stranger_only_a_copy_and_only_of_an_idle_one(target: Path) -> None:
    """Another machine may still write to its inode."""
    left = let_go(target)
    theirs = left.with_name(left.name.removesuffix(PARTIAL) + f".{STRANGER}{PARTIAL}")
    left.rename(theirs)
    inode = theirs.stat().st_ino
    assert adopt(target) is None
    os.utime(theirs, (1, 1))
    with theirs.open("rb"):  # held open, so that its number is not used again
        partial = adopt(target)
        assert partial is not None
        assert partial.path.stat().st_ino != inode
    assert (partial.size, partial.ledger.responses) == (50, (ONE,))
    partial.close()


@pytest.mark.parametrize("kind", ["symlink", "second name", "folder", "other file", "other version"])
def test_what_is_no_partial_of_this_file_is_left_alone(target: Path, tmp_path: Path, kind: str) -> None:
    left = let_go(target)
    if kind == "symlink":
        left.rename(tmp_path / "elsewhere")
        left.symlink_to(tmp_path / "elsewhere")
    elif kind == "second name":
        os.link(left, tmp_path / "elsewhere")
    elif kind == "folder":
        left.unlink()
        left.mkdir()
    elif kind == "other file":
        left.rename(left.with_name(left.name.replace("a.bin", "b.bin")))
    else:
        left.rename(left.with_name(left.name.replace(f".{(FILE.sha256 or '')[:8]}", ".00000000")))
    before = names(target)
    assert adopt(target) is None
    assert names(target) == before


def test_without_a_digest_nothing_is_adopted(target: Path) -> None:
    let_go(target)
    assert adopt(target, file=File(path="a.bin", size=200, sha256=None)) is None


def test_one_that_is_too_long_is_of_no_use(target: Path) -> None:
    """Fault 82: it is emptied, and no bytes of it count."""
    left = let_go(target)
    left.write_bytes(DATA + b"x")
    assert adopt(target) is None
    assert names(target) == []


def test_a_run_that_is_over_lets_go_what_it_claimed(target: Path) -> None:
    left = let_go(target)
    assert adopt(target, over=lambda: True) is None
    assert left.exists()


def test_names_of_others_are_not_ours(target: Path) -> None:
    for name in (
        "a.bin",
        "a.bin.partial",
        ".a.bin.12345678.partial",
        ".a.bin.12345678-12345.partial",
        ".x.partial",
    ):
        assert adoption.found(target.with_name(name)) is None


def test_a_name_may_hold_anything(target: Path) -> None:
    odd = target.with_name("a\n.12345678-abcd.partial")
    path, ledger = own_names(odd, FILE, "00ff")
    found = adoption.found(path)
    assert found is not None
    assert (found.file, found.writer, found.ledger) == (odd.name, owner.ourselves(), ledger)


class TestBlame:
    """Who is told to have sent wrong bytes (DESIGN, "A partial has one writer")."""

    @pytest.fixture(name="partial")
    def _partial(self, target: Path) -> Iterator[Partial]:
        partial = Partial.fresh(target, FILE)
        yield partial
        partial.close()

    def test_one_response(self, partial: Partial) -> None:
        partial.begin(ONE)
        assert partial.blamed() == "dweb.link"

    def test_two_responses_of_one_source_may_be_two_versions(self, partial: Partial) -> None:
        partial.begin(ONE)
        partial.begin(Response(50, "ipfs", "dweb.link"))
        assert partial.blamed() is None

    def test_the_second_time_it_is_blamed(self, partial: Partial) -> None:
        partial.begin(ONE)
        partial.reset(pure=True)
        partial.begin(Response(0, "ipfs", "dweb.link"))
        partial.write(DATA[:50])
        partial.begin(Response(50, "ipfs", "dweb.link"))
        assert partial.blamed() == "dweb.link"
        assert (partial.start_for("dweb.link"), partial.start_for("ipfs.io")) == (50, 0)

    def test_two_sources(self, partial: Partial) -> None:
        partial.begin(ONE)
        partial.begin(TWO)
        assert partial.blamed() is None

    def test_bytes_of_an_earlier_run(self, target: Path) -> None:
        """This machine's disk may be to blame, too."""
        let_go(target)
        partial = adopt(target)
        assert partial is not None
        assert partial.blamed() is None
        partial.begin(ONE)  # from zero
        assert (partial.blamed(), partial.size) == ("dweb.link", 0)
        partial.close()


def test_a_partial_that_was_deleted_meanwhile_is_copied_out(target: Path) -> None:
    """Somebody cleaned the folder: the bytes are still in our open file, and are proven once more."""
    partial = Partial.fresh(target, FILE)
    partial.write(DATA)
    partial.path.unlink()
    partial.rename()
    assert target.read_bytes() == DATA


def test_a_write_that_takes_less_than_all_is_gone_on_with(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bytes of a disk that is nearly full, where the copy gets the name and is not read again (P1)."""

    class Short(io.FileIO):
        def write(self, data: Any) -> int:
            return super().write(data[: max(1, len(data) // 2)])

    monkeypatch.setattr(os, "fdopen", lambda descriptor, mode, **_: Short(descriptor, mode))
    partial = Partial.fresh(target, FILE)
    partial.write(DATA)
    partial.path.unlink()
    partial.rename()
    assert target.read_bytes() == DATA


def test_a_deleted_partial_that_is_not_the_file_gets_no_name(target: Path) -> None:
    partial = Partial.fresh(target, FILE)
    partial.write(DATA)
    partial.path.write_bytes(DATA[:-1])  # same inode: a byte less than was proven
    partial.path.unlink()
    with pytest.raises(SizeError):
        partial.rename()
    assert not target.exists()
    partial.close()


def test_beginning_anew_leaves_nothing_of_before(target: Path) -> None:
    """A file of unknown size may be shorter the second time."""
    file = File(path="a.bin", size=None, sha256=hashlib.sha256(DATA[:7]).hexdigest())
    partial = Partial.fresh(target, file)
    partial.begin(ONE)
    partial.write(DATA)
    partial.begin(ONE)
    partial.write(DATA[:7])
    partial.proof.finish()
    partial.rename()
    assert target.read_bytes() == DATA[:7]


def test_letting_go_keeps_what_came(target: Path) -> None:
    partial = Partial.fresh(target, FILE)
    partial.ledger.add(ONE)
    partial.write(DATA[:7])
    partial.close()
    partial.close()  # twice is once
    assert {path.suffix for path in target.parent.iterdir()} == {PARTIAL, LEDGER}
    assert Ledger.read(partial.ledger.path).responses == (ONE,)
