"""`fallback sources`: who would be asked, what is known of each, and how to forget it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fallback.health import Health
from fallback.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.settings import Settings


@pytest.fixture
def retired(settings: Settings) -> None:
    """What is known: one.invalid is shut down for good."""
    with State(settings.state_path, pytest.fail) as state:
        state.health.save("one.invalid", Health(retired=True, reason="429, and its Sunset has passed"))


def rows(out: str) -> list[list[str]]:
    return [line.split(maxsplit=3) for line in out.partition("\n\nsettings\n")[0].splitlines()]


def test_the_table_has_the_order_each_one_s_health_and_why(run: Callable[..., Any], retired: None) -> None:
    said = run("sources")
    assert (said.code, said.err) == (0, "")
    assert rows(said.out) == [
        ["1.", "ipfs", "one.invalid", "retired: 429, and its Sunset has passed"],
        ["2.", "ipfs", "two.invalid", "up"],
        ["3.", "huggingface", "hub.invalid", "up"],
    ]


def test_prefer_and_gateway_change_the_order(run: Callable[..., Any]) -> None:
    said = run("sources", "--prefer", "huggingface", "--gateway", "http://b.invalid", "--gateway", "http://a")
    assert [row[2] for row in rows(said.out)] == ["hub.invalid", "b.invalid", "a"]


@pytest.mark.parametrize("host", ["one.invalid", "ONE.invalid", "http://one.invalid/ipfs"])
def test_what_is_forgotten_is_asked_again(run: Callable[..., Any], retired: None, host: str) -> None:
    """By host or by URL; the table that follows is the one after it, and the next command agrees."""
    said = run("sources", "--forget", host)
    assert (said.code, said.err) == (0, "")
    assert rows(said.out)[0] == ["1.", "ipfs", "one.invalid", "up"]
    assert run("sources").out == said.out


def test_a_host_nothing_is_known_of_is_said(run: Callable[..., Any], retired: None) -> None:
    """Else a typing error would look like a success; the others are forgotten all the same."""
    said = run("sources", "--forget", "onee.invalid", "--forget", "one.invalid")
    assert said.code == 0
    assert said.err == "nothing was known of onee.invalid\n"
    assert rows(said.out)[0][3] == "up"


@pytest.mark.parametrize("host", ["http://[::1/x", "http://host:99999"])
def test_what_is_no_url_is_exit_2_and_forgets_nothing(
    run: Callable[..., Any], retired: None, host: str
) -> None:
    said = run("sources", "--forget", "one.invalid", "--forget", host)
    assert (said.code, said.out) == (2, "")
    assert "must be a host, or a URL with one" in said.err
    assert rows(run("sources").out)[0][3].startswith("retired")


def test_settings_say_where_they_came_from_and_no_token(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P7: a secret is set or not, in the table and in JSON."""
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    shown, as_json = run("sources", "--hf-endpoint", "http://other.invalid"), run("sources", "--json")
    lines = {line.split()[0]: line.split()[1:] for line in shown.out.splitlines() if line.startswith("  ")}
    assert lines["hf_token"] == ["set", "environment", "HF_TOKEN"]
    assert lines["hf_endpoint"] == ["http://other.invalid", "flag"]
    assert lines["backoff_s"] == ["2.0", "default"]
    assert lines["gateways"][:2] == ["http://one.invalid,", "http://two.invalid"]
    assert "hunter2" not in shown.out + as_json.out


def test_json_is_one_object_on_one_line(run: Callable[..., Any]) -> None:
    said = run("sources", "--json")
    assert said.out.count("\n") == 1
    told = json.loads(said.out)
    first = {"layer": "ipfs", "source": "one.invalid", "health": "up", "state": "up", "reason": ""}
    assert told["sources"][0] == first
    assert told["settings"]["jobs"] == [4, "default"]
