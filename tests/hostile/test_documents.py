"""Hostile documents: a manifest, fallback.toml, `.metrics.json`. A clear refusal, or something that is safe to use."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback import Manifest, Settings, sync
from fallback.errors import ManifestError, SettingsError
from tests.hostile.commands import run
from tests.hostile.fuzzing import NASTY, examples, misedited, spoiled, tried

ROOT = Path("/models")


def parsed(text: str | bytes) -> Manifest | None:
    """The manifest; None if it was refused, each problem in one short line that says where."""
    try:
        return Manifest.parse(text, name="hostile")
    except ManifestError as error:
        assert error.problems
        for problem in error.problems:
            line = str(problem)
            assert problem.where, line
            assert len(line) < 2000, line
            assert line.isprintable(), repr(line)
        return None


def safe(manifest: Manifest) -> None:
    """Every file goes to a place of its own below the folder, whatever the disk makes of names; and it can be kept."""
    targets = [model.target(file) for model, file in manifest.files()]
    assert len({target.casefold() for target in targets}) == len(targets)
    for target in targets:
        assert not {"", ".", ".."} & set(target.split("/")), target
        assert (ROOT / target).is_relative_to(ROOT)
        assert not set(target) & set("\0\\:\n"), target
    assert Manifest.parse(manifest.to_json(), name="again") == manifest


@examples(60)
@given(data=st.data())
def test_a_manifest_that_somebody_edited(document: dict[str, Any], data: st.DataObject) -> None:
    made: Any = document
    for _ in range(data.draw(st.integers(1, 3))):
        made = data.draw(misedited(made))
    with tried("manifest, edited"):
        found = parsed(json.dumps(made))
        if found is not None:
            safe(found)


@examples(60)
@given(data=st.data())
def test_a_manifest_whose_bytes_rotted(document: dict[str, Any], data: st.DataObject) -> None:
    text = data.draw(spoiled(json.dumps(document).encode()))
    with tried("manifest, bytes"):
        found = parsed(text)
        if found is not None:
            safe(found)


ESCAPES = [
    "../x", "a/../../x", "/etc/cron.d/x", "C:/x", "c:x", "a\\..\\x", "\\\\host\\share", "a\0b", "nul", "COM1.txt", "a/con/b", "x.", "x ",
    ".fallback/state.sqlite3", ".manifests.json", ".Metrics.json", "a.partial", "x/.a.ledger", "file:x", "\u202egnp.exe", "a//b",
]  # fmt: skip


@pytest.mark.fault(111)
@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("command", ["sync", "verify", "status"])
def test_a_name_that_leads_elsewhere_is_refused_by_name(
    tmp_path: Path, document: dict[str, Any], path: str, command: str
) -> None:
    """Exit 2, the key is told, and not even the folder is made."""
    document["tiny"]["files"] = {path: {"size": 1, "sha256": "0" * 64}}
    if path[0] == "." and path[1] != ".":  # our own names are ours in the models folder itself
        document["tiny"]["dir"] = path.partition("/")[0]
    manifest = tmp_path / "m.json"
    manifest.write_text(json.dumps(document))
    code, said = run(command, "--manifest", str(manifest), "--models-dir", str(tmp_path / "models"))
    assert code == 2
    assert "tiny" in said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.json"]


@pytest.mark.fault(106)
@pytest.mark.parametrize(
    ("one", "other"),
    [("A.bin", "a.bin"), ("caf\u00e9", "cafe\u0301"), ("\u212a", "k"), ("\u017f", "S"), ("a", "a/b"), ("\u01c6", "\u01c4")],
)  # fmt: skip
def test_two_names_that_some_disk_takes_for_one_are_refused(
    document: dict[str, Any], one: str, other: str
) -> None:
    document["tiny"]["files"] = {path: {"size": 1, "sha256": "0" * 64} for path in (one, other)}
    assert parsed(json.dumps(document)) is None


TOML = """
models_dir = "models"
gateways = ["https://a.example", "https://b.example/x"]
hf_token = "hf_canary"
jobs = 4
timeout_s = 1.5
offline = false
preferred_layer = "ipfs"
"""


def loaded(path: Path) -> Settings | None:
    try:
        return Settings.load({}, {}, path)
    except SettingsError as error:
        assert "canary" not in str(error)
        assert str(error).count("\n") < 60
        return None


@examples(50)
@given(data=st.data())
def test_a_settings_file_whose_bytes_rotted(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "fallback.toml"
    path.write_bytes(data.draw(spoiled(TOML.encode())))
    with tried("fallback.toml, bytes"):
        loaded(path)


@examples(50)
@given(data=st.data())
def test_a_settings_file_that_somebody_edited(tmp_path: Path, data: st.DataObject) -> None:
    """Any setting can hold anything; what is taken is what a run can use."""
    known = tomllib.loads(TOML)
    name = data.draw(st.sampled_from([*sorted(known), "state_dir", "manifest", "ca_bundle", "deadline_s"]))
    value = data.draw(NASTY.filter(lambda each: each is not None and "\ud800" not in str(each)))
    path = tmp_path / "fallback.toml"
    lines = [f"{key} = {json.dumps(known[key])}" for key in known if key != name]
    if not isinstance(value, dict):
        lines.append(f"{name} = {json.dumps(value)}")
    path.write_text("\n".join(lines))
    with tried("fallback.toml, edited"):
        found = loaded(path)
        assert found is None or (found.jobs >= 1 and found.models_dir.is_absolute())


@examples(5)
@given(data=st.data())
def test_a_metrics_copy_is_written_over_and_never_read(filled: Path, data: st.DataObject) -> None:
    """Whatever stands there, a sync ends well and leaves a list of records."""
    copy = filled / ".metrics.json"
    copy.write_bytes(data.draw(st.binary(max_size=200) | st.just(b"[" * 100_000)))
    with tried(".metrics.json"):
        assert sync(settings=Settings(models_dir=filled, offline=True, reserve_bytes=0)).ok
        assert isinstance(json.loads(copy.read_text()), list)
