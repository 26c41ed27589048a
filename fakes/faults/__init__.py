"""Every fault a fake can play, by groups as in the fault catalogue. `FAULTS` is the list, by name.

The S and P rows of TLS, and toxiproxy's network faults, are not here yet: they need a room of their own.
"""

from __future__ import annotations

from fakes.faults.base import FAULTS, Fault, fault_from_dict
from fakes.faults.body import (
    BadChunk,
    Corrupt,
    Empty,
    Endless,
    Html,
    NoLength,
    OtherFile,
    Reset,
    Truncate,
)
from fakes.faults.connect import (
    AcceptClose,
    AcceptReset,
    AcceptSilent,
    NoAnswer,
    Refused,
    ResetRequest,
    StaleKeepAlive,
)
from fakes.faults.headers import Gzip, RangeIgnored, WrongStart
from fakes.faults.protocol import Garbage
from fakes.faults.status import Redirect, RedirectLoop, Retired, Status
from fakes.faults.timing import Dribble, Hang, Stall

__all__ = [
    "FAULTS",
    "AcceptClose",
    "AcceptReset",
    "AcceptSilent",
    "BadChunk",
    "Corrupt",
    "Dribble",
    "Empty",
    "Endless",
    "Fault",
    "Garbage",
    "Gzip",
    "Hang",
    "Html",
    "NoAnswer",
    "NoLength",
    "OtherFile",
    "RangeIgnored",
    "Redirect",
    "RedirectLoop",
    "Refused",
    "Reset",
    "ResetRequest",
    "Retired",
    "StaleKeepAlive",
    "Stall",
    "Status",
    "Truncate",
    "WrongStart",
    "fault_from_dict",
]
