"""Fixtures for other projects' tests.

With `pytest_plugins = ["fakes.plugin"]` in its conftest.py another project can write

    @pytest.mark.fake_world(scenario="gateway-outage")
    def test_x(fake_world): ...

`fake_world` is a running `fakes.world.World`, small unless told otherwise, made for the test and gone after it. The
mark's arguments are World's own. pytest comes with whoever tests; nothing else of the fakes needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers", "fake_world(**options): what the world of this test is like (see fakes.world)"
    )


@pytest.fixture
def fake_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of its own for this test: four gateways, a Hub and its CDN, on free ports of loopback."""
    mark = request.node.get_closest_marker("fake_world")
    options: dict[str, Any] = {"size": "small", **(mark.kwargs if mark else {})}
    with World(**options) as world:
        yield world
