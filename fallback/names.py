"""Which names a manifest may give to files on this machine.

A manifest is written elsewhere, and its paths become files here. A name is accepted only if it means
the same single file below the models folder on every file system that people keep models on: POSIX,
ones that ignore case or normalise Unicode (APFS, NTFS, ext4 with casefold), and Windows shares.

Pure: nothing here looks at a disk, follows a link or mends a name; a name is right or refused.
The answers are sentences without a subject ("holds a backslash"), for a `Problem` that names its key.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_SEGMENT_BYTES = 200  # file systems stop at 255; the partial's and the quarantine's suffixes need room
MAX_PATH_BYTES = 1024  # macOS's PATH_MAX, the smallest in use; Linux has 4096

MANIFEST = ".manifests.json"
"""The models folder's own manifest, and the first member of a bundle."""
OWN_NAMES = frozenset({MANIFEST, ".metrics.json", ".fallback"})  # directly in the models folder
UPGRADES = ".fallback/upgrade"
"""New versions that wait; below the models folder, also where the state is elsewhere, for a rename stays within one file system."""
PARTIAL, LEDGER, BAK = ".partial", ".ledger", ".bak"
OWN_SUFFIXES = (PARTIAL, LEDGER, BAK)  # beside any target

_RESERVED = frozenset(  # "Naming Files, Paths, and Namespaces" in Microsoft's Win32 documentation
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)
_UNSEEN = {
    "Cc": "a control character",
    "Cf": "an invisible character",  # bidi overrides and joiners: two names that look alike
    "Cs": "half of a surrogate pair",  # has no UTF-8, so no file can have this name
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


def problem(path: str) -> str | None:
    """What is wrong with `path` as a relative path of segments between "/"; None if nothing is.

    Source: DESIGN, promise P8 (no outside name escapes the models folder).
    """
    if not path:
        return "is empty"
    if what := unseen(path):
        return what
    if path.startswith("/"):
        return "is absolute; it must be relative"
    if "\\" in path:
        return 'holds a backslash; folders are separated by "/"'
    if ":" in path:
        return "holds ':', which names a drive or a stream on Windows"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    return next((what for segment in path.split("/") if (what := _segment_problem(segment))), None)


def unseen(text: str) -> str | None:
    """What `text` holds that nobody could see in a message, or that no UTF-8 can carry."""
    if text.isascii() and text.isprintable():  # nearly every name, at once
        return None
    for char in text:
        if (category := unicodedata.category(char)) in _UNSEEN:
            return f"holds {_UNSEEN[category]}, U+{ord(char):04X}"
    return None


def _segment_problem(segment: str) -> str | None:
    if not segment:
        return 'has an empty segment ("//", or "/" at the end)'
    if segment in {".", ".."}:
        return f"has a segment {segment!r}"
    if segment.endswith((".", " ")):
        return "has a segment that ends in a dot or a space, which Windows drops"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return f"has a segment longer than {MAX_SEGMENT_BYTES} bytes"
    if (stem := segment.partition(".")[0].rstrip().casefold()) in _RESERVED:
        return f"has a segment {stem.upper()!r}, which is a device on Windows"
    return None


def target_problem(target: str) -> str | None:
    """What is wrong with `target`, a path below the models folder whose parts `problem` has passed."""
    if len(target.encode(errors="surrogatepass")) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes below the models folder"
    segments = alias_of(target).split("/")
    if segments[0] in OWN_NAMES:
        return f"would take the place of our own {segments[0]!r} in the models folder"
    if any(segment.endswith(OWN_SUFFIXES) for segment in segments):
        return f"has a segment that ends in {' or '.join(map(repr, OWN_SUFFIXES))}, kept for our own files"
    return None


def clashes(targets: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Targets that cannot all be files on one disk.

    Takes pairs (where, target), gives pairs (where, what is wrong); `where` is only passed through.
    """
    seen: dict[str, tuple[str, str]] = {}
    for where, target in targets:
        if (alias := alias_of(target)) not in seen:
            seen[alias] = (where, target)
            continue
        other, first = seen[alias]
        if first == target:
            yield where, f"is the same target as {other}"
        else:
            yield where, f"and {other} are two names alike but for case: some disks make them one file"
    for alias, (where, _) in seen.items():
        for end in (at for at, char in enumerate(alias) if char == "/"):
            if alias[:end] in seen:
                yield where, f"needs a folder where {seen[alias[:end]][0]} is a file"


def alias_of(path: str) -> str:
    """The same string for all paths that some disk takes for one: Unicode's canonical caseless match (D145)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
