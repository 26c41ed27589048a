"""The clients' network, where it can be had (Linux, as root): loopback and nothing else."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.clients.netns import loopback_alone


def test_nothing_leaves_and_all_is_as_before_afterwards(alone: bool) -> None:  # noqa: FBT001  # a fixture's value
    if not alone:
        pytest.skip("no network namespace to be had")
    with loopback_alone() as again:
        assert again
        with socket.socket() as sock:
            assert sock.connect_ex(("192.0.2.1", 80)) == errno.ENETUNREACH
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
    # The namespace of before has its own loopback.
    with socket.create_server(("127.0.0.1", port)):
        pass
