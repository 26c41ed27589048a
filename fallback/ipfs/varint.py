"""Unsigned variable-length integers (multiformats/unsigned-varint): 7 bits a byte, the lowest first."""

from __future__ import annotations

MAX_BYTES = 9
"""An integer has at most 63 bits, as the specification bounds it."""


class VarintError(ValueError):
    """No integer stands there, or one written longer than it has to be."""


def encode(number: int) -> bytes:
    """`number` (0 <= n < 2**63) as bytes."""
    if not 0 <= number < 1 << 63:
        raise VarintError(f"{number} has no place in {MAX_BYTES} bytes")
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def decode(data: bytes | memoryview, at: int = 0) -> tuple[int, int]:
    """The integer at `data[at]`, and where the next byte is.

    Raises:
        VarintError: it is cut off, longer than 9 bytes, or not the shortest form.
    """
    number = 0
    for index in range(MAX_BYTES):
        if at + index >= len(data):
            raise VarintError("an integer is cut off")
        byte = data[at + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if not byte and index:
                raise VarintError("an integer is longer than it has to be")
            return number, at + index + 1
    raise VarintError(f"an integer has more than {MAX_BYTES} bytes")
