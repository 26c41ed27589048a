"""The part of JSON Schema that this suite's schemas use, so that nothing needs to be installed for it.

Exclusions: `$ref`, `oneOf` and whatever else is not in `_RULES`: a schema that uses more is a KeyError, not a silent yes.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_ABOUT = frozenset({"$schema", "$id", "title", "description"})


def problems_of(name: str, document: object) -> list[str]:
    """What is wrong with the document by `<name>.schema.json`; empty if nothing is."""
    return list(_check(read(name), document, name))


@functools.cache
def read(name: str) -> dict[str, Any]:
    """The schema of that name, beside this module."""
    schema: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.schema.json").read_text())
    return schema


def _check(schema: dict[str, Any], value: object, where: str) -> Iterable[str]:
    if "type" in schema and not _is_a(value, schema["type"]):
        yield f"{where} is not of type {schema['type']}: {value!r}"
        return
    for rule, wanted in schema.items():
        if rule not in _ABOUT and rule != "type":
            yield from _RULES[rule](wanted, value, where)


def _is_a(value: object, types: str | list[str]) -> bool:
    wanted = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in wanted  # JSON's true is no number, whatever Python says
    return any(isinstance(value, _TYPES[name]) for name in wanted)


def _required(names: list[str], value: object, where: str) -> Iterable[str]:
    if isinstance(value, dict):
        yield from (f"{where} has no {name}" for name in names if name not in value)


def _properties(schemas: dict[str, Any], value: object, where: str) -> Iterable[str]:
    if isinstance(value, dict):
        for name in schemas.keys() & value.keys():
            yield from _check(schemas[name], value[name], f"{where}.{name}")


def _items(schema: dict[str, Any], value: object, where: str) -> Iterable[str]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _check(schema, item, f"{where}[{number}]")


def _enum(allowed: list[object], value: object, where: str) -> Iterable[str]:
    if value not in allowed:
        yield f"{where} is {value!r}, and none of {allowed}"


def _pattern(pattern: str, value: object, where: str) -> Iterable[str]:
    if isinstance(value, str) and re.search(pattern, value) is None:
        yield f"{where} is {value!r}, and not of the form {pattern}"


def _minimum(least: float, value: object, where: str) -> Iterable[str]:
    if isinstance(value, int | float) and value < least:
        yield f"{where} is {value}, and less than {least}"


def _maximum(most: float, value: object, where: str) -> Iterable[str]:
    if isinstance(value, int | float) and value > most:
        yield f"{where} is {value}, and more than {most}"


_RULES: dict[str, Callable[[Any, object, str], Iterable[str]]] = {
    "required": _required,
    "properties": _properties,
    "items": _items,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
}
