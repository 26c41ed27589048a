"""POSIX tar as bundles have it: plain files alone, headers of ustar, a pax header where a name or a size needs one.

What is written is the same byte for byte wherever and whenever: nothing of this machine, its users or its
clock stands in it. What is read is what this writes, and what other tools write of plain files with
`--format=ustar` or `--format=pax` (POSIX.1-2017, pax, "ustar Interchange Format"). Everything else is refused
before a byte of it is given: links, folders, devices, sparse files, GNU's own long names, global headers. A
header can make nobody read or hold more than a few KiB. Exclusions: which names and sizes are right is the
caller's to say, nothing is written to a disk, and what is behind the end is only looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
END = bytes(2 * BLOCK)
"""What an archive ends with."""

MAX_PAX_BYTES = 16 << 10
"""Of one pax header: sixteen times the longest name there can be."""

MAX_PADDING_BYTES = 1 << 20
"""Zeros behind the end: tape blocks that other tools fill up, 10 KiB as a rule."""

MAX_SIZE = 1 << 62
"""Of one file: a system cannot seek much further."""

MAX_USTAR_SIZE = 8**11 - 1
_REGULAR = b"0"
_PAX = b"x"
_PAX_NAME = b"././@PaxHeader"
_NUMBER = re.compile(rb" *([0-7]{1,11})[ \0]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,4}) ([^=\0\n]+)=")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
    b"7": "a file of a kind nobody has",
    b"g": "a global header",
    b"S": "a sparse file",
    b"L": "a long name in GNU's own way (`tar --format=pax` writes it in POSIX's)",
    b"K": "a long link in GNU's own way",
}
_OTHER_MEANING = ("linkpath", "hdrcharset", "charset", "GNU.sparse.")
"""Keys of pax that would make other bytes, or another name, of what stands there."""


class TarError(ValueError):
    """Not a tar as this module reads them."""


class CutError(TarError):
    """It ends too early: what came before may be right."""


class Bytes(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` or fewer; none at the end."""

    def skip(self, size: int, /) -> bool:
        """Pass over so many; False if there are fewer."""


class Member(NamedTuple):
    """One file: its name as it stands there, its bytes, and where in the archive they begin."""

    name: str
    size: int
    start: int


def header(name: str, size: int) -> bytes:
    """What stands before a file's bytes."""
    raw = name.encode()
    fields = _split(raw) if raw.isascii() else None
    records = b""
    if fields is None:
        records += _record(b"path", raw)
        fields = b"", raw[:100].decode("ascii", "replace").replace("\ufffd", "_").encode()[:100]
    if size > MAX_USTAR_SIZE:
        records += _record(b"size", str(size).encode())
    before = _block(_PAX_NAME, b"", len(records), _PAX) + records + padding(len(records)) if records else b""
    prefix, short = fields
    return before + _block(short, prefix, 0 if size > MAX_USTAR_SIZE else size, _REGULAR)


def padding(size: int) -> bytes:
    """What stands behind `size` bytes of a file, up to the next block."""
    return bytes(-size % BLOCK)


def _split(raw: bytes) -> tuple[bytes, bytes] | None:
    """(prefix, name) as ustar has room for them; None if it has not."""
    if len(raw) <= 100:
        return b"", raw
    for at in (at for at, byte in enumerate(raw) if byte == 0x2F):
        if at <= 155 and 0 < len(raw) - at - 1 <= 100:
            return raw[:at], raw[at + 1 :]
    return None


