"""`python -m fakes`, as somebody types it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
import requests

from fakes.__main__ import main
from fakes.faults import FAULTS
from fakes.faults.rows import rows

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
        assert list(told["urls"]) == [
            "gateway1",
            "gateway2",
            "gateway3",
            "gateway4",
            "hub",
            "cdn",
            "pinata",
            "kubo",
        ]
        program.send_signal(number)
        rest, errors = program.communicate(timeout=10)
    assert (program.returncode, rest, errors) == (0, "", "")


def test_up_for_people(tmp_path: Path, tiny: dict[str, Any]) -> None:
    """What it prints can be pasted: the exports into a shell, the examples after them."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(tiny))
    with subprocess.Popen(
        [*COMMAND, "up", "--manifest", str(manifest), "--size", "full"], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        printed = _until(program.stdout, "What was asked")
        exports = dict(re.findall(r"^export (\w+)=(.*)$", printed, re.MULTILINE))
        served = json.loads(Path(exports["FALLBACK_MANIFEST"]).read_text())
        example = re.findall(r"^#   curl -\w+ (\S+)$", printed, re.MULTILINE)
        assert [requests.get(url, timeout=5).status_code for url in example] == [200, 200]
        [control] = re.findall(r"add: (\S+)$", printed, re.MULTILINE)
        assert requests.get(control, timeout=5).text.startswith("<!doctype html>")
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    assert served.keys() == tiny.keys()
    assert re.findall(r"^(\w+) +http://127\.0\.0\.1:\d+$", printed, re.MULTILINE) == [
        *(f"gateway{number}" for number in (1, 2, 3, 4)),
        "hub",
        "cdn",
        "pinata",
        "kubo",
        "control",
    ]
    assert set(exports) == {
        "FALLBACK_MANIFEST",
        "FALLBACK_MODELS_DIR",
        "FALLBACK_GATEWAYS",
        "FALLBACK_HF_ENDPOINT",
        "HF_ENDPOINT",
        "FALLBACK_PINATA_API",
        "FALLBACK_PINATA_UPLOADS",
        "FALLBACK_KUBO_API",
        "PINATA_JWT",
    }
    assert not Path(exports["FALLBACK_MANIFEST"]).exists(), "it leaves nothing behind"


def _until(lines: IO[str], last: str) -> str:
    printed = ""
    while last not in printed:
        line = lines.readline()
        assert line, printed
        printed += line
    return printed


@pytest.mark.parametrize("text", ["[]", "{}", "1", '"x"', '{"m": {"files": []}}', '{"m": 1}'])
def test_a_manifest_that_is_none_is_wrong_usage(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(SystemExit) as caught:
        main(["up", "--manifest", str(tmp_path / "m.json")])
    assert caught.value.code == 2
    assert "model" in capsys.readouterr().err


def test_a_model_that_is_on_no_hub_and_has_no_file(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"m": {"files": {}}, "n": {"files": {"x": {"size": 1}}}}')
    with subprocess.Popen(
        [*COMMAND, "up", "--manifest", str(tmp_path / "m.json")], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert "fallback sync" in _until(program.stdout, "What was asked")
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0


def test_up_with_https() -> None:
    with subprocess.Popen(
        [*COMMAND, "up", "--json", "--https"], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        told = json.loads(program.stdout.readline())
        cid = told["manifest"]["whisper-base"]["ipfs"]["cid"]
        url = f"{told['urls']['gateway1']}/ipfs/{cid}/config.json"
        answer = requests.get(url, verify=told["environment"]["REQUESTS_CA_BUNDLE"], timeout=5)
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    assert url.startswith("https://")
    assert answer.status_code == 200


def test_list_has_every_row_and_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Each S, R and P number of the catalogue with its name and who plays it; each fault with its fields."""
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for row in rows().values():
        assert re.search(
            rf"^ *{row.number}  {row.name} +{row.group} +{row.played_by} +.* -> ", printed, re.MULTILINE
        )
    for fault in FAULTS.values():
        assert re.search(rf"^{fault.name} +{fault.level} +{re.escape(fault.what())}$", printed, re.MULTILINE)
    assert "offset=null, fraction=0.5, seconds=null" in printed


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["number"] for row in listed["rows"]] == list(range(1, 114))
    assert {fault["name"] for fault in listed["faults"]} == set(FAULTS)
    [stall] = [fault for fault in listed["faults"] if fault["name"] == "stall"]
    assert stall["fields"] == {"offset": "int | None", "fraction": "float", "seconds": "float | None"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "--scenario", "nope"], "no scenario is called 'nope'"),
        (["up", "--scenario", "nope.json"], "No such file"),
        (["up", "--manifest", "/nope"], "No such file"),
        (["up", "--manifest", "/dev/null"], "Expecting value"),
        (["up", "--size", "huge"], "invalid choice"),
        ([], "required"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err
