"""The API as an OpenAPI 3.1 document: every path, what it takes, what it answers.

Exclusions: the WebSocket, which OpenAPI has no word for (its messages: tests/flow/broadcast.schema.json),
and what the guard refuses before a route is looked for, but for what any request may meet (`_ALWAYS`).
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from fallback.server.schemas import SCHEMAS, TEXT, ref

if TYPE_CHECKING:
    from fallback.server.schemas import Json

_ALWAYS = {
    "400": "the request is not HTTP, or its body is not JSON",
    "403": "a page of another origin asked",
    "405": "the path has no such method",
    "408": "the body came too slowly",
    "413": "the body is too large",
    "421": "the Host is none of this server's",
    "431": "the headers are too large",
    "507": "this machine's storage failed",
}
_STARTS = {
    "404": "there is no such model",
    "409": "the manifest cannot be used",
    "415": "the body does not say that it is JSON",
    "422": "the body is not what it should be",
    "429": "too many other runs are under way",
    "503": "the server is stopping",
}
_MANIFEST = {"409": "the manifest cannot be used"}
_RUN_ID = [{"name": "run", "in": "path", "required": True, "schema": TEXT}]
_DOWNLOAD_ID = [{"name": "id", "in": "path", "required": True, "schema": TEXT}]


def document(base_url: str, *, has_token: bool, has_files: bool = False) -> Json:
    """The document of a server with this prefix; `has_token`: requests must bring one; `has_files`: it shares them."""
    paths: dict[str, Json] = {
        "/api/models": {"get": _says("Each model and file", "Models", _MANIFEST)},
        "/api/models/sync": {
            "get": _says("The runs that are remembered", "Runs"),
            "post": _begins("Sync these models, or all; joins the run that does so already"),
        },
        "/api/models/sync/{run}": {
            "parameters": _RUN_ID,
            "get": _says("How a run stands", "WholeRun", {"404": "there is no such run"}),
            "delete": _says(
                "Stop a run; what has come is kept", "Run", {"404": "there is no such run"}, also=("202",)
            ),
        },
        "/api/models/verify": {"post": _begins("Hash everything again, and fetch what is wrong")},
        "/api/downloads": {"get": _linked(_says("Each file's way here, from ipfs_downloads", "Downloads"))},
        "/api/downloads/{id}/resume": {
            "parameters": _DOWNLOAD_ID,
            "post": _begins("Sync the model of this download", body=False) | {"operationId": "resume"},
        },
        "/api/sources": {"get": _says("Each source's health and why", "Sources")},
        "/api/metrics/downloads": {"get": _says("The records of the last hours", "Metrics")},
        "/api/metrics/downloads/summary": {"get": _says("Their summary", "Summary")},
        "/api/metrics/downloads/health": {"get": _says("Each layer's health by them", "Health")},
        "/api/metrics/downloads/history": {"get": _says("The last 24 hours, hour by hour", "History")},
        "/api/metrics/downloads/reset": {"post": _says("Delete them", "Reset")},
        "/metrics": {"get": _text("Metrics of this process, for Prometheus")},
        "/healthz": {"get": _says("That the server answers", "Alive") | {"security": []}},
        "/openapi.json": {"get": _says("This document")},
    }
    if has_files:
        paths["/files/sha256/{sha256}"] = _file()
    for operations in paths.values():
        for method in [name for name in operations if name != "parameters"]:
            if has_token and "security" not in operations[method]:
                operations[method]["responses"]["401"] = _error("a token is needed")
    schemes: Json = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "fallback", "version": metadata.version("fallback")},
        "servers": [{"url": base_url or "/"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS} | ({"securitySchemes": schemes} if has_token else {}),
        **({"security": [{"bearer": []}, {"basic": []}]} if has_token else {}),
    }


def _file() -> Json:
    name = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    conditions = ("If-Match", "If-None-Match")
    return {
        "parameters": [{"name": "sha256", "in": "path", "required": True, "schema": name}],
        "get": _given("A file, or one range of it", ("Range", "If-Range", *conditions), "200", "206"),
        "head": _given("The same without its bytes", conditions, "200"),
    }


def _header(name: str) -> Json:
    return {"name": name, "in": "header", "required": False, "schema": TEXT}


def _given(summary: str, headers: tuple[str, ...], *statuses: str) -> Json:
    """A file, or a part of it."""
    bytes_ = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    said = {name: {"schema": TEXT} for name in ("ETag", "Content-Length", "Content-Range")}
    errors = {"404": "it is not here", "412": "it has another entity tag", "503": "too many other transfers"}
    if "206" in statuses:
        errors["416"] = "no byte of it is asked for"
    answers = {status: {"description": summary, "headers": said, **bytes_} for status in statuses}
    answers["304"] = {"description": "it is what the client has", "headers": {"ETag": {"schema": TEXT}}}
    return {
        "summary": summary,
        "parameters": [_header(name) for name in headers],
        "responses": answers | _errors(errors),
    }


def _says(summary: str, schema: str = "", errors: Json | None = None, *, also: tuple[str, ...] = ()) -> Json:
    content = {"application/json": {"schema": ref(schema) if schema else {"type": "object"}}}
    answers = {status: {"description": summary, "content": content} for status in ("200", *also)}
    return {"summary": summary, "responses": answers | _errors(errors or {})}


def _linked(downloads: Json) -> Json:
    """With how to resume one of them."""
    first = {"operationId": "resume", "parameters": {"id": "$response.body#/downloads/0/id"}}
    downloads["responses"]["200"]["links"] = {"resume": first}
    return downloads


def _text(summary: str) -> Json:
    answer = {"description": summary, "content": {"text/plain": {"schema": TEXT}}}
    return {"summary": summary, "responses": {"200": answer} | _errors({})}


def _begins(summary: str, *, body: bool = True) -> Json:
    answer = {
        "description": "the run; look at its url",
        "headers": {"Location": {"schema": TEXT}},
        "content": {"application/json": {"schema": ref("Started")}},
    }
    asked = {"required": False, "content": {"application/json": {"schema": ref("Asked")}}}
    return {
        "summary": summary,
        **({"requestBody": asked} if body else {}),
        "responses": {"202": answer} | _errors(_STARTS),
    }


def _errors(more: Json) -> Json:
    return {status: _error(what) for status, what in (_ALWAYS | more).items()}


def _error(what: str) -> Json:
    return {"description": what, "content": {"application/json": {"schema": ref("Error")}}}
