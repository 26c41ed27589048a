"""The control API of a world, for those who drive it from another process. It is no fake: it is never spoiled or kept.

    GET    /journal?server=&path=&method=   the entries, in order of arrival (globs as in `Journal.select`)
    DELETE /journal                         forget them
    GET    /scenario                        the rules in force
    PUT    /scenario                        replace them: {"name", "rules"}, or {"name"} of one that ships
Bad input gets a 400 and {"error": "..."}.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fakes.scenarios import scenario_from_dict

if TYPE_CHECKING:
    from starlette.requests import Request

    from fakes.world import World


def control(world: World) -> Starlette:
    """The application that drives this world."""
    api = _Control(world)
    return Starlette(
        routes=[
            Route("/journal", api.read_journal, methods=["GET"]),
            Route("/journal", api.clear_journal, methods=["DELETE"]),
            Route("/scenario", api.read_scenario, methods=["GET"]),
            Route("/scenario", api.play_scenario, methods=["PUT"]),
        ]
    )


class _Control:
    """The endpoints. What waits for the loop runs in a thread, since these run on the loop themselves."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read_journal(self, request: Request) -> Response:
        known = {"server", "path", "method"}
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            return _refused(
                f"/journal has no parameter {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        entries = await asyncio.to_thread(self._world.journal.select, **dict(request.query_params))
        return JSONResponse([entry.to_dict() for entry in entries])

    async def clear_journal(self, _request: Request) -> Response:
        await asyncio.to_thread(self._world.journal.clear)
        return Response(status_code=204)

    async def read_scenario(self, _request: Request) -> Response:
        return JSONResponse(self._world.scenario().to_dict())

    async def play_scenario(self, request: Request) -> Response:
        try:
            scenario = scenario_from_dict(json.loads(await request.body()))
            await asyncio.to_thread(self._world.play, scenario)
        except ValueError as error:  # of JSON, of Unicode, of a scenario, of what this world can play
            return _refused(str(error))
        return JSONResponse(scenario.to_dict())


def _refused(why: str) -> Response:
    return JSONResponse({"error": why}, status_code=400)
