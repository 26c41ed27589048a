"""Manifests: what is refused, and that the message points at the key."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.errors import ManifestError
from fallback.manifest import Manifest

SHA = "0" * 64
GOOD: dict[str, Any] = {"size": 1, "sha256": SHA}


def refused(text: str | bytes) -> str:
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(text, name="m.json")
    return str(caught.value)


def document(files: dict[str, Any]) -> str:
    return json.dumps({"m": {"files": files}})


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("{", "document", "line 1, column 2"),
        (b"\xff", "document", "not UTF-8"),
        ("[]", "document", "must be an object"),
        ("[" * 100_000, "document", "nested"),
        ('{"m": {"files": {}}, "m": {"files": {}}}', "document", '"m" twice'),
        ('{"m": 1}', "m", "must be an object"),
        ('{"m": {}}', "m.files", "is missing"),
        ('{"m": {"files": []}}', "m.files", "must be an object"),
        (document({"a": {"size": 1}}), 'm.files["a"].sha256', "is missing"),
        (document({"a": {"size": 1, "md5": "x"}}), 'm.files["a"].md5', "unknown digest"),
        (document({"a": {"size": 1, "sha256": "xyz"}}), 'm.files["a"].sha256', "64 hex digits"),
        (document({"a": {"size": -1, "sha256": SHA}}), 'm.files["a"].size', "not -1"),
        (document({"a": {"size": True, "sha256": SHA}}), 'm.files["a"].size', "not true"),
        (document({"a": {"size": 1.5, "sha256": SHA}}), 'm.files["a"].size', "not 1.5"),
        (document({"../a": GOOD}), 'm.files["../a"]', "'..'"),
        (document({"/a": GOOD}), 'm.files["/a"]', "absolute"),
        (document({"a\0b": GOOD}), 'm.files["a\\u0000b"]', "control character"),
        (document({"a\\b": GOOD}), 'm.files["a\\\\b"]', "backslash"),
        (document({"c:x": GOOD}), 'm.files["c:x"]', "':'"),
        (document({"con.txt": GOOD}), 'm.files["con.txt"]', "a device on Windows"),
        (document({"A": GOOD, "a": GOOD}), 'm.files["a"]', "alike but for case"),
        (document({"a": GOOD, "a/b": GOOD}), 'm.files["a/b"]', "folder where"),
    ],
)
def test_a_broken_manifest_is_refused_at_its_key(text: str | bytes, where: str, what: str) -> None:
    message = refused(text)
    assert any(where in line and what in line for line in message.splitlines()), message


def test_all_problems_at_once() -> None:
    message = refused(document({"a": {"size": -1, "sha256": SHA}, "b": {"size": 1}}))
    assert 'm.files["a"].size' in message
    assert 'm.files["b"].sha256' in message


def test_the_built_in_manifest_is_the_thirteen_files() -> None:
    manifest = Manifest.builtin()
    assert len(list(manifest.files())) == 13
    assert manifest.total_bytes == 492_360_658


def test_round_trip_keeps_unknown_keys() -> None:
    text = json.dumps({"m": {"files": {"a": {**GOOD, "note": [1]}}, "colour": "red"}})
    manifest = Manifest.parse(text, name="m")
    again = Manifest.parse(manifest.to_json(), name="m")
    assert again == manifest
    assert again.models[0].extra == {"colour": "red"}


def test_the_originals_shape_takes_what_it_lacks_from_the_built_in_model() -> None:
    text = json.dumps({"whisper-base": {"files": {"config.json": GOOD}, "ipfsHash": "bafybeigood0"}})
    model = Manifest.parse(text, name="m").models[0]
    assert (model.type, model.dir) == ("stt", "onnx-community/whisper-base")
    assert model.ipfs is not None
    assert model.ipfs.cid == "bafybeigood0"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_raises_anything_else(value: Any) -> None:
    with contextlib.suppress(ManifestError):
        assert Manifest.parse(json.dumps(value), name="m").models is not None


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_that_cannot_be_written_again_is_refused(number: str) -> None:
    """Kept as Infinity it would make the manifest that `publish` writes unreadable."""
    text = json.dumps({"m": {"files": {"a": GOOD}, "note": 0}}).replace("0}", f"{number}}}")
    with pytest.raises(ManifestError, match="beyond what a number can be"):
        Manifest.parse(text, name="m")


def test_a_document_with_countless_problems_is_refused_at_once() -> None:
    """In time that grows with its size and no faster (else the test's own time is over), in a message that can be read."""
    members = ",".join(f'"key {number}": 1, "key {number}": 1' for number in range(100_000))
    with pytest.raises(ManifestError) as caught:
        Manifest.parse("{" + members + "}", name="m")
    assert len(caught.value.problems) > 100_000
    assert len(str(caught.value)) < 10_000
    assert str(caught.value).endswith("more")
