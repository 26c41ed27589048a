"""A mirror of one's own as a source: files by SHA-256 behind any HTTP server, or in a store that fsspec reaches.

What is where: `{url}/sha256/{its first two digits}/{sha256}`, for `https://…` and `s3://…` alike. fsspec and whatever library a
scheme needs are loaded when a file is opened, and their errors leave as `OSError`, with no text of theirs: it
may hold a secret (P7). A read is a request there, so more is read than is asked for at a time: as much as comes
within `AHEAD_S`, so that progress and the rate stay true, and `MOST_BYTES`. Exclusions: nothing is written (`share.mirroring`), and nothing is asked a second time but by a library itself.
"""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from fallback.exchange import Request, host_of
from fallback.outcome import NotHere
from fallback.streams import Stream

if TYPE_CHECKING:
    from fallback.exchange import Head
    from fallback.facts import LayerName
    from fallback.outcome import Outcome
    from fallback.wanted import Wanted

SHA256 = "sha256"  # the folder of all files

AHEAD_S = 0.5
FIRST_BYTES = 4 << 10
"""Of the first read, of which nobody knows how long it takes."""

MOST_BYTES = 4 << 20
"""A library holds them twice while they come."""


@dataclass(frozen=True, slots=True)
class Store:
    """The mirror at `url`."""

    url: str
    called: str | None = None
    layer: LayerName = field(default="mirror", init=False)

    @property
    def is_http(self) -> bool:
        """Whether it is asked by HTTP, and so not written to."""
        return urlsplit(self.url).scheme in {"http", "https"}

    @property
    def name(self) -> str:
        """Its host and the path below it; of a store, its URL."""
        if not self.is_http:
            return self.called or self.url
        return self.called or host_of(self.url) + urlsplit(self.url).path

    @property
    def folder(self) -> Path | None:
        """Where this machine has its files, if it is a folder here."""
        scheme, _, path = self.url.partition("://")
        return Path(path).expanduser() / SHA256 if scheme in {"file", "local"} else None

    def request(self, wanted: Wanted) -> Request | None:
        """By its SHA-256; None if the manifest has none."""
        if wanted.file.sha256 is None:
            return None
        url = f"{self.url}/{place(wanted.file.sha256)}"
        return Request(url) if self.is_http else Request(url, stream=stored(url))

    def denied(self, head: Head) -> Outcome:
        """Some stores say 403 of what they do not have."""
        return NotHere(f"this mirror does not give it ({head.status})")


def place(sha256: str) -> str:
    """Where a store has the file with these bytes, below its URL: no folder of it grows beyond what tools can list."""
    return f"{SHA256}/{sha256[:2]}/{sha256}"


def stored(url: str) -> Stream:
    """The file at `url`."""

    def opened(start: int) -> tuple[BinaryIO, int]:
        fs, path = filesystem(url)
        try:
            size = int(fs.info(path)["size"])
            stream = fs.open(path, "rb", cache_type="none")
            stream.seek(start)
        except OSError:
            raise
        except Exception as error:
            raise OSError(errno.EIO, type(error).__name__) from error
        return cast("BinaryIO", Blocks(stream)), size

    return Stream(opened, is_remote=True)


class Blocks:
    """A file that is read in larger blocks than it is asked for: each as large as came in `AHEAD_S` lately."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._block, self._at = b"", 0
        self._next = FIRST_BYTES

    def read(self, size: int) -> bytes:
        """The next bytes, `size` or fewer; none at the end."""
        if self._at == len(self._block):
            self._block, self._at = b"", 0  # let go of before the next comes
            self._block = self._read()
        piece = self._block[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _read(self) -> bytes:
        began = time.monotonic()
        block = self._stream.read(self._next)
        rate = len(block) / max(time.monotonic() - began, 1e-6)
        # What came says little of what is to come: no block is over four times the last.
        self._next = min(MOST_BYTES, max(FIRST_BYTES, min(int(rate * AHEAD_S), 4 * len(block))))
        return block

    def close(self) -> None:
        """Close it."""
        self._stream.close()


def filesystem(url: str) -> tuple[Any, str]:
    """Fsspec's file system of `url`, and the path in it.

    Raises:
        FileNotFoundError: what the scheme needs is not installed, or nobody knows the scheme.
        OSError: it cannot be reached.
    """
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - of the extra `mirror`
    except ModuleNotFoundError:
        raise _absent("fsspec is not installed: pip install 'fallback[mirror]'") from None
    try:
        fs, path = url_to_fs(url, use_listings_cache=False)
    except ImportError:
        raise _absent(
            f"what {url.partition(':')[0]}:// needs is not installed, such as fallback[s3]"
        ) from None
    except ValueError:
        raise _absent(f"nobody knows what {url.partition(':')[0]}:// is") from None
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, type(error).__name__) from error
    return fs, str(path)


def _absent(what: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, what)
