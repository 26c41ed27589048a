"""`fallback sync` and `fallback get` as far as they go without a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHA = "ab" * 32
CASES: list[tuple[list[str], str]] = [
    (["http://[::1/x", "--sha256", SHA, "-o", "x"], "number 1 is not an http or https URL"),
    (["http://a/x", "http://a:99999/", "--sha256", SHA, "-o", "x"], "number 2 is not an http"),
    (["http:///x", "--sha256", SHA, "-o", "x"], "number 1 is not an http or https URL"),
    (["ftp://a/x", "--sha256", SHA, "-o", "x"], "number 1 is not an http or https URL"),
    (["file:///etc/passwd", "--sha256", SHA, "-o", "x"], "number 1 is not an http or https URL"),
    (["http://a/x", "--sha256", "abc", "-o", "x"], "64 hex digits"),
    (["http://a/x", "--sha256", "g" * 64, "-o", "x"], "64 hex digits"),
    (["http://a/x", "--sha256", SHA, "--size", "-1", "-o", "x"], "--size"),
    (["http://a/x", "--sha256", SHA], "--output"),
    (["http://a/x", "-o", "x"], "--sha256"),
    (["--sha256", SHA, "-o", "x"], "URL"),
    (["http://a/x", "--sha256", SHA, "-o", "x", "--jobs", "0"], "jobs: 0"),
]


@pytest.mark.parametrize(("args", "message"), CASES)
def test_get_refuses_what_makes_no_sense(
    run: Callable[..., Any], tmp_path: Path, args: list[str], message: str
) -> None:
    """Exit 2, a message that names it, no request, and nothing written."""
    said = run("get", *args)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not list(tmp_path.iterdir())


def test_get_tells_no_secret_of_a_url_it_refuses(run: Callable[..., Any]) -> None:
    """P7: a URL may hold a password or a signature."""
    said = run("get", "ftp://me:hunter2@a/x?signature=hunter2", "--sha256", SHA, "-o", "x")
    assert said.code == 2
    assert "hunter2" not in said.err


def test_get_of_a_file_that_is_here_asks_nobody(run: Callable[..., Any], tmp_path: Path) -> None:
    """P9, also for one file; upper-case hex is the same digest."""
    (tmp_path / "x").write_bytes(b"")
    empty = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
    said = run("get", "http://a/x", "--sha256", empty, "-o", "x")
    assert (said.code, said.out, said.err) == (0, "", "x: 0 bytes from this machine\n")


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_an_unknown_model_is_exit_2_and_the_known_ones_are_named(
    run: Callable[..., Any], manifest: Path, flags: list[str]
) -> None:
    said = run("sync", "tiny", "huge", *flags)
    assert (said.code, said.out) == (2, "")
    assert said.err == f'fallback: manifest {manifest} has no model "huge", only "tiny"\n'


def test_dry_run_says_who_would_be_asked_and_leaves_no_trace(
    run: Callable[..., Any], manifest: Path, tmp_path: Path
) -> None:
    """Nothing is requested, written or hashed: not even the models folder is made."""
    said = run("sync", "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[:4] == [
        "tiny/config.json: 3 bytes",
        "    http://one.invalid/ipfs/bafytiny/config.json",
        "    http://two.invalid/ipfs/bafytiny/config.json",
        "    http://hub.invalid/org/tiny/resolve/main/config.json",
    ]
    assert list(tmp_path.iterdir()) == [manifest]


def test_dry_run_as_json_is_an_object_a_file(run: Callable[..., Any], here: Callable[[str], Path]) -> None:
    here("config.json")
    run("sync", "--offline", "--quiet")
    said = run("sync", "--dry-run", "--json", "--prefer", "huggingface")
    first, second = map(json.loads, said.out.splitlines())
    assert (first["path"], first["here"], first["urls"]) == ("config.json", True, [])
    assert second["here"] is False
    assert second["urls"][0] == "http://hub.invalid/org/tiny/resolve/main/onnx/model.onnx"
    assert run("sync", "--dry-run").out.startswith("tiny/config.json: here\ntiny/onnx/model.onnx: 700 bytes")


def test_offline_proves_what_is_here_and_names_what_is_missing(
    run: Callable[..., Any], here: Callable[[str], Path]
) -> None:
    """Exit 1 while something is missing, 0 with a full cache (P9)."""
    here("config.json")
    said = run("sync", "--offline")
    assert (said.code, said.out) == (1, "")
    assert "tiny/onnx/model.onnx could not be had" in said.err
    assert "1 of 2 files right" in said.err
    here("onnx/model.onnx")
    assert run("sync", "--offline").code == 0


def test_json_is_one_object_a_line_and_errors_stay_on_stderr(
    run: Callable[..., Any], here: Callable[[str], Path]
) -> None:
    here("config.json")
    said = run("sync", "--offline", "--json")
    events = [json.loads(line)["event"] for line in said.out.splitlines()]
    assert (events[0], events[-1]) == ("run_started", "run_ended")
    assert {"cache_hit", "file_failed"} <= set(events)
    assert said.err.startswith("fallback: tiny/onnx/model.onnx could not be had")


def test_quiet_says_nothing_of_what_is_right(run: Callable[..., Any], here: Callable[[str], Path]) -> None:
    """And still names what is not."""
    here("config.json")
    missing = run("sync", "--offline", "--quiet")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.startswith("fallback: tiny/onnx/model.onnx could not be had")
    here("onnx/model.onnx")
    said = run("sync", "--offline", "-q")
    assert (said.code, said.out, said.err) == (0, "", "")


def test_help_needs_no_manual(run: Callable[..., Any]) -> None:
    said = run("sync", "--help")
    assert said.code == 0
    flags = ("--gateway", "--prefer", "--jobs", "--deadline", "--offline", "--dry-run", "--json", "--quiet")
    assert all(flag in said.out for flag in flags)
