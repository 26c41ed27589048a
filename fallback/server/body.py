"""What a request's body says: nothing, or JSON that names models.

Exclusions: its size is `guard`'s, and whether there are such models is `runs`' to say.
"""

from __future__ import annotations

import json
from typing import Any

from fallback.server.guard import Refusal

MODELS = 100
NAME_CHARS = 200


def models_in(body: bytes, content_type: str) -> tuple[str, ...]:
    """The names in `{"models": [...]}`; none for no body, and for `{}`.

    Raises:
        Refusal: 415 if it does not say it is JSON, 400 if it is none, 422 if it says anything else.
    """
    if not body:
        return ()
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "a body must be application/json")
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(said, dict) or set(said) - {"models"}:
        raise Refusal(422, 'the body is not of the form {"models": ["name", …]}')
    models = said.get("models", [])
    if not isinstance(models, list) or len(models) > MODELS:
        raise Refusal(422, f"models: not a list of at most {MODELS} names")
    for number, name in enumerate(models):
        if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS:
            raise Refusal(422, f"models[{number}]: not a name of 1 to {NAME_CHARS} characters")
    return tuple(models)
