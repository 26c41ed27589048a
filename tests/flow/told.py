"""What flow tests ask of a run: its attempts at the large file, its partials on disk."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback.adoption import found
from fallback.events import AttemptEnded, AttemptStarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fallback import Settings
    from fallback.events import Event

ONNX = "*model.onnx"
"""The large file, as a rule of the fakes aims at it."""


def offsets(told: list[Event]) -> list[tuple[str, int]]:
    """(layer, offset) of each attempt at the large file."""
    return [
        (event.layer, event.offset)
        for event in told
        if isinstance(event, AttemptStarted) and event.path.endswith("onnx")
    ]


def outcomes(told: list[Event]) -> list[str]:
    return [
        event.outcome for event in told if isinstance(event, AttemptEnded) and event.path.endswith("onnx")
    ]


def partials(settings: Settings) -> list[Path]:
    return sorted(
        path for path in settings.models_dir.rglob(".*") if found(path) and path.suffix == ".partial"
    )


def only(settings: Settings, *gateways: int) -> Settings:
    """With these gateways (from 1), in this order, and no Hub but one that refuses."""
    return replace(
        settings,
        gateways=tuple(settings.gateways[number - 1] for number in gateways),
        hf_endpoint="http://127.0.0.1:9",
    )


def here(settings: Settings) -> list[int]:
    """Bytes of each partial."""
    return [path.stat().st_size for path in partials(settings) if path.exists()]


def until(what: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for it, or fail."""
    ends_at = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends_at, "it did not come to pass"
        time.sleep(0.01)
