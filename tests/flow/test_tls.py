"""Sources that speak TLS: believed if their certificate is, left for good if not, and never asked in the clear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.faults import Expired, HandshakeDrip, Redirect, SelfSigned, TlsEof, WrongHost
from fakes.world import World
from fallback import sync
from fallback.events import AttemptEnded
from tests.flow.conftest import MODELS
from tests.flow.told import ONNX, outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.faults import Fault
    from fallback import Manifest, Settings
    from fallback.events import Event


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    with World(MODELS, size="full", https=True) as world:
        yield world


@pytest.fixture(name="trusting")
def _trusting(world: World, settings: Settings) -> Settings:
    return replace(settings, ca_bundle=world.ca)


def test_over_tls_all_is_as_without(
    world: World, trusting: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    assert sync(manifest, settings=trusting).ok
    assert all_right()
    assert {entry.server for entry in world.journal} == {"gateway1"}


def test_the_hub_s_redirect_too(
    world: World, trusting: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    assert sync(manifest, settings=replace(trusting, preferred_layer="huggingface")).ok
    assert all_right()
    assert {entry.server for entry in world.journal} == {"hub", "cdn"}


def test_without_its_ca_no_server_is_believed(world: World, settings: Settings, manifest: Manifest) -> None:
    """Not one request is made, and the reason is said."""
    events: list[Event] = []
    settings = replace(settings, connect_timeout_s=10)  # a handshake is work, and the machine may be busy
    assert not sync(manifest, settings=settings, observer=events.append).ok
    reasons = [event.reason for event in events if isinstance(event, AttemptEnded)]
    assert reasons
    assert all("certificate" in reason for reason in reasons), reasons
    assert len(world.journal) == 0


@pytest.mark.fault(9, 10, 11)
@pytest.mark.parametrize(
    "fault",
    [SelfSigned(), SelfSigned(kind="unknown-ca"), WrongHost(), WrongHost(kind="only-common-name"), Expired(), Expired(kind="not-yet")],
    ids=str,
)  # fmt: skip
def test_a_certificate_that_proves_nothing_ends_that_source(
    world: World, trusting: Settings, manifest: Manifest, fault: Fault, all_right: Callable[[], bool]
) -> None:
    """For good: one handshake a worker at most, and not one request."""
    world.add("gateway1", fault)
    events: list[Event] = []
    assert sync(manifest, settings=trusting, observer=events.append).ok
    assert all_right()
    at_first = [entry for entry in world.journal if entry.server == "gateway1"]
    assert 1 <= len(at_first) <= trusting.jobs
    assert {(entry.method, entry.faults) for entry in at_first} == {("", (fault.name,))}
    assert "unreachable" in {event.outcome for event in events if isinstance(event, AttemptEnded)}


@pytest.mark.fault(12)
@pytest.mark.parametrize("framing", ["length", "close"])
def test_an_end_without_a_goodbye_is_a_cut(
    world: World, trusting: Settings, manifest: Manifest, framing: str, all_right: Callable[[], bool]
) -> None:
    world.add("gateway1", TlsEof(offset=1_500_000, framing=framing), path=ONNX, first=1)  # type: ignore[arg-type]
    events: list[Event] = []
    assert sync(manifest, settings=trusting, observer=events.append).ok
    assert all_right()
    assert "interrupted" in outcomes(events)
    ranges = [entry.range for entry in world.journal if entry.path.endswith("onnx")]
    assert ranges == [None, "bytes=1500000-"]


@pytest.mark.fault(13)
def test_a_handshake_byte_by_byte_is_part_of_connecting(
    world: World, trusting: Settings, manifest: Manifest, all_right: Callable[[], bool]
) -> None:
    """Something always comes; connect_timeout_s ends it nevertheless."""
    world.add("gateway1", HandshakeDrip(interval_s=0.05))
    summary = sync(manifest, settings=trusting)
    assert summary.ok
    assert all_right()
    assert summary.seconds < 2 * trusting.connect_timeout_s + 2


@pytest.mark.fault(14)
def test_https_never_leads_to_http(world: World, trusting: Settings, manifest: Manifest) -> None:
    """The file is there, right, and would be served."""
    with World(MODELS, size="full", gateways=1) as plain:
        world.add("gateway1", Redirect(location=plain.gateways[0] + "{path}"))
        alone = replace(trusting, gateways=tuple(world.gateways[:1]), hf_endpoint="https://127.0.0.1:9")
        events: list[Event] = []
        assert not sync(manifest, settings=alone, observer=events.append).ok
        assert len(plain.journal) == 0
    assert "malformed" in outcomes(events)
