"""Proves bytes against what the manifest promises of a file. Raises; never returns a bool.

A `Proof` follows the bytes as they arrive, so that proving costs no second reading. Exclusions: it
does not open, name or delete anything (`cache`), does not know where bytes came from (`download`),
and does not accept part of a file. Where the file's chunks are known, the first one is proven on the
way, for a wrong file to be refused after a MiB; where not, they are listed on the way, for the next
repair (DESIGN, Chunks).

A file without a SHA-256 gets this far only under `unsafe_allow_missing_sha256`. All that is known
then is that 80 % of the promised size arrived and that an `.onnx` file begins like one: the
original's rule, kept as weak as it was and named for what it is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from fallback.errors import DigestError, SizeError, StoppedError, VerificationError
from fallback.manifest import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.manifest import File

BUFFER = 1 << 20
"""Bytes per read when a file on disk is proven."""

ONNX_IR_VERSION = 0x08
"""First byte of an ONNX ModelProto: protobuf field 1, `ir_version`, as a varint."""


class Proof:
    """The running proof of one file's bytes from its first; `size` is how many it has seen.

    `early`: the first chunk is proven when it is through.
    """

    def __init__(self, file: File, *, early: bool = True) -> None:
        self._file, self._early = file, early and bool(file.chunks)
        self._sha256 = hashlib.sha256()
        self._head = b""
        self._listing = None if file.chunks or file.sha256 is None else _Listing()
        self.size = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            SizeError: there are more than the file has.
            DigestError: the first chunk is another: known after 1 MiB, not after the whole file.
        """
        if not self.size:
            self._head = bytes(data[:1])
        before = self.size
        self.size += len(data)
        if self._file.size is not None and self.size > self._file.size:
            raise SizeError(expected=self._file.size, seen=self.size)
        if self._listing is not None:
            self._listing.update(data)
        if self._early and before < CHUNK_BYTES <= self.size:
            split = CHUNK_BYTES - before
            self._sha256.update(data[:split])
            self._check_first_chunk()
            data = data[split:]
        self._sha256.update(data)

    @property
    def chunks(self) -> tuple[str, ...]:
        """The SHA-256 of each MiB it saw, in hex, if nobody had them; of a file that has but one, none is needed."""
        return self._listing.digests() if self._listing is not None and self.size > CHUNK_BYTES else ()

    def finish(self) -> str:
        """Conclude: these bytes are the file.

        Returns:
            their SHA-256 in hex.

        Raises:
            SizeError: there are fewer bytes than the file has.
            DigestError: they are other bytes.
        """
        seen = self._sha256.hexdigest()
        if self._file.sha256 is None:
            self._plausible()
            return seen
        if self._file.size is not None and self.size != self._file.size:
            raise SizeError(expected=self._file.size, seen=self.size)
        if seen != self._file.sha256:
            raise DigestError(expected=self._file.sha256, seen=seen)
        return seen

    def _check_first_chunk(self) -> None:
        # What is hashed so far is the first chunk and nothing else: it costs no second hashing.
        seen, expected = self._sha256.copy().hexdigest(), self._file.chunks[0]
        if seen != expected:
            raise DigestError(expected=expected, seen=seen)

    def _plausible(self) -> None:
        if self._file.size is not None and self.size < 0.8 * self._file.size:
            raise SizeError(expected=self._file.size, seen=self.size)
        if self._file.path.endswith(".onnx") and self._head != bytes([ONNX_IR_VERSION]):
            raise VerificationError("not an ONNX model: it does not begin with an ir_version")


class _Listing:
    """The SHA-256 of each chunk of what passes."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._chunk, self._room = hashlib.sha256(), CHUNK_BYTES

    def update(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while len(view) >= self._room:
            self._chunk.update(view[: self._room])
            view = view[self._room :]
            self._done.append(self._chunk.hexdigest())
            self._chunk, self._room = hashlib.sha256(), CHUNK_BYTES
        self._chunk.update(view)
        self._room -= len(view)

    def digests(self) -> tuple[str, ...]:
        return (*self._done, *([] if self._room == CHUNK_BYTES else [self._chunk.hexdigest()]))


def prove(file: File, stream: BinaryIO, over: Callable[[], bool] = lambda: False) -> Proof:
    """Read `stream` to its end and prove that it is `file`; the proof, which has come to its end.

    Raises:
        VerificationError: it is not; at most one buffer past the promised size was read.
        OSError: it could not be read.
        StoppedError: `over` said so.
    """
    proof = Proof(file)
    buffer = memoryview(bytearray(BUFFER))
    while count := stream.readinto(buffer):  # type: ignore[attr-defined]  # BinaryIO leaves it out, every binary file has it
        proof.update(buffer[:count])
        if over():
            raise StoppedError("stopped")
    proof.finish()
    return proof
