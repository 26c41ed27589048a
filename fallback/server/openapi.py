"""The API as an OpenAPI 3.1 document: every path, what it takes, what it answers.

Exclusions: the WebSocket, which OpenAPI has no word for (its messages: tests/flow/broadcast.schema.json),
and what the guard refuses before a route is looked for, but for what any request may meet (`_ALWAYS`).
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from fallback.server.body import MODELS, NAME_CHARS

Json = dict[str, Any]


def _object(required: Json, **optional: Json) -> Json:
    return {"type": "object", "properties": required | optional, "required": list(required)}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _maybe(kind: str) -> Json:
    return {"type": [kind, "null"]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT, WHOLE, NUMBER, FLAG = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))
TIME = {"type": "string", "format": "date-time"}
MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}

_RUN: Json = {
    "run": TEXT,
    "kind": {"enum": ["sync", "verify"]},
    "models": _list(TEXT),
    "status": {"enum": ["running", "stopping", "completed", "error", "paused"]},
    "started_at": TIME,
    "ended_at": MAYBE_TIME,
    "joined": WHOLE,
    "error": _maybe("string"),
}
_COUNTS = _object({"success": WHOLE, "error": WHOLE, "avg_latency": NUMBER})
_COUNTS_BY_HOUR = _object({"success": WHOLE, "error": WHOLE, "avg_latency": NUMBER, "hours": _list(_COUNTS)})
_LAYER = _object(
    {
        "status": {"enum": ["unknown", "healthy", "degraded"]},
        "success_rate": NUMBER,
        "avg_latency_ms": NUMBER,
    }
)
_FILE = _object(
    {
        "path": TEXT,
        "size": _maybe("integer"),
        "state": {"enum": ["present", "unverified", "missing"]},
        "verified_at": MAYBE_TIME,
        "layer": TEXT,
        "source": TEXT,
    }
)
SCHEMAS: dict[str, Json] = {
    "Error": _object({"error": TEXT}),
    "Record": _object(
        {
            "timestamp": TIME,
            "modelType": TEXT,
            "layer": _maybe("string"),
            "gateway": _maybe("string"),
            "status": {"enum": ["hit", "success", "error", "all_layers_exhausted"]},
            "latency_ms": NUMBER,
            "bytes_downloaded": WHOLE,
            "bytes_total": _maybe("integer"),
            "error_type": _maybe("string"),
            "error_message": _maybe("string"),
        }
    ),
    "Metrics": _object({"metrics": _list(_ref("Record"))}),
    "Summary": _object(
        {
            "total": WHOLE,
            "cache_hits": WHOLE,
            "ipfs": _COUNTS,
            "huggingface": _COUNTS,
            "gateways": {"type": "object", "additionalProperties": _COUNTS},
        }
    ),
    "Health": _object({"cache": _object({"hit_rate": NUMBER}), "ipfs": _LAYER, "huggingface": _LAYER}),
    "History": _object(
        {
            "hours": _list(TIME),
            "layers": {"type": "object", "additionalProperties": _COUNTS_BY_HOUR},
            "errors": _list(_ref("Record")),
        }
    ),
    "Reset": _object({"ok": FLAG, "message": TEXT}),
    "Asked": {
        "type": "object",
        "properties": {
            "models": {
                "type": "array",
                "maxItems": MODELS,
                "items": {"type": "string", "minLength": 1, "maxLength": NAME_CHARS},
            }
        },
        "additionalProperties": False,
    },
    "Started": _object({**_RUN, "url": TEXT, "is_joined": FLAG}),
    "Run": _object(_RUN),
    "Runs": _object({"runs": _list(_ref("Run"))}),
    "WholeRun": _object(
        {
            **_RUN,
            "progress": {"type": "object"},
            "files": _list({"type": "object"}),
            "summary": _maybe("object"),
        }
    ),
    "Models": _object(
        {
            "manifest": TEXT,
            "models_dir": TEXT,
            "last_error": {"anyOf": [_ref("Record"), {"type": "null"}]},
            "models": _list(
                _object(
                    {
                        "name": TEXT,
                        "type": TEXT,
                        "model_id": TEXT,
                        "dir": TEXT,
                        "version": _object(
                            {
                                "state": {"enum": ["current", "newer", "unknown", "unpinned", "untracked"]},
                                "said": TEXT,
                                "since": MAYBE_TIME,
                                "commit": _maybe("string"),
                            }
                        ),
                        "files": _list(_FILE),
                    }
                )
            ),
        }
    ),
    "Downloads": _object(
        {
            "downloads": _list(
                _object(
                    {
                        "id": WHOLE,
                        "downloadPath": TEXT,
                        "status": {
                            "enum": ["pending", "in_progress", "resuming", "paused", "success", "failed"]
                        },
                        "downloaded_bytes": WHOLE,
                        "total_bytes": _maybe("integer"),
                        "error_message": _maybe("string"),
                        "attempts": WHOLE,
                        "currentSize": WHOLE,
                    }
                )
            )
        }
    ),
    "Sources": _object(
        {
            "sources": _list(
                _object(
                    {
                        "layer": {"enum": ["ipfs", "huggingface"]},
                        "source": TEXT,
                        "health": TEXT,
                        "state": {"enum": ["up", "cooling", "retired"]},
                        "reason": TEXT,
                        "attempts": _COUNTS,
                    }
                )
            )
        }
    ),
    "Alive": _object({"ok": FLAG}),
}
"""More keys may be added to each."""

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


def document(base_url: str, *, has_token: bool) -> Json:
    """The document of a server with this prefix; `has_token`: requests must bring one."""
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


def _says(summary: str, schema: str = "", errors: Json | None = None, *, also: tuple[str, ...] = ()) -> Json:
    content = {"application/json": {"schema": _ref(schema) if schema else {"type": "object"}}}
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
        "content": {"application/json": {"schema": _ref("Started")}},
    }
    asked = {"required": False, "content": {"application/json": {"schema": _ref("Asked")}}}
    return {
        "summary": summary,
        **({"requestBody": asked} if body else {}),
        "responses": {"202": answer} | _errors(_STARTS),
    }


def _errors(more: Json) -> Json:
    return {status: _error(what) for status, what in (_ALWAYS | more).items()}


def _error(what: str) -> Json:
    return {"description": what, "content": {"application/json": {"schema": _ref("Error")}}}
