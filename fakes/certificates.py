"""A CA made for one world and thrown away with it, and what its servers show of it: good certificates and bad ones.

Made by trustme, a few milliseconds each, when the first connection wants one. `Certificates.ca` is the one thing a
client is given. Nothing here speaks TLS (`fakes.tls`), and no private key leaves the process but for the moment in
which OpenSSL reads it from a file.
"""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from typing import TYPE_CHECKING, Literal

import trustme

from fakes.port import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

Shown = Literal["good", "self-signed", "unknown-ca", "wrong-host", "only-common-name", "expired", "not-yet"]
_NAMES = (LOOPBACK, "localhost")
_ELSEWHERE = "other.example"
_DAY = dt.timedelta(days=1)


class Certificates:
    """Server contexts for 127.0.0.1 and localhost; the CA's certificate is written into `folder` as PEM."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA(organization_name="a throw-away CA of the fakes")
        self._contexts: dict[Shown, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def context(self, shown: Shown = "good") -> ssl.SSLContext:
        """What a server needs to show such a certificate; the same object each time."""
        with self._lock:
            if shown not in self._contexts:
                self._contexts[shown] = _server(self._issue(shown))
            return self._contexts[shown]

    def _issue(self, shown: Shown) -> trustme.LeafCert:
        now = dt.datetime.now(dt.UTC)
        match shown:
            case "good":
                return self._authority.issue_cert(*_NAMES)
            case "self-signed":
                # A CA's own certificate is the one that trustme signs by itself; no chain stands behind it.
                alone = trustme.CA()
                return trustme.LeafCert(alone.private_key_pem.bytes(), alone.cert_pem.bytes(), [])
            case "unknown-ca":
                return trustme.CA().issue_cert(*_NAMES)
            case "wrong-host":
                return self._authority.issue_cert(_ELSEWHERE)
            case "only-common-name":
                return self._authority.issue_cert(_ELSEWHERE, common_name=LOOPBACK)
            case "expired":
                return self._authority.issue_cert(*_NAMES, not_before=now - 2 * _DAY, not_after=now - _DAY)
            case "not-yet":
                return self._authority.issue_cert(*_NAMES, not_before=now + _DAY, not_after=now + 2 * _DAY)


def _server(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return context
