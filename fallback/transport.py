"""One HTTP request by requests and urllib3, and the one border where their errors become ours.

`Transport.open` sends a `Request`, follows redirects by our rules, and gives an `HttpAnswer`: its head,
and its body in pieces. Whatever goes wrong leaves as `Failed` with an outcome. Exclusions: it makes
no second attempt (`plan`), except on a kept connection that the server had closed meanwhile
(fault 8), and does not know what the bytes should be (`verify`).
"""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from fallback.answer import DRAIN
from fallback.connect import WatchedAdapter, under
from fallback.errors import StoppedError
from fallback.exchange import Head, is_public, origin
from fallback.foreign import FOREIGN, root_of, translate
from fallback.http_answer import HttpAnswer
from fallback.outcome import Failed, Malformed
from fallback.trail import End, Trail, is_over
from fallback.watchdog import WATCHDOG, Limits, killed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fallback.exchange import Request, Upload
    from fallback.watchdog import Watch

AGENT = "fallback"
MAX_REDIRECTS = 10


class _Session(requests.Session):
    """requests' session, that looks at no redirect: it would read a redirect's body, whatever its size (P3)."""

    def resolve_redirects(self, *_args: Any, **_kwargs: Any) -> Iterator[Any]:
        """None: `Transport.open` follows them."""
        return iter(())


