"""Names: what may become a file below the models folder, and which two may not stand together."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fallback import names
from fallback.settings import Settings

SEGMENTS = st.text(min_size=1, max_size=8)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join) | st.text()


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("//host/share", "is absolute"),
        ("..", "has a segment '..'"),
        ("a/../../b", "has a segment '..'"),
        ("./a", "has a segment '.'"),
        ("a/.", "has a segment '.'"),
        ("a//b", "empty segment"),
        ("a/", "empty segment"),
        ("a\\b", "backslash"),
        ("a\0b", "a control character, U+0000"),
        ("a\nb", "a control character, U+000A"),
        ("a\x9bb", "a control character, U+009B"),
        ("abc\u202exnno.", "an invisible character, U+202E"),
        ("a\u200bb", "an invisible character, U+200B"),
        ("a\u2028b", "a line separator, U+2028"),
        ("a\ud800", "half of a surrogate pair, U+D800"),
        ("C:/x", "':'"),
        ("C:x", "':'"),
        ("a:stream", "':'"),
        ("con", "'CON', which is a device"),
        ("a/NUL", "'NUL', which is a device"),
        ("Con.txt", "'CON', which is a device"),
        ("com1.tar.gz", "'COM1', which is a device"),
        ("lpt³", "'LPT³', which is a device"),
        ("aux .txt", "'AUX', which is a device"),
        ("a./b", "ends in a dot or a space"),
        ("a /b", "ends in a dot or a space"),
        ("...", "ends in a dot or a space"),
        ("x" * 201, "a segment longer than 200 bytes"),
        ("é" * 101, "a segment longer than 200 bytes"),
        ("/".join(["x" * 100] * 11), "longer than 1024 bytes"),
    ],
)
def test_problem(path: str, what: str) -> None:
    said = names.problem(path)
    assert said is not None
    assert what in said


@pytest.mark.parametrize(
    "path",
    [
        "a",
        ".a",
        "onnx/encoder_model.onnx",
        "..a",
        "a b",
        "console",
        "com10",
        "com",
        "é/ü",
        "模型.onnx",
        "x" * 200,
    ],
)
def test_no_problem(path: str) -> None:
    assert names.problem(path) is None


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (".manifests.json", "our own '.manifests.json'"),
        (".Manifests.JSON", "our own '.manifests.json'"),
        (".metrics.json", "our own '.metrics.json'"),
        (".fallback/state.db", "our own '.fallback'"),
        (".FALLBACK", "our own '.fallback'"),
        ("a.partial", "'.partial' or '.ledger' or '.bak'"),
        ("tts/a.PARTIAL", "'.partial' or '.ledger' or '.bak'"),
        ("tts.bak/a", "'.partial' or '.ledger' or '.bak'"),
        ("/".join(["x" * 200] * 6), "longer than 1024 bytes"),
    ],
)
def test_target_problem(target: str, what: str) -> None:
    said = names.target_problem(target)
    assert said is not None
    assert what in said


@pytest.mark.parametrize(
    "target", ["a", "tts/.fallback", "tts/.manifests.json", "a.partial.onnx", "bak", "partial"]
)
def test_no_target_problem(target: str) -> None:
    assert names.target_problem(target) is None


def test_our_own_names_are_those_that_other_modules_use() -> None:
    assert Settings(models_dir="/m").state_path.name in names.OWN_NAMES  # type: ignore[arg-type] # as a caller may


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["a", "b", "c/a"], []),
        (["a", "a"], [(1, "is the same target as 0")]),
        (["a", "A"], [(1, "and 0 are two names alike but for case")]),
        (["A/x", "a/X"], [(1, "and 0 are two names alike but for case")]),
        (["caf\u00e9", "cafe\u0301"], [(1, "and 0 are two names alike but for case")]),
        (["stra\u00dfe", "STRASSE"], [(1, "and 0 are two names alike but for case")]),
        (["a", "a/b"], [(1, "needs a folder where 0 is a file")]),
        (["x/a/b/c", "X/A"], [(0, "needs a folder where 1 is a file")]),
        (["a", "A", "a"], [(1, "alike"), (2, "same target")]),
        (["a/b", "a/c", "A/d"], []),
    ],
)
def test_clashes(targets: list[str], expected: list[tuple[int, str]]) -> None:
    found = list(names.clashes((str(number), target) for number, target in enumerate(targets)))
    assert [int(where) for where, _ in found] == [number for number, _ in expected]
    for (_, said), (_, what) in zip(found, expected, strict=True):
        assert what in said


def test_the_same_target_is_a_clash_even_under_the_same_key() -> None:
    """Models made in code can list one path twice: their keys are equal, too."""
    assert list(names.clashes([("m.files", "a"), ("m.files", "a")]))


@given(PATHS)
@example("a/../b")
@example("C:\\x")
def test_what_is_accepted_is_one_relative_path_on_every_system(path: str) -> None:
    if names.problem(path) is not None:
        return
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    assert not posix.is_absolute()
    assert not windows.anchor
    assert ".." not in posix.parts
    assert posix.parts == windows.parts == tuple(path.split("/"))
    assert str(posix) == path
    assert path.encode().decode() == path


@given(st.lists(st.text(alphabet="aAé/\u0301", min_size=1, max_size=6), max_size=8))
def test_what_does_not_clash_can_stand_on_a_disk_that_ignores_case(targets: list[str]) -> None:
    if list(names.clashes((str(number), target) for number, target in enumerate(targets))):
        return
    files = [unicodedata.normalize("NFC", target.upper()) for target in targets]
    assert len(set(files)) == len(files)
    for file in files:
        assert not any(other.startswith(f"{file}/") for other in files)
