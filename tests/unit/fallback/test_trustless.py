"""A CAR is a file's bytes, or an outcome that says whose fault it is."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

import pytest

from fallback.ipfs import building, car
from fallback.ipfs.cid import RAW, Cid
from fallback.ipfs.unixfs import PROFILES, V1_2025
from fallback.outcome import Corrupt, Failed, Interrupted, Malformed, NotHere
from fallback.trustless import car_bytes, file_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fallback.ipfs.unixfs import Profile
    from fallback.outcome import Outcome

DATA = bytes(range(256)) * 12_000  # 2.9 MiB
CHUNK = 1 << 20


class Body:
    """An answer as far as it is looked at: its body, at most as much of it as is wanted."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self.given = parts, 0

    def pieces(self, limit: int) -> Iterator[bytes]:
        for part in self._parts:
            yield part[: limit - self.given]
            self.given = min(limit, self.given + len(part))
            if self.given == limit:
                return


def sections(profile: Profile = V1_2025) -> tuple[Cid, list[bytes]]:
    """A folder with the file `a`, its blocks in the order a reader needs them."""
    blocks: dict[Cid, bytes] = {}
    chunks = (DATA[at : at + profile.chunk] for at in range(0, len(DATA), profile.chunk))
    built = building.from_chunks(chunks, profile, blocks.__setitem__)
    root = building.directory({"a": built}, profile, blocks.__setitem__).cid
    order = [root, built.cid, *(cid for cid in blocks if cid not in {root, built.cid})]
    return root, [car.header([root]), *(car.section(cid, blocks[cid]) for cid in order)]


def read(body: Body, path: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(file_bytes(cast("Any", body), path, start, stop, car_bytes(len(DATA))))


def outcome(parts: Iterable[bytes], path: str) -> Outcome:
    with pytest.raises(Failed) as caught:
        read(Body(parts), path)
    return caught.value.outcome


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_car_of_any_profile_is_not_larger_than_is_read(profile: Profile) -> None:
    root, parts = sections(profile)
    assert read(Body(parts), f"{root}/a") == DATA
    assert read(Body(parts), f"{root}/a", CHUNK - 1, CHUNK + 1) == DATA[CHUNK - 1 : CHUNK + 1]
    assert sum(map(len, parts)) <= len(DATA) * 9 // 8


def test_what_a_car_lacks_is_asked_for_again() -> None:
    """It ended too early, inside a block or between two; or a block never came."""
    root, parts = sections()
    whole = b"".join(parts)
    for broken in ([whole[:-5]], parts[:-1], parts[:2], [*parts[:3], *parts[4:]]):
        assert isinstance(outcome(broken, f"{root}/a"), Interrupted)


def test_a_wrong_block_is_its_senders() -> None:
    root, parts = sections()
    parts[4] = parts[4][:-1] + bytes([parts[4][-1] ^ 1])
    found = outcome(parts, f"{root}/a")
    assert isinstance(found, Corrupt)
    assert found.mendable


def test_a_name_that_is_not_there_is_nobodys_fault() -> None:
    root, parts = sections()
    assert isinstance(outcome(parts, f"{root}/b"), NotHere)
    assert isinstance(outcome(parts, "no CID"), NotHere)


@pytest.mark.parametrize("junk", [b"", b"<html>" * 20, b"\0" * 100, car.section(Cid.of(b"x", RAW), b"x")])
def test_what_is_no_car_is_malformed(junk: bytes) -> None:
    root, _ = sections()
    assert isinstance(outcome([junk], f"{root}/a"), Malformed)


def test_a_folder_is_no_file() -> None:
    root, parts = sections()
    assert isinstance(outcome(parts, str(root)), Malformed)


def test_right_blocks_that_nobody_asked_for_have_an_end() -> None:
    """P3: they prove themselves, for ever."""
    root, parts = sections()
    other = Body(
        part for part in (*parts[:1], *repeat(car.section(Cid.of(DATA[:CHUNK], RAW), DATA[:CHUNK]), 99))
    )
    with pytest.raises(Failed):
        read(other, f"{root}/a")
    assert other.given == car_bytes(len(DATA)) < 3 * len(DATA)
