"""Peers that nobody listed: several processes that find one another by mDNS, in a network of their own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fallback.share import finding
from tests.flow.neighbours import alone

pytestmark = [pytest.mark.needs("unshare", "ip"), pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]


def played(act: str, folder: Path) -> dict[str, Any]:
    """What came of an act; skipped where this user may make no network of its own."""
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace may be made here")
    done = subprocess.run(alone(act, folder), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    came: dict[str, Any] = json.loads(done.stdout)
    return came


@pytest.mark.parametrize("act", ["meet", "meet6"], ids=["IPv4", "IPv6"])
def test_one_machine_finds_the_other_and_needs_nobody_else(tmp_path: Path, act: str) -> None:
    """Where nobody shares yet, the others are asked; and once all files are here, nobody is looked for."""
    came = played(act, tmp_path)
    print(f"\nmDNS: {came['first_byte_s']:.2f} s from the start of the process to its first byte")
    assert (came["exit"], came["layers"], came["warned"], came["said"]) == (0, ["peer", "peer"], [], "")
    assert came["requests"] == 0, "no gateway was asked"
    assert (came["again"]["exit"], came["again"]["layers"]) == (0, [])
    early = came["early"]
    assert (early["exit"], early["layers"], early["warned"]) == (0, ["ipfs", "ipfs"], [])


def test_of_what_anybody_announces_little_is_followed(tmp_path: Path) -> None:
    """No address outside, none of this machine, no other path; and no more than so many."""
    came = played("lies", tmp_path)
    assert came["found"] == ["http://10.200.3.4:85", "http://10.9.0.1:84/gm"]
    assert came["crowd"] == came["most"] == finding.MOST
