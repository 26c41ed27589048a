"""The shapes of the API's bodies, as JSON Schema. More keys may be added to each.

Exclusions: which of them a path takes or answers is `openapi`'s.
"""

from __future__ import annotations

from typing import Any

from fallback.server.body import MODELS, NAME_CHARS

Json = dict[str, Any]


def _object(required: Json, **optional: Json) -> Json:
    return {"type": "object", "properties": required | optional, "required": list(required)}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _maybe(kind: str) -> Json:
    return {"type": [kind, "null"]}


def ref(name: str) -> Json:
    """Where the schema of this name stands in the document."""
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
    "Metrics": _object({"metrics": _list(ref("Record"))}),
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
            "errors": _list(ref("Record")),
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
    "Runs": _object({"runs": _list(ref("Run"))}),
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
            "last_error": {"anyOf": [ref("Record"), {"type": "null"}]},
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
                        "layer": {"enum": ["peer", "mirror", "ipfs", "huggingface", "bundle"]},
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
