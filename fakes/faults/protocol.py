"""Faults of the protocol: what comes back is not HTTP."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fakes import steps
from fakes.faults.base import Fault

if TYPE_CHECKING:
    from fakes.answer import Answer, Request, Serve


@dataclass(frozen=True)
class Garbage(Fault, name="garbage", numbers=(50, 84), group="protocol"):
    """Instead of an answer come bytes that are no HTTP, then the connection is closed (RANDOM_DATA_THEN_CLOSE)."""

    text: str = "lskdu018973t09sylgasjkfg1][]'./.sdlv\r\n\r\n"

    def answer(self, request: Request, serve: Serve) -> Answer:
        """The text where the status line should be."""
        head = self.text.encode()
        return dataclasses.replace(serve(request), head=head, body=(), after=(steps.Close(),))
