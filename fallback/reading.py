"""Reads a manifest's JSON: strict, and to the end, so that all problems are known at once.

A `Reader` takes decoded JSON and yields what `manifest` makes its dataclasses of; each problem goes
into its list at the key where it stands. Exclusions: it builds no `Manifest` and opens no file.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from fallback.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DEPTH = 32
"""Ours is 4 deep; unknown keys must not exhaust the stack of whoever writes them again."""

SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
DIGESTS = frozenset(
    {"md5", "sha1", "sha-1", "sha224", "sha384", "sha512", "blake2b", "blake3", "crc32", "digest", "hash"}
)

SHOWN_KEYS = 10
"""Of those that are there twice."""

_REQUIRED = object()


def shown(value: Any) -> str:
    """A value in a message: as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}..."


def key(where: str, name: str) -> str:
    """The path of `name` below `where`: dotted if it is a plain word, else in brackets."""
    if re.fullmatch(r"[A-Za-z_][\w-]*", name, re.ASCII):
        return f"{where}.{name}" if where else name
    return f"{where}[{shown(name)}]"


class Reader:
    """Collects problems while values are taken out of JSON objects."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def problem(self, where: str, what: str) -> None:
        """Note that something is wrong at `where`."""
        self.problems.append(Problem(where, what))

    def document(self, text: str | bytes) -> dict[str, Any]:
        """Decode; an empty object with a problem noted if it cannot be."""
        try:
            value = json.loads(
                text, object_pairs_hook=self._pairs, parse_constant=self._constant, parse_float=self._float
            )
        except UnicodeDecodeError as error:
            self.problem("document", f"is not UTF-8 (byte {error.start})")
        except json.JSONDecodeError as error:
            self.problem("document", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
        except RecursionError:
            self.problem("document", "is nested too deeply")
        except ValueError as error:
            self.problem("document", f"is not JSON as it should be: {error}")
        else:
            if _depth(value) <= MAX_DEPTH:
                return self.mapping("document", value)
            self.problem("document", f"is nested more than {MAX_DEPTH} deep")
        return {}

    def mapping(self, where: str, value: Any) -> dict[str, Any]:
        """An object, else an empty one with a problem noted."""
        if isinstance(value, dict):
            return value
        self.problem(where, f"must be an object, not {shown(value)}")
        return {}

    def text(
        self,
        where: str,
        source: Mapping[str, Any],
        name: str,
        check: Callable[[str], str | None],
        default: Any = _REQUIRED,
    ) -> Any:
        """The string at `name`, if it is one and `check` finds nothing wrong with it; else the default or None."""
        value = source.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if not isinstance(value, str):
            self.problem(
                key(where, name), "is missing" if value is None else f"must be a string, not {shown(value)}"
            )
        elif what := check(value):
            self.problem(key(where, name), f"{shown(value)} {what}")
        else:
            return value
        return None if default is _REQUIRED else default

    def size(self, where: str, source: Mapping[str, Any], most: int) -> int | None:
        """Bytes: a whole number from 0."""
        value = source.get("size")
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        what = (
            "is missing"
            if "size" not in source
            else f"must be a whole number of bytes from 0, not {shown(value)}"
        )
        self.problem(key(where, "size"), what)
        return None

    def sha256(self, where: str, source: Mapping[str, Any], *, may_miss: bool) -> str | None:
        """Lower-case hex; missing only where that is allowed."""
        value = source.get("sha256")
        if isinstance(value, str) and SHA256.fullmatch(value):
            return value.lower()
        if value is not None:
            self.problem(key(where, "sha256"), f"must be 64 hex digits, not {shown(value)}")
        elif other := next((name for name in source if name.lower() in DIGESTS), None):
            self.problem(key(where, other), f"unknown digest {other!r}: only sha256 proves a file")
        elif not may_miss:
            self.problem(
                key(where, "sha256"),
                "is missing: nothing else proves the file (unsafe_allow_missing_sha256 would let it pass)",
            )
        return None

    def chunks(self, where: str, source: Mapping[str, Any], count: int | None) -> tuple[str, ...]:
        """SHA-256 of each MiB, if given: as many as the size needs."""
        value = source.get("chunks")
        if value is None:
            return ()
        good = isinstance(value, list) and all(
            isinstance(each, str) and SHA256.fullmatch(each) for each in value
        )
        if not good or (count is not None and len(value) != count):
            self.problem(key(where, "chunks"), f"must be a list of {count} sha256 in hex, one a MiB")
            return ()
        return tuple(each.lower() for each in value)

    def _pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = sorted(name for name, count in counts.items() if count > 1)
            more = ", …" if len(twice) > SHOWN_KEYS else ""
            told = ", ".join(map(shown, twice[:SHOWN_KEYS]))
            self.problem("document", f"an object has the key {told}{more} twice")
        return made

    @staticmethod
    def _constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    @staticmethod
    def _float(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):  # it would be written again as Infinity, which nobody could read
            raise ValueError(f"{digits[:20]} is beyond what a number can be")
        return value


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return depth
