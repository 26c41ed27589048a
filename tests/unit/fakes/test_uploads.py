"""Bodies and forms: whole or refused, and a large one is not held in memory."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import pytest
from urllib3.filepost import encode_multipart_formdata

from fakes.answer import Request
from fakes.uploads import SMALL, Body, FormError, form

if TYPE_CHECKING:
    from pathlib import Path

FIELDS: Any = [
    ("file", ("dir/ä b.bin", b"--x\r\n\r\nbytes\r\n", "application/octet-stream")),
    ("file", ("dir/empty", b"", "application/octet-stream")),
    ("pinataOptions", '{"cidVersion": 1}'),
]


def sent(body: bytes, kind: str) -> Request:
    return Request("pinata", "POST", "/", headers={"content-type": kind}, body=body)


@pytest.mark.parametrize("boundary", [None, "y", "a+b(c)"])
def test_parts_are_as_they_were_sent(boundary: str | None) -> None:
    body, kind = encode_multipart_formdata(FIELDS, boundary)
    kind = kind.replace("a+b(c)", '"a+b(c)"')
    first, second, third = form(sent(body, kind))
    assert (first.name, first.filename, bytes(first.data)) == ("file", "dir/ä b.bin", b"--x\r\n\r\nbytes\r\n")
    assert (second.filename, bytes(second.data)) == ("dir/empty", b"")
    assert (third.name, third.filename, third.text()) == ("pinataOptions", None, '{"cidVersion": 1}')


@pytest.mark.parametrize("name", ["100%25.bin", "a%20b", 'a"b', "a\nb", "a\rb", "%2522", "ä😀"])
def test_a_name_is_as_it_was_sent(name: str) -> None:
    """A percent is a percent; only what cannot stand between quotes is spelled otherwise (WHATWG HTML)."""
    body, kind = encode_multipart_formdata([("file", (name, b"", "text/plain"))])
    assert form(sent(body, kind))[0].filename == name


@pytest.mark.parametrize("cut", [1, 20, 60, 200])
def test_a_form_that_is_cut_off_is_none(cut: int) -> None:
    body, kind = encode_multipart_formdata(FIELDS, "x")
    with pytest.raises(FormError):
        form(sent(body[:-cut].rstrip(b"\r\n-"), kind))


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x"])
def test_what_is_no_form_is_refused(kind: str) -> None:
    with pytest.raises(FormError, match="form-data"):
        form(sent(b"--x--\r\n", kind))


def test_a_large_body_lies_in_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKES_SCRATCH", str(tmp_path))
    body = Body()
    for _ in range(3):
        body.write(b"x" * (SMALL // 2))
    view = body.view()
    assert isinstance(view, memoryview)
    assert isinstance(view.obj, mmap.mmap)
    assert bytes(view) == b"x" * (SMALL // 2 * 3)
    assert not list(tmp_path.iterdir())
    body.close()
    assert bytes(view[-1:]) == b"x"


def test_a_small_one_does_not() -> None:
    body = Body()
    body.write(b"ab")
    body.write(b"c")
    assert body.view() == b"abc"
