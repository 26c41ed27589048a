"""`python -m fakes`, as somebody types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests

from fakes.__main__ import main
from fakes.faults import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "fakes"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_says_where_it_is_serves_and_ends_cleanly(
    number: int, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    manifest, scenario = tmp_path / "manifest.json", tmp_path / "scenario.json"
    manifest.write_text(json.dumps(tiny))
    rule = {"server": "gateway2", "fault": {"name": "status", "status": 418}}
    scenario.write_text(json.dumps({"name": "mine", "rules": [rule]}))
    arguments = ["up", "--json", "--manifest", str(manifest), "--scenario", str(scenario), "--size", "full"]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        told = json.loads(program.stdout.readline())
        cid = told["manifest"]["tiny"]["ipfs"]["cid"]
        gateways = told["environment"]["FALLBACK_GATEWAYS"].split(",")
        statuses = [
            requests.get(f"{gateway}/ipfs/{cid}/config.json", timeout=5).status_code for gateway in gateways
        ]
        assert statuses == [200, 418, 200, 200]
        assert requests.get(f"{told['control']}/scenario", timeout=5).json()["name"] == "mine"
        journal = requests.get(f"{told['control']}/journal", timeout=5).json()
        assert [entry["server"] for entry in journal] == ["gateway1", "gateway2", "gateway3", "gateway4"]
        assert list(told["urls"]) == ["gateway1", "gateway2", "gateway3", "gateway4", "hub", "cdn"]
        program.send_signal(number)
        rest, errors = program.communicate(timeout=10)
    assert (program.returncode, rest, errors) == (0, "", "")


def test_up_for_people(tmp_path: Path, tiny: dict[str, Any]) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(tiny))
    with subprocess.Popen(
        [*COMMAND, "up", "--manifest", str(manifest)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline().strip() for _ in range(11)]
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    assert [line.split()[0] for line in lines[:7]] == [
        *(f"gateway{number}" for number in (1, 2, 3, 4)),
        "hub",
        "cdn",
        "control",
    ]
    assert all(re.search(r"http://127\.0\.0\.1:\d+$", line) for line in lines[:7])
    assert [line.partition("=")[0] for line in lines[8:]] == [
        "export FALLBACK_GATEWAYS",
        "export FALLBACK_HF_ENDPOINT",
        "export HF_ENDPOINT",
    ]


def test_list_has_every_fault_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for fault in FAULTS.values():
        assert re.search(rf" {fault.name} +{fault.group} ", printed)
    assert "fields: offset, fraction, seconds" in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--scenario", "nope"], "no scenario is called 'nope'"),
        (["up", "--scenario", "nope.json"], "No such file"),
        (["up", "--manifest", "/nope"], "No such file"),
        (["up", "--size", "huge"], "invalid choice"),
        ([], "required"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err
