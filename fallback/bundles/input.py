"""A bundle as it is read: from a file or a pipe, plain or compressed with zstd; which of its forms it is.

Reads are bounded: a window of 8 MiB for zstd, a piece at a time for all. Exclusions: what it holds is others' to
read (`tar`, `ipfs.car`), and whether that is right the manifest's to say.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from fallback.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

Form = Literal["tar", "car"]

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
PIECE = 1 << 20

WINDOW_LOG = 23
"""8 MiB: what RFC 8878 (3.1.1.1.2) asks every decoder for, and all that one of ours gives."""

LOOK_BYTES = 512


class Input:
    """Bytes that are read once; `look` reads ahead of all, and takes nothing away."""

    def __init__(
        self,
        stream: BinaryIO,
        *,
        foreign: tuple[type[Exception], ...] = (),
        is_sought: bool = True,
    ) -> None:
        self._stream = stream
        self._foreign: tuple[type[Exception], ...] = (OSError, EOFError, *foreign)
        self._ahead = b""
        # Seeking in what is compressed would mean to unpack it anew.
        self._size = _size(stream) if is_sought else None

    def look(self, size: int) -> bytes:
        """The next bytes, `size` of them unless it ends before; they stay to be read."""
        while len(self._ahead) < size and (piece := self._read(size - len(self._ahead))):
            self._ahead += piece
        return self._ahead[:size]

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, `size` or fewer; none at the end.

        Raises:
            BundleError: they cannot be read.
        """
        size = PIECE if size < 0 else size
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._read(size)

    def skip(self, size: int, /) -> bool:
        """Pass over so many; False if there are fewer."""
        held = min(size, len(self._ahead))
        self._ahead, size = self._ahead[held:], size - held
        if self._size is not None and size:
            with self._told():
                return self._stream.seek(size, 1) <= self._size
        while size:
            if not (piece := self._read(min(size, PIECE))):
                return False
            size -= len(piece)
        return True

    def _read(self, size: int) -> bytes:
        with self._told():
            return self._stream.read(size)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What the system, or the library below, says is wrong with it."""
        try:
            yield
        except self._foreign as error:
            what = getattr(error, "strerror", None) or "its compression is damaged, or it is cut off"
            raise BundleError(f"it cannot be read: {what}") from error


def _size(stream: BinaryIO) -> int | None:
    """The bytes of a file in which can be sought; None for a pipe."""
    try:
        if not stream.seekable():
            return None
        here = stream.tell()
        end = stream.seek(0, 2)
        stream.seek(here)
    except (OSError, ValueError):
        return None
    return end


@contextlib.contextmanager
def opened(bundle: Path | BinaryIO, about: str) -> Iterator[tuple[Form, Input]]:
    """A bundle to be read, and its form; `about` is how people are told of it where its form needs a library.

    Raises:
        BundleError: it cannot be read, or is no bundle.
        ConfigError: it is compressed, and the library for that is not there.
    """
    with contextlib.ExitStack() as kept:
        stream = kept.enter_context(_file(bundle)) if isinstance(bundle, Path) else bundle
        source = Input(stream)
        if source.look(4) == ZSTD_MAGIC:
            source = kept.enter_context(_unpacked(source, about))
        first = source.look(LOOK_BYTES)
        if first[257:262] == b"ustar":
            yield "tar", source
        elif b"\x65roots" in first[:64]:
            yield "car", source
        else:
            raise BundleError("it is no bundle: neither a tar nor a CAR")


@contextlib.contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb", buffering=0)
    except OSError as error:
        raise BundleError(f"it cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def zstd_of(what: str) -> Any:
    """The library for zstd: Python's own from 3.14 on.

    Raises:
        ConfigError: it is not installed; `what` needs it.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415 - few bundles are compressed
        else:
            from backports import zstd  # noqa: PLC0415 - as above
    except ImportError:
        raise ConfigError(f"{what} needs zstd: pip install 'fallback[zstd]'") from None
    return zstd


@contextlib.contextmanager
def _unpacked(source: Input, about: str) -> Iterator[Input]:
    zstd = zstd_of(about)
    options = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
    with zstd.ZstdFile(source, "r", options=options) as stream:
        yield Input(stream, foreign=(zstd.ZstdError,), is_sought=False)
