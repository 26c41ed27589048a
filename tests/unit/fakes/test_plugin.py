"""The fixtures, as another project uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]


def test_another_project_s_tests(pytester: pytest.Pytester) -> None:
    """A world a test: small, healthy and whole, unless its mark says otherwise."""
    pytester.makeconftest('pytest_plugins = ["fakes.plugin"]')
    pytester.makepyfile(
        """
        import pytest, requests

        def ask(world, gateway):
            cid = world.manifest()["whisper-base"]["ipfs"]["cid"]
            return requests.get(f"{world.gateways[gateway]}/ipfs/{cid}/config.json", timeout=5).status_code

        def test_healthy(fake_world):
            assert ask(fake_world, 0) == 200
            assert len(fake_world.journal) == 1

        @pytest.mark.fake_world(scenario="gateway-outage", gateways=4)
        def test_outage(fake_world):
            assert [ask(fake_world, 0), ask(fake_world, 3)] == [404, 200]

        @pytest.mark.fake_world(scenario="nope")
        def test_bad(fake_world):
            pass
        """
    )
    outcome = pytester.runpytest_inprocess("--strict-markers", "-p", "no:cacheprovider", "-n0")
    outcome.assert_outcomes(passed=2, errors=1)
    outcome.stdout.fnmatch_lines(["*no scenario is called 'nope'*"])
