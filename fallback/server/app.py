"""The routes: what can be asked under the prefix, and how each answer is made.

    /                              the page
    /sync                          WebSocket: how the runs stand (`feed`)
    /api/models                    GET    each model and file
    /api/models/sync               GET    the runs; POST begins one, or joins it
    /api/models/sync/{run}         GET    a run; DELETE cancels it, resumably
    /api/models/verify             POST   a run that hashes everything again, and mends
    /api/downloads                 GET    each file's way here
    /api/downloads/{id}/resume     POST   a run of that file's model
    /api/sources                   GET    each source's health and why
    /api/metrics/downloads         GET    records; /summary, /health, /history; POST /reset
    /files/sha256/{sha256}         a file for another machine, where files are shared (`files`)
    /metrics /healthz /openapi.json       Prometheus, alive, this as OpenAPI; also without the prefix

What reads the disk does so in a thread. Exclusions: who may ask at all is `guard`'s; of
this package's own files one is served, read once.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from fallback import report
from fallback.errors import (
    ConfigError,
    FallbackError,
    StoppedError,
    StorageError,
    UnknownModelError,
)
from fallback.server import answers, openapi
from fallback.server.body import models_in
from fallback.server.files import PATH
from fallback.server.guard import CSP, Guard, Refusal
from fallback.server.prometheus import CONTENT_TYPE
from fallback.server.runs import TooManyRunsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket

    from fallback.server.feed import Feed
    from fallback.server.files import Files
    from fallback.server.guard import Door
    from fallback.server.prometheus import Prometheus
    from fallback.server.runs import Kind, Runs, SyncRun
    from fallback.settings import Settings

STATUSES: tuple[tuple[type[FallbackError], int], ...] = (
    (UnknownModelError, 404),
    (ConfigError, 409),
    (TooManyRunsError, 429),
    (StoppedError, 503),
    (StorageError, 507),
    (FallbackError, 500),
)
"""The first that an error is gives its status."""


class Api:
    """The handlers, over the runs and the settings of one server."""

    def __init__(self, settings: Settings, runs: Runs, feed: Feed, prometheus: Prometheus) -> None:
        self.settings, self._runs, self._feed, self._prometheus = settings, runs, feed, prometheus
        self._page, self._page_csp = _page()

    def page(self, door: Door) -> Callable[[Request], Awaitable[Response]]:
        """The handler of the page; its script and style are allowed by their hashes.

        Without the token it is a 401 and asks for it: there is nothing secret in it.
        """

        async def answer(request: Request) -> Response:
            headers = {"content-security-policy": self._page_csp}
            if door.token is None or door.admits(request.headers):
                return HTMLResponse(self._page, headers=headers)
            # Not Basic: the browser would ask, and the page could not.
            headers["www-authenticate"] = 'Bearer realm="fallback"'
            return HTMLResponse(self._page.replace("<html", "<html data-locked", 1), 401, headers)

        return answer

    async def watch(self, websocket: WebSocket) -> None:
        """How the runs stand."""
        await self._feed.serve(websocket)

    async def models(self, _request: Request) -> Response:
        """Each model and file."""
        return JSONResponse(await run_in_threadpool(answers.models, self.settings))

    async def runs(self, _request: Request) -> Response:
        """The runs that are remembered."""
        return JSONResponse({"runs": [run.to_json() for run in self._runs.all()]})

    async def sync(self, request: Request) -> Response:
        """Begin a sync, or join it."""
        return await self._start("sync", await _models(request))

    async def verify(self, request: Request) -> Response:
        """Begin a run that hashes everything, or join it."""
        return await self._start("verify", await _models(request))

    async def run(self, request: Request) -> Response:
        """How a run stands."""
        return JSONResponse(await run_in_threadpool(self._run(request).in_full))

    async def cancel(self, request: Request) -> Response:
        """Stop a run; what has come is kept. One that is over is what it is."""
        run = self._run(request)
        run.stop.set()
        return JSONResponse(run.to_json(), 202 if run.ended_at is None else 200)

    async def downloads(self, _request: Request) -> Response:
        """Each file's way here."""
        return JSONResponse({"downloads": await run_in_threadpool(report.downloads, self.settings)})

    async def resume(self, request: Request) -> Response:
        """Begin, or join, a sync of the model that a download belongs to."""
        number = request.path_params["id"]
        rows = await run_in_threadpool(report.downloads, self.settings)
        row = next((row for row in rows if str(row["id"]) == number), None)
        if row is None:
            raise Refusal(404, "there is no such download")
        if row["status"] == "success":
            raise Refusal(409, "this download is complete")
        model = await run_in_threadpool(answers.model_at, self.settings, row["downloadPath"])
        if model is None:
            raise Refusal(409, "the manifest has no such file any more")
        return await self._start("sync", (model,))

    async def sources(self, _request: Request) -> Response:
        """Each source's health and why."""
        return JSONResponse(await run_in_threadpool(answers.sources, self.settings))

    def metrics(self, what: str) -> Callable[[Request], Any]:
        """The handler of one of the original's four endpoints, or of `history`, which is ours."""

        async def answer(_request: Request) -> Response:
            return JSONResponse(await run_in_threadpool(report.metrics_report, self.settings, what))

        return answer

    async def prometheus(self, _request: Request) -> Response:
        """Prometheus' text."""
        text = await run_in_threadpool(self._prometheus.text)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def healthz(self, _request: Request) -> Response:
        """That the server answers, and nothing else."""
        return JSONResponse({"ok": True})

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI document."""
        settings = self.settings
        has_token = settings.serve_token is not None
        return JSONResponse(
            openapi.document(settings.base_url, has_token=has_token, has_files=settings.share)
        )

    async def _start(self, kind: Kind, models: tuple[str, ...]) -> Response:
        run, joined = await run_in_threadpool(self._runs.start, kind, models)
        url = f"{self.settings.base_url}/api/models/sync/{run.id}"
        return JSONResponse(run.to_json() | {"url": url, "is_joined": joined}, 202, {"location": url})

    def _run(self, request: Request) -> SyncRun:
        run = self._runs.get(request.path_params["run"])
        if run is None:
            raise Refusal(404, "there is no such run")
        return run


def application(api: Api, door: Door, files: Files | None = None, *, is_alone: bool = False) -> ASGIApp:
    """The routes behind the door; with `files` those of a peer, which may be all there is (`is_alone`)."""
    shared = [] if files is None else [Route(PATH, files.answer)]
    own = [Route("/healthz", api.healthz), *shared]
    under: list[BaseRoute] = []
    if not is_alone:
        own += [Route("/metrics", api.prometheus), Route("/openapi.json", api.openapi)]
        under += _under(api, door)
    prefix = api.settings.base_url
    routes = [*own, Mount(prefix, routes=[*under, *own])] if prefix else [*under, *own]
    if prefix and not is_alone:
        routes.append(Route("/", functools.partial(_to, f"{prefix}/")))
    refusing = {Refusal: _refused, HTTPException: _not_routed, FallbackError: _failed, Exception: _mistaken}
    app = Starlette(routes=routes, exception_handlers=refusing)
    return Guard(app, door)


def _under(api: Api, door: Door) -> list[BaseRoute]:
    """What is below the prefix alone."""
    return [
        Route("/", api.page(door)),
        WebSocketRoute("/sync", api.watch),
        Route("/api/models", api.models),
        _by_method("/api/models/sync", GET=api.runs, POST=api.sync),
        _by_method("/api/models/sync/{run}", GET=api.run, DELETE=api.cancel),
        Route("/api/models/verify", api.verify, methods=["POST"]),
        Route("/api/downloads", api.downloads),
        Route("/api/downloads/{id}/resume", api.resume, methods=["POST"]),
        Route("/api/sources", api.sources),
        Route("/api/metrics/downloads", api.metrics("records")),
        Route("/api/metrics/downloads/summary", api.metrics("summary")),
        Route("/api/metrics/downloads/health", api.metrics("health")),
        Route("/api/metrics/downloads/history", api.metrics("history")),
        Route("/api/metrics/downloads/reset", api.metrics("reset"), methods=["POST"]),
    ]


def _by_method(path: str, **handlers: Callable[[Request], Awaitable[Response]]) -> Route:
    """One route, so that a 405 names all its methods."""

    async def answer(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(handlers))


async def _to(url: str, _request: Request) -> Response:
    return RedirectResponse(url)


async def _models(request: Request) -> tuple[str, ...]:
    return models_in(await request.body(), request.headers.get("content-type", ""))


async def _refused(_request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return JSONResponse({"error": refusal.error}, refusal.status, dict(refusal.headers))


async def _not_routed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail.lower()}, error.status_code, error.headers)


async def _failed(_request: Request, error: Exception) -> Response:
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    return JSONResponse({"error": str(error)}, status)


async def _mistaken(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "a mistake of this program"}, 500)  # the guard says more, on stderr


def _page() -> tuple[str, str]:
    """The page, and the policy that lets in its own script and style and nothing else."""
    text = resources.files("fallback.server").joinpath("static/index.html").read_text(encoding="utf-8")
    hashes = {
        tag: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
            for part in re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        )
        for tag in ("script", "style")
    }
    may = f"script-src {hashes['script']}; style-src {hashes['style']}; img-src data:; connect-src 'self'"
    return text, f"{CSP}; {may}; require-trusted-types-for 'script'; trusted-types 'none'"