def _record(key: bytes, value: bytes) -> bytes:
    """One line of a pax header; the number before it counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    size = len(rest)
    while len(str(size)) + len(rest) != size:
        size = len(str(size)) + len(rest)
    return str(size).encode() + rest


def _block(name: bytes, prefix: bytes, size: int, kind: bytes) -> bytes:
    block = bytearray(BLOCK)
    for at, value in (
        (0, name),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, b"%011o\0" % size),
        (136, b"00000000000\0"),
        (148, b" " * 8),
        (156, kind),
        (257, b"ustar\x0000"),
        (329, b"0000000\0"),
        (337, b"0000000\0"),
        (345, prefix),
    ):
        block[at : at + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


class Tar:
    """An archive that is read once, from its beginning; `read` gives bytes of the member that was given last."""

    def __init__(self, stream: Bytes) -> None:
        self._stream = stream
        self._at = self._left = self._padding = 0

    def members(self) -> Iterator[Member]:
        """Each file as it comes; what of it was not read is passed over.

        Raises:
            TarError: it is no such archive, or holds something else than plain files.
        """
        while True:
            self._pass_over(self._left + self._padding)
            block = self._exactly(BLOCK)
            if not any(block):
                self._end()
                return
            about: dict[str, str] = {}
            if _kind(block) == _PAX:
                about = self._pax(block)
                block = self._exactly(BLOCK)
            member = self._member(block, about)
            self._left, self._padding = member.size, -member.size % BLOCK
            yield member

    def read(self, size: int) -> bytes:
        """The next bytes of the member, `size` or fewer; none at its end.

        Raises:
            CutError: the archive ends before the member does.
        """
        data = self._stream.read(min(size, self._left))
        if self._left and size and not data:
            raise CutError(f"it is cut off: {self._left} bytes of a file are missing")
        self._at += len(data)
        self._left -= len(data)
        return data

    def pass_over(self, size: int) -> None:
        """Leave out so many bytes of the member.

        Raises:
            CutError: as `read`.
        """
        self._pass_over(size)
        self._left -= size

    def _pass_over(self, size: int) -> None:
        if size and not self._stream.skip(size):
            raise CutError("it is cut off inside a file")
        self._at += size

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._stream.read(size - len(data))
            if not piece:
                raise CutError("it is cut off: the end of the archive never comes")
            data += piece
        self._at += size
        return bytes(data)

    def _end(self) -> None:
        """A second block of zeros, and nothing but zeros behind it."""
        if any(self._exactly(BLOCK)):
            raise TarError("a single block of zeros stands between its files")
        zeros = 0
        while piece := self._stream.read(BLOCK):
            zeros += len(piece)
            if any(piece) or zeros > MAX_PADDING_BYTES:
                raise TarError("there is more behind its end")

    def _pax(self, block: bytes) -> dict[str, str]:
        size = _number(block, 124, 12, "a size")
        if size > MAX_PAX_BYTES:
            raise TarError(f"a pax header of {size} bytes; {MAX_PAX_BYTES} are allowed")
        data = self._exactly(size)
        self._exactly(-size % BLOCK)
        return _records(data)

    def _member(self, block: bytes, about: dict[str, str]) -> Member:
        kind = _kind(block)
        if kind not in {_REGULAR, b"\0"}:
            raise TarError(
                f"it holds {_KINDS.get(kind, 'something that is no file')}, and may hold files alone"
            )
        name = about.get("path") or _name(block)
        size = _number(block, 124, 12, "a size")
        if (told := about.get("size")) is not None:
            if not re.fullmatch("[0-9]{1,19}", told, re.ASCII):
                raise TarError("a size that is no number")
            size = int(told)
        if size > MAX_SIZE:
            raise TarError("a size that no file has")
        return Member(name, size, self._at)


def _kind(block: bytes) -> bytes:
    """A header's kind, if it is a header."""
    if block[257:265] == b"ustar  \0" and block[156:157] not in _KINDS.keys() - {b"g"}:
        raise TarError("it is in GNU's own format; `tar --format=pax` writes POSIX's")
    if block[257:263] != b"ustar\0" and block[257:265] != b"ustar  \0":
        raise TarError("it is no tar of POSIX (ustar, pax), or is damaged")
    told = _number(block, 148, 8, "a checksum")
    if told != sum(block) - sum(block[148:156]) + 8 * 0x20:
        raise TarError("a header is damaged: its checksum is another")
    return block[156:157]


def _number(block: bytes, at: int, size: int, what: str) -> int:
    match = _NUMBER.fullmatch(block[at : at + size])
    if match is None:
        raise TarError(f"{what} that is no octal number")
    return int(match[1], 8)


def _name(block: bytes) -> str:
    parts = [block[345:500].partition(b"\0")[0], block[:100].partition(b"\0")[0]]
    return _text(b"/".join(part for part in parts if part))


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise TarError("a name that is not UTF-8") from None


def _records(data: bytes) -> dict[str, str]:
    """The lines of a pax header."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        size = int(match[1]) if match else 0
        line = data[at : at + size]
        if match is None or len(line) < size or match.end() >= at + size or line[-1:] != b"\n":
            raise TarError("a pax header that cannot be read")
        key, value = _text(match[2]), _text(data[match.end() : at + size - 1])
        if key in found or key.startswith(_OTHER_MEANING) or "\0" in value:
            raise TarError(f"a pax header with what is not taken: {key[:40]!r}")
        found[key] = value
        at += size
    return found
