"""Proxies of the environment: used, said to be the cause when they fail, and passed by for NO_PROXY (fault 88)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import ProxyAuth, Redirect, Refused
from fallback import sync
from fallback.events import AttemptEnded
from tests.flow.told import only

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.world import World
    from fallback import Manifest, Settings
    from fallback.events import Event

NOWHERE = "gateway.invalid"


def reasons(manifest: Manifest, settings: Settings) -> set[str]:
    """Why each attempt at the gateway failed; and nothing came."""
    events: list[Event] = []
    assert not sync(manifest, settings=settings, observer=events.append).ok
    return {event.reason for event in events if isinstance(event, AttemptEnded) and event.layer == "ipfs"}


@pytest.fixture(name="by_proxy", params=["http", "https"])
def _by_proxy(
    request: pytest.FixtureRequest, world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """One source, of a name that nobody knows, and gateway 1 as the proxy to it."""
    monkeypatch.setenv(f"{request.param}_proxy", world.gateways[0])
    return replace(only(settings, 1), gateways=(f"{request.param}://{NOWHERE}",))


def test_a_proxy_gets_the_request_and_the_name(
    world: World,
    settings: Settings,
    manifest: Manifest,
    all_right: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is the proxy's to resolve."""
    monkeypatch.setenv("http_proxy", world.gateways[0])
    assert sync(manifest, settings=replace(only(settings, 1), gateways=(f"http://{NOWHERE}",))).ok
    assert all_right()
    assert {entry.headers["host"] for entry in world.journal} == {NOWHERE}


@pytest.mark.fault(88)
def test_a_proxy_that_wants_a_password_is_said_to(
    world: World, by_proxy: Settings, manifest: Manifest
) -> None:
    world.add("gateway1", ProxyAuth())
    said = reasons(manifest, by_proxy)
    assert said
    assert all("proxy" in reason and "407" in reason for reason in said), said
    asked = [entry for entry in world.journal if NOWHERE in entry.path + entry.headers.get("host", "")]
    assert 1 <= len(asked) <= by_proxy.jobs, "asked again with the same lack of a password"


@pytest.mark.fault(88)
def test_a_dead_proxy_is_said_to_be(world: World, by_proxy: Settings, manifest: Manifest) -> None:
    world.add("gateway1", Refused())
    said = reasons(manifest, by_proxy)
    assert said
    assert all("proxy" in reason and "refused" in reason for reason in said), said


@pytest.mark.fault(88)
def test_no_proxy_passes_it_by(
    world: World,
    settings: Settings,
    manifest: Manifest,
    all_right: Callable[[], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", world.gateways[0])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert sync(manifest, settings=only(settings, 2)).ok
    assert all_right()
    assert {entry.server for entry in world.journal} == {"gateway2"}


@pytest.mark.fault(68)
@pytest.mark.parametrize("passed_by", [True, False], ids=["direct", "by the proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost"])
def test_a_proxy_does_not_make_redirects_inside_public(
    world: World,
    settings: Settings,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    *,
    passed_by: bool,
) -> None:
    """What a proxy fetches for us is somebody's on the internet, though the proxy itself is in our network."""
    monkeypatch.setenv("http_proxy", world.gateways[0])
    monkeypatch.setenv("no_proxy", host if passed_by else "")
    inside = f"http://{host}:{world.gateways[1].rpartition(':')[2]}"
    world.add("gateway1", Redirect(location=f"{inside}{{path}}"))
    told: list[Event] = []
    asked = replace(only(settings, 1), gateways=(f"http://{NOWHERE}",), hf_endpoint=f"http://{NOWHERE}")
    assert not sync(manifest, settings=asked, observer=told.append).ok
    assert not world.journal.select(server="gateway2")
    assert {entry.headers["host"] for entry in world.journal} == {NOWHERE}
    assert "private address" in str(told)
