"""The control API of a world, for those who drive it from another process. It is no fake: it is never spoiled or kept.

    GET    /                                a page for people: servers, rules, the end of the journal
    GET    /faults                          the rules in force by their ids, each a fault and its aim
    POST   /faults                          put one more into force: 201 and {"id": ...}
    DELETE /faults/{id}                     and out of it
    GET    /journal?server=&path=&method=   the entries, in order of arrival (globs as in `Journal.select`)
    DELETE /journal                         forget them
    POST   /commits                         give a repository of the Hub a new commit: {"repo", "type": "model" or "dataset",
                                            "files": {path: size in bytes, or null to take it away}}: 201 and {"commit": ...}
    DELETE /blocks                          the gateways have nothing until Pinata or Kubo is sent it
    GET    /scenario                        the rules in force
    PUT    /scenario                        replace them: {"name", "rules"}, or {"name"} of one that ships
Bad input gets a 400 and {"error": "..."}.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from fakes.rules import rule_from_dict
from fakes.scenarios import scenario_from_dict
from fakes.status_page import page

if TYPE_CHECKING:
    from starlette.requests import Request

    from fakes.catalogue import RepoType
    from fakes.world import World


def control(world: World) -> Starlette:
    """The application that drives this world."""
    api = _Control(world)
    return Starlette(
        routes=[
            Route("/", api.page, methods=["GET"]),
            Route("/faults", api.read_rules, methods=["GET"]),
            Route("/faults", api.add_rule, methods=["POST"]),
            Route("/faults/{id:int}", api.remove_rule, methods=["DELETE"]),
            Route("/journal", api.read_journal, methods=["GET"]),
            Route("/journal", api.clear_journal, methods=["DELETE"]),
            Route("/commits", api.push, methods=["POST"]),
            Route("/blocks", api.clear_blocks, methods=["DELETE"]),
            Route("/scenario", api.read_scenario, methods=["GET"]),
            Route("/scenario", api.play_scenario, methods=["PUT"]),
        ]
    )


class _Control:
    """The endpoints. What waits for the loop runs in a thread, since these run on the loop themselves."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def page(self, _request: Request) -> Response:
        entries = await asyncio.to_thread(self._world.journal.entries)
        return HTMLResponse(page(self._world.urls, self._world.scenario().name, self._world.rules(), entries))

    async def read_rules(self, _request: Request) -> Response:
        return JSONResponse({number: rule.to_dict() for number, rule in self._world.rules().items()})

    async def add_rule(self, request: Request) -> Response:
        try:
            rule = rule_from_dict(json.loads(await request.body()))
            number = await asyncio.to_thread(self._world.add_rule, rule)
        except ValueError as error:  # as below
            return _refused(str(error))
        return JSONResponse({"id": number}, status_code=201)

    async def remove_rule(self, request: Request) -> Response:
        number = request.path_params["id"]
        try:
            await asyncio.to_thread(self._world.remove, number)
        except KeyError:
            return _refused(f"no rule has the id {number}", 404)
        return Response(status_code=204)

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

    async def push(self, request: Request) -> Response:
        try:
            repo, repo_type, files = _commit(json.loads(await request.body()))
            pushed = await asyncio.to_thread(self._world.push, repo, files, repo_type=repo_type)
        except ValueError as error:  # as above
            return _refused(str(error))
        return JSONResponse({"commit": pushed.commit}, status_code=201)

    async def clear_blocks(self, _request: Request) -> Response:
        self._world.blocks.clear()
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


def _commit(document: object) -> tuple[str, RepoType, dict[str, int | None]]:
    """The repository, its type, and the sizes of its files; ValueError if it is not as it should be."""
    match document:
        case {"repo": str(repo), "files": dict(files), **rest} if set(rest) <= {"type"}:
            kind = rest.get("type", "model")
            sizes = [size for size in files.values() if size is not None]
            if kind in {"model", "dataset", "space"} and all(type(size) is int for size in sizes):
                return repo, kind, files
    raise ValueError(
        'a commit is {"repo": name, "type": "model" or "dataset", "files": {path: size in bytes or null}}'
    )


def _refused(why: str, status: int = 400) -> Response:
    return JSONResponse({"error": why}, status_code=status)