class Transport:
    """Connections kept for a run, shared by its workers.

    A public host's redirects are followed to addresses that `is_public` accepts, and to no others
    (fault 68: a page of somebody else's must not make us ask this machine's network).
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        timeout_s: float,
        connections: int,
        stop: Callable[[], bool],
        ca_bundle: Path | None = None,
        is_public: Callable[[str], bool] = is_public,
    ) -> None:
        self._connect_s, self._quiet_s, self._stop = connect_timeout_s, timeout_s, stop
        self._is_public = is_public
        self._trail = Trail()
        self._session = _Session()
        environment = self._session.merge_environment_settings("", {}, None, None, None)
        self._verify: bool | str = str(ca_bundle) if ca_bundle else environment["verify"] or True
        # It would look through the whole environment twice a request; what it looks for is had once a host.
        self._session.trust_env = False
        self._proxies: dict[tuple[str, str, int | None], dict[str, str]] = {}
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        self._session.headers["User-Agent"] = AGENT
        # Credentials are the request's own: a function that adds none keeps .netrc from being read.
        self._session.auth = lambda prepared: prepared
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter(pool_connections=16, pool_maxsize=connections))

    def open(
        self,
        request: Request,
        *,
        min_rate_bytes_s: float,
        ends_in_s: float | None = None,
        is_shut: Callable[[], bool] = lambda: False,
        enough: Callable[[Head], bool] = lambda _head: False,
    ) -> HttpAnswer:
        """Send `request` and those its redirects lead to; whatever happens it ends in `ends_in_s`.

        A part of a file (`stop`) is asked for where the last redirects led, as long as it is had there.
        `is_shut`: nobody waits for the answer any more; it ends then. `enough`: whether a redirect itself says what is asked for, and need not be followed.

        Raises:
            Failed: no answer came, or its redirects are refused.
            StoppedError: `stop` says so meanwhile.
        """
        ends_at = None if ends_in_s is None else time.monotonic() + ends_in_s
        limits = Limits(
            self._connect_s, self._quiet_s, min_rate_bytes_s, ends_at, lambda: self._stop() or is_shut()
        )
        answer = self._at_the_end(request, limits)
        if answer is not None:
            return answer
        asked = request.url
        for hop in range(MAX_REDIRECTS + 1):
            answer = self._exchange(request.url, functools.partial(self._get, request), limits)
            if answer.head.location is None or request.is_peer or enough(answer.head):
                if hop and answer.head.status in {200, 206}:
                    self._trail.led(asked, End(request.url, limits.permitted))
                return answer
            if self._is_public(answer.peer):
                limits = replace(limits, permitted=self._is_public)
            with answer:
                request = request.redirected(answer.head.location)
                if (answer.head.content_length or DRAIN) < DRAIN:
                    for _piece in answer.pieces(DRAIN):
                        pass
        raise Failed(Malformed(f"more than {MAX_REDIRECTS} redirects"))

    def _at_the_end(self, request: Request, limits: Limits) -> HttpAnswer | None:
        """A part of a file from where one was had a moment ago; None: it was had nowhere else, or is not any more."""
        end = self._trail.end(request.url) if request.stop is not None else None
        if end is None:
            return None
        there = request.redirected(end.url)
        answer = self._exchange(
            end.url, functools.partial(self._get, there), replace(limits, permitted=end.permitted)
        )
        if not is_over(answer.head):
            return answer
        answer.close()
        self._trail.forget(request.url)
        return None

    def send(
        self,
        upload: Upload,
        sent: Callable[[int], None],
        *,
        min_rate_bytes_s: float,
        answer_s: float,
        ends_in_s: float | None = None,
    ) -> HttpAnswer:
        """Send `upload`; `sent` is told how many bytes of it have gone, and the answer has `answer_s` to begin.

        No redirect is followed: a key goes to nobody else, and neither does what it pays for.

        Raises:
            Failed: it was not taken, or no answer came.
            StoppedError: `stop` says so meanwhile.
        """
        ends_at = None if ends_in_s is None else time.monotonic() + ends_in_s
        limits = Limits(self._connect_s, self._quiet_s, min_rate_bytes_s, ends_at, self._stop)

        def post(watch: Watch) -> requests.Response:
            body = _Sending(upload, watch, sent, replace(limits, quiet_s=answer_s))
            given = {"Accept-Encoding": "identity", **upload.headers}
            return self._session.post(
                upload.url,
                data=body,  # whatever has a length and can be iterated over
                headers=given,
                stream=True,
                allow_redirects=False,
                timeout=None,
                verify=self._verify,
                proxies=self._proxies_for(upload.url),
            )

        answer = self._exchange(upload.url, post, limits)
        if answer.head.location is not None:
            answer.close()
            raise Failed(Malformed("a redirect, which an upload does not follow"))
        return answer

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def _exchange(self, url: str, ask: Callable[[Watch], requests.Response], limits: Limits) -> HttpAnswer:
        while True:
            watch = WATCHDOG.watch(limits, urlsplit(url).hostname or "")
            try:
                return _answered(url, ask, watch)
            except BaseException as error:
                WATCHDOG.release(watch)
                if self._stop():
                    raise StoppedError("stopped") from error
                if not isinstance(error, FOREIGN):
                    raise
                if watch.reused and not watch.killed and isinstance(root_of(error), ConnectionError):
                    continue  # each turn uses up a kept connection; a fresh one is not `reused`
                raise Failed(translate(error, watch)) from error

    def _get(self, request: Request, _watch: Watch) -> requests.Response:
        # By hand: merging it with a session that has no cookies, hooks or parameters takes as long as the answer to it.
        prepared = requests.PreparedRequest()
        prepared.prepare_method(request.method)
        prepared.prepare_url(request.url, None)
        prepared.headers = CaseInsensitiveDict({"User-Agent": AGENT, **request.headers()})
        adapter = self._session.get_adapter(prepared.url or "")
        proxies = {} if request.is_peer else self._proxies_for(request.url)
        return adapter.send(prepared, stream=True, timeout=None, verify=self._verify, proxies=proxies)

    def _proxies_for(self, url: str) -> dict[str, str]:
        """Those of the environment, but for hosts of NO_PROXY."""
        at = origin(url)
        if at not in self._proxies:
            self._proxies[at] = get_environ_proxies(url)
        return self._proxies[at]


class _Sending:
    """An upload's body as requests sends it: under watch as what is received is, a piece at a time."""

    def __init__(self, upload: Upload, watch: Watch, sent: Callable[[int], None], after: Limits) -> None:
        self._upload, self._watch, self._sent, self._after = upload, watch, sent, after

    def __len__(self) -> int:
        return self._upload.size

    def __iter__(self) -> Iterator[bytes]:
        gone = 0
        self._watch.enter("body")
        for piece in self._upload.body():
            self._watch.reading()
            yield piece
            self._watch.received(len(piece))
            gone += len(piece)
            self._sent(gone)
        self._watch.limits = self._after  # from now on it is the server that works


def _answered(url: str, ask: Callable[[Watch], requests.Response], watch: Watch) -> HttpAnswer:
    with under(watch):
        response = ask(watch)
    headers = {name.lower(): value for name, value in response.headers.items()}
    if watch.killed:  # where a head was cut off looks like its end
        response.close()
        raise Failed(killed(watch))
    return HttpAnswer(Head(response.status_code, headers, url), response, watch)
