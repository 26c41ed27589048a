"""Every fault a fake can play, by groups as in the fault catalogue. `FAULTS` is the list, by name.

The S and P rows of TLS, and toxiproxy's network faults, are not here yet: they need a room of their own.
"""

from __future__ import annotations

from fakes.faults.base import FAULTS, Fault, fault_from_dict
from fakes.faults.body import (
    Corrupt,
    CutEvery,
    Empty,
    Endless,
    Html,
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
from fakes.faults.framing import (
    BadChunk,
    ChunkedCut,
    ContentLength,
    LengthAndChunks,
    NoLength,
    TrailingGarbage,
)
from fakes.faults.headers import (
    Gzip,
    GzipBomb,
    HeaderFlood,
    HeaderStyle,
)
from fakes.faults.protocol import (
    ConnectionClose,
    EarlyHints,
    Garbage,
    InformationalFlood,
    Smuggled,
)
from fakes.faults.ranged import (
    Changed,
    CorruptOnResume,
    ETag,
    IfRangeIgnored,
    MultipartRange,
    OtherTotal,
    RangeIgnored,
    RangeRefused,
    RangeUnasked,
    ShortRange,
    StarTotal,
    WrongStart,
)
from fakes.faults.status import (
    ExpiredSignature,
    Redirect,
    RedirectLoop,
    Retired,
    Status,
)
from fakes.faults.timing import (
    Dribble,
    Hang,
    HeaderDrip,
    HeaderStall,
    Stall,
)

__all__ = [
    "FAULTS",
    "AcceptClose",
    "AcceptReset",
    "AcceptSilent",
    "BadChunk",
    "Changed",
    "ChunkedCut",
    "ConnectionClose",
    "ContentLength",
    "Corrupt",
    "CorruptOnResume",
    "CutEvery",
    "Dribble",
    "ETag",
    "EarlyHints",
    "Empty",
    "Endless",
    "ExpiredSignature",
    "Fault",
    "Garbage",
    "Gzip",
    "GzipBomb",
    "Hang",
    "HeaderDrip",
    "HeaderFlood",
    "HeaderStall",
    "HeaderStyle",
    "Html",
    "IfRangeIgnored",
    "InformationalFlood",
    "LengthAndChunks",
    "MultipartRange",
    "NoAnswer",
    "NoLength",
    "OtherFile",
    "OtherTotal",
    "RangeIgnored",
    "RangeRefused",
    "RangeUnasked",
    "Redirect",
    "RedirectLoop",
    "Refused",
    "Reset",
    "ResetRequest",
    "Retired",
    "ShortRange",
    "Smuggled",
    "StaleKeepAlive",
    "Stall",
    "StarTotal",
    "Status",
    "TrailingGarbage",
    "Truncate",
    "WrongStart",
    "fault_from_dict",
]
