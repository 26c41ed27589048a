"""Whatever numbers and texts a fault is given, it is refused, or it plays: never a 500, and nobody else waits for it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import typing
from typing import TYPE_CHECKING, Any, Literal

import pytest

from fakes.answer import Answer, Request
from fakes.faults import FAULTS, CarHugeBlock, Empty, HeaderFlood, fault_from_dict
from fakes.play import spoiled
from fakes.steps import chunked
from fallback.ipfs import car
from fallback.ipfs.cid import RAW, Cid

if TYPE_CHECKING:
    from fakes.faults import Fault

DATA = bytes(range(256)) * 8
LIMIT = 50  # steps of a body: more than an honest one has
ODD: dict[Any, tuple[Any, ...]] = {
    int: (0, -1, 1, 1 << 31, 1 << 63, 10**30),
    float: (0, -1, -0.5, 1e-300, 1e300, 1 << 70),
    str: ("", "\r\nX: y", "ü😀", "\x00", "a" * 70_000),
    dict: ({}, {"A": "b\r\nC: d"}, {"Ü": "😀"}, {"": ""}, {"Content-Length": "5"}),
}
GIVEN = {"redirect": {"location": "/elsewhere"}}


def odd(hint: Any) -> tuple[Any, ...]:
    """Values that JSON can hold and such a field might."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) is dict:
        return ODD[dict]
    if typing.get_args(hint):
        return tuple(value for part in typing.get_args(hint) for value in odd(part))
    return ODD.get(hint, ())


@functools.cache
def played() -> dict[str, list[Fault]]:
    """By the name of each fault of requests: what can be made of it, with each field odd in turn."""
    made: dict[str, list[Fault]] = {}
    for cls in FAULTS.values():
        if cls.level != "request" or cls.group == "pinning":  # whose site is a service, and no file
            continue
        given = {"name": cls.name, **GIVEN.get(cls.name, {})}
        hints = typing.get_type_hints(cls)
        documents = [given] + [
            {**given, field.name: value}
            for field in dataclasses.fields(cls)
            for value in odd(hints[field.name])
        ]
        made[cls.name] = []
        for document in documents:
            with contextlib.suppress(
                ValueError
            ):  # a 400 of the control API; later it would be a 500 of the fake
                made[cls.name].append(fault_from_dict(document))
    return made


def file(request: Request) -> Answer:
    """A file of which a part may be asked for."""
    headers = [("Content-Type", "text/plain"), ("ETag", '"x"'), ("Content-Length", str(len(DATA)))]
    first, status = 0, 200
    if request.header("range") is not None:
        first, status = 100, 206
        headers[-1] = ("Content-Length", str(len(DATA) - first))
        headers.append(("Content-Range", f"bytes {first}-{len(DATA) - 1}/{len(DATA)}"))
    return Answer(status, tuple(headers), (DATA[first:],), len(DATA) - first, first, len(DATA))


def blocks(_request: Request) -> Answer:
    """A CAR of three blocks."""
    made = [(Cid.of(data, RAW), data) for data in (b"a", b"b", b"c")]
    parts = [car.header([made[0][0]]), *(car.section(*each) for each in made)]
    return Answer(200, (("Transfer-Encoding", "chunked"),), chunked(parts), None, parts=parts)


ASKED = {
    "all": (file, Request("gateway1", "GET", "/f")),
    "part": (file, Request("gateway1", "GET", "/f", headers={"range": "bytes=100-"})),
    "head": (file, Request("gateway1", "HEAD", "/f")),
    "car": (blocks, Request("gateway1", "GET", "/f", query="format=car")),
}


@pytest.mark.parametrize("name", sorted(played()))
def test_a_fault_is_refused_or_plays(name: str) -> None:
    """With nothing odd it is made, and whatever is made has an answer to any request."""
    assert played()[name]
    for fault, (site, request) in itertools.product(played()[name], ASKED.values()):
        answer = spoiled(site, [fault])(request)
        assert 200 <= answer.status <= 999, fault
        assert len(answer.head_bytes(close=True)) < 300_000_000, fault
        steps = itertools.chain(answer.before, answer.body, answer.after)
        assert sum(1 for _ in itertools.islice(steps, LIMIT)) <= LIMIT, fault


@pytest.mark.parametrize(
    "name", ["html", "pinata-error", "redirect", "redirect-loop", "redirect-ring", "retired", "status"]
)
@pytest.mark.parametrize("status", [0, -1, 100, 199, 1000])
def test_a_status_that_ends_no_answer_is_refused(name: str, status: int) -> None:
    with pytest.raises(ValueError, match=f"{name}.*final status is 200 to 999, not {status}"):
        fault_from_dict({"name": name, **GIVEN.get(name, {}), "status": status})


def test_what_would_stop_the_world_is_refused() -> None:
    """A head, and a block that has a hash, are made in one piece while nobody else is served."""
    with pytest.raises(ValueError, match="size is 67108864 at most"):
        CarHugeBlock(size=1 << 31)
    with pytest.raises(ValueError, match="bytes at most"):
        HeaderFlood(count=100_000, size=1_000_000)


@pytest.mark.parametrize(
    "document", [{"name": "html", "body": "\ud800"}, {"name": "status", "headers": {"A": "\udfff"}}]
)
def test_half_a_character_is_no_text(document: dict[str, Any]) -> None:
    """JSON can say it, and no encoding."""
    with pytest.raises(ValueError, match="not"):
        fault_from_dict(document)


def test_empty_is_empty_in_every_framing() -> None:
    """Chunks of which the last never comes would be a stall."""
    answer = spoiled(blocks, [Empty()])(ASKED["car"][1])
    assert b"content-length: 0" in answer.head_bytes(close=False).lower()
    assert b"chunked" not in answer.head_bytes(close=False)


def test_a_header_of_any_text_is_sent() -> None:
    """A byte for each character where that can be, else UTF-8."""
    made = fault_from_dict({"name": "status", "headers": {"X-One": "ü", "X-Two": "ü😀"}})
    head = spoiled(file, [made])(ASKED["all"][1]).head_bytes(close=False)
    assert b"X-One: \xfc\r\n" in head
    assert "X-Two: ü😀\r\n".encode() in head
