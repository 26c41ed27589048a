"""What the errors of requests, urllib3 and http.client mean: the one border where they become outcomes.

They are told apart by type and by what the exchange was at, never by their text; nor is their text passed
on, but for the system's own: it may quote what a server wrote (which may be a token it was sent), or a
signed URL (P7). Exclusions: nothing is sent or received here (`transport`).
"""

from __future__ import annotations

import http.client
import ssl
from typing import TYPE_CHECKING

import requests
import urllib3
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from fallback.connect import FloodError
from fallback.outcome import Interrupted, Malformed, Unreachable
from fallback.watchdog import killed

if TYPE_CHECKING:
    from fallback.outcome import Outcome
    from fallback.watchdog import Watch

FOREIGN = (RequestException, HTTPError, http.client.HTTPException, OSError, ValueError)
"""Everything requests, urllib3 and http.client raise; a test asserts that none is missing."""


def translate(error: BaseException, watch: Watch) -> Outcome:
    """What an error of the libraries below means; by its type, never by its text."""
    if watch.killed:
        return killed(watch)
    root = root_of(error)
    reason = _said(root)
    if isinstance(root, ssl.SSLCertVerificationError):
        return Unreachable(f"the certificate is not accepted: {root.verify_message}", lasting=True)
    if isinstance(error, requests.exceptions.ProxyError) or isinstance(root, urllib3.exceptions.ProxyError):
        return Unreachable(f"the proxy does not work: {reason}")
    if watch.phase == "connect":
        return Malformed(reason) if isinstance(root, ValueError) else Unreachable(reason)
    # RemoteDisconnected is a BadStatusLine too: a connection that ended comes first.
    if isinstance(root, OSError | http.client.IncompleteRead | urllib3.exceptions.IncompleteRead):
        return Interrupted(f"the connection broke off ({reason})")
    if isinstance(root, FloodError):
        return Malformed("far more came than its body: chunk extensions, or headers behind it, without end")
    if isinstance(root, http.client.HTTPException | HTTPError | ValueError):
        return Malformed(f"not HTTP as it should be ({reason})")
    return Interrupted(reason)


def _said(error: BaseException) -> str:
    """The error's kind, and what the system says of it."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {strerror}" if strerror else type(error).__name__


def root_of(error: BaseException) -> BaseException:
    """The innermost error: requests and urllib3 wrap one another in `reason`, `args` and causes."""
    seen = [error]
    while True:
        inner = getattr(seen[-1], "reason", None)
        nested = [
            arg for arg in (inner, *seen[-1].args) if isinstance(arg, BaseException) and arg not in seen
        ]
        if not nested:
            return seen[-1]
        seen.append(nested[0])
