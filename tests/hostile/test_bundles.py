"""Bundles spoiled in every way: whatever comes of one, nothing is visible that is not right, and nothing else is raised.

10,000 of them: `FALLBACK_FUZZ=50 pytest tests/hostile/test_bundles.py`, with --basetemp on a memory disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback import (
    FallbackError,
    Manifest,
    Settings,
    create_bundle,
    install_bundle,
    load_manifest,
    sync,
    write_car,
)
from fallback.bundles.input import zstd_of
from fallback.tar import BLOCK, END, header, padding
from tests.hostile.conftest import BYTES
from tests.hostile.fuzzing import examples, misedited, spoiled, tried

if TYPE_CHECKING:
    from pathlib import Path

Member = tuple[bytes, bytes]
"""What stands before a file's bytes, and these, padded."""

KINDS = b"0\x001234567xgSLKDMNVZ"
NAMES = [
    "../../evil", "/tmp/evil", "org/tiny/../../evil", "org/tiny/config.json", "org/tiny", "org/tiny/config.json/x", ".manifests.json",
    ".fallback/state.sqlite3", ".metrics.json", "org/tiny/CONFIG.JSON", "org/tiny//config.json", "./org/tiny/config.json", "", "a" * 100,
]  # fmt: skip
KEYS = [
    b"path",
    b"size",
    b"linkpath",
    b"GNU.sparse.realsize",
    b"hdrcharset",
    b"mtime",
    b"uid",
    b"SCHILY.xattr.x",
]


@pytest.fixture(name="good")
def _good(filled: Path) -> bytes:
    """A bundle that is right."""
    create_bundle([], filled.parent / "good.tar", settings=Settings(models_dir=filled))
    return (filled.parent / "good.tar").read_bytes()


def members(data: bytes) -> list[Member]:
    found, at = [], 0
    with tarfile.open(fileobj=__import__("io").BytesIO(data)) as opened:
        for each in opened:
            end = each.offset_data + each.size + (-each.size % BLOCK)
            found.append((data[at : each.offset_data], data[each.offset_data : end]))
            at = end
    return found


def fixed(block: bytes, at: int, value: bytes) -> bytes:
    """A header with other bytes at a place, and the checksum that belongs to them."""
    changed = bytearray(block)
    changed[at : at + len(value)] = value
    del changed[len(block) :]
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:BLOCK])
    return bytes(changed)


@st.composite
def edited(draw: st.DrawFn, head: bytes) -> bytes:
    """A header that says something else, under a right checksum."""
    match draw(st.sampled_from(["kind", "name", "size", "field", "prefix", "link"])):
        case "kind":
            return fixed(head, 156, bytes([draw(st.sampled_from(KINDS))]))
        case "name":
            return fixed(head, 0, draw(st.sampled_from(NAMES)).encode().ljust(100, b"\0"))
        case "prefix":
            return fixed(head, 345, draw(st.sampled_from(NAMES)).encode()[:154] + b"\0")
        case "size":
            sizes = [
                b"%011o\0" % draw(st.integers(0, 8**11 - 1)),
                b"\x80" + draw(st.binary(min_size=11, max_size=11)),
            ]
            return fixed(head, 124, draw(st.sampled_from(sizes)))
        case "link":
            return fixed(fixed(head, 156, b"2"), 157, b"/etc/passwd\0")
        case _:
            return fixed(head, draw(st.integers(0, BLOCK - 1)), draw(st.binary(min_size=1, max_size=8)))


@st.composite
def pax(draw: st.DrawFn) -> Member:
    """A header of pax, or one that only looks so; or GNU's long name."""
    records = []
    for _ in range(draw(st.integers(1, 3))):
        values = [
            draw(st.sampled_from(NAMES)).encode(),
            b"%d" % draw(st.integers(-5, 1 << 70)),
            draw(st.binary(max_size=40)),
        ]
        rest = b" " + draw(st.sampled_from(KEYS)) + b"=" + draw(st.sampled_from(values)) + b"\n"
        count = next(
            count for count in range(len(rest), len(rest) + 9) if len(str(count)) + len(rest) == count
        )
        records.append(b"%d" % (count + draw(st.sampled_from([0, 0, 0, 0, -1, 1, 90000]))) + rest)
    data = b"".join(records)
    if draw(st.booleans()):
        return fixed(header("p", len(data)), 156, draw(st.sampled_from([b"x", b"x", b"g"]))), data + padding(
            len(data)
        )
    name = draw(st.sampled_from(NAMES)).encode() + b"\0"
    block = fixed(
        fixed(header("././@LongLink", len(name)), 257, b"ustar  \0"), 156, draw(st.sampled_from([b"L", b"K"]))
    )
    return block, name + padding(len(name))


@st.composite
def rearranged(draw: st.DrawFn, good: bytes) -> bytes:
    """Its members in other places, doubled, missing, under other headers, with others between them."""
    held = members(good)
    for _ in range(draw(st.integers(1, 3))):
        at, other = draw(st.integers(0, len(held) - 1)), draw(st.integers(0, len(held) - 1))
        match draw(
            st.sampled_from(
                ["swap", "swap data", "double", "drop", "edit", "edit", "pax", "pax", "data", "manifest"]
            )
        ):
            case "swap":
                held[at], held[other] = held[other], held[at]
            case "swap data":
                held[at], held[other] = (held[at][0], held[other][1]), (held[other][0], held[at][1])
            case "double":
                held.insert(other, held[at])
            case "drop" if len(held) > 1:
                del held[at]
            case "pax":
                held.insert(at, draw(pax()))
            case "data":
                held[at] = (held[at][0], draw(spoiled(held[at][1])))
            case "manifest":
                text = json.dumps(draw(misedited(json.loads(members(good)[0][1].rstrip(b"\0"))))).encode()
                held[0] = (header(".manifests.json", len(text)), text + padding(len(text)))
            case _:
                held[at] = (draw(edited(held[at][0])), held[at][1])
    behind = draw(
        st.sampled_from([END, END, END, b"", END[:BLOCK], END + b"x", END + good, END + bytes(1 << 14)])
    )
    return b"".join(head + data for head, data in held) + behind


def broken(good: bytes) -> st.SearchStrategy[bytes]:
    """A bundle that is no more what it was; now and then one that still is."""
    cut = st.integers(0, len(good)).map(lambda size: good[:size])
    packed = rearranged(good).map(lambda data: zstd_of("a test").compress(data))
    return spoiled(good) | rearranged(good) | rearranged(good) | cut | packed | packed.flatmap(spoiled)


def visible(folder: Path) -> dict[str, bytes]:
    """Every name below the folder that a user of the models could open; of a folder with nothing in it, too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else b"?"
        for path in folder.rglob("*")
        if path.relative_to(folder).parts[0] not in {".fallback", ".manifests.json"}
        and not path.is_dir() | path.name.endswith(".bak")
    }


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Settings:
    """A folder to install into; its state is kept from example to example, as a long life would."""
    (tmp_path / "stage").mkdir()
    return Settings(models_dir=tmp_path / "stage/models", state_dir=tmp_path / "state", reserve_bytes=0)


@examples(200)
@given(data=st.data())
def test_a_spoiled_bundle(
    good: bytes, stage: Settings, document: dict[str, Any], data: st.DataObject
) -> None:
    """All that becomes visible is promised by the manifest in force, byte by byte; after an error, nothing new is."""
    bad = data.draw(broken(good))
    given_, held = data.draw(st.booleans()), data.draw(st.booleans())
    shutil.rmtree(stage.models_dir, ignore_errors=True)
    stage.models_dir.mkdir()
    (stage.models_dir / ".manifests.json").write_text("{}" if held else json.dumps(document))
    path = stage.models_dir.parent / "bad.tar"
    path.write_bytes(bad)
    settings = stage
    if given_:
        (stage.models_dir.parent / "given.json").write_text(json.dumps(document))
        settings = replace(stage, manifest=stage.models_dir.parent / "given.json")
    before = (stage.models_dir / ".manifests.json").read_bytes()
    with tried("bundle"):
        try:
            summary = install_bundle(path, settings=settings, replace_models=data.draw(st.booleans()))
        except FallbackError as error:
            assert str(error)
            assert not visible(stage.models_dir)
            assert (stage.models_dir / ".manifests.json").read_bytes() == before
        else:
            assert summary.ok
    promised = {model.target(file): file.sha256 for model, file in load_manifest(settings).files()}
    seen = visible(stage.models_dir)
    assert {
        name: hashlib.sha256(content).hexdigest() for name, content in seen.items()
    }.items() <= promised.items()
    if given_:
        assert seen in ({}, {f"org/tiny/{name}": content for name, content in BYTES.items()})
    assert {each.name for each in stage.models_dir.parent.iterdir()} <= {"models", "bad.tar", "given.json"}


@examples(20)
@given(data=st.data())
def test_a_spoiled_bundle_as_a_source(
    good: bytes, stage: Settings, document: dict[str, Any], data: st.DataObject
) -> None:
    """A sync ends, and what it got out of it is right."""
    path = stage.models_dir.parent / "bad.tar"
    path.write_bytes(data.draw(broken(good)))
    shutil.rmtree(stage.models_dir, ignore_errors=True)
    settings = replace(stage, bundle=path, offline=True, backoff_s=0.0, max_wait_s=0.0, timeout_s=2)
    with tried("bundle as a source"):
        sync(Manifest.parse(json.dumps(document), name="given"), settings=settings)
    right = {f"org/tiny/{name}": content for name, content in BYTES.items()}
    seen = visible(stage.models_dir)
    seen.pop(".metrics.json", None)  # of attempts, and one that is no bundle is not asked
    assert seen.items() <= right.items()


@examples(40)
@given(data=st.data())
def test_a_spoiled_car(filled: Path, stage: Settings, document: dict[str, Any], data: st.DataObject) -> None:
    """Of a CAR, too: only what the manifest that is given promises becomes visible, all of it or nothing."""
    path = stage.models_dir.parent / "bad.car"
    if not (filled.parent / "good.car").exists():
        write_car([], filled.parent / "good.car", settings=Settings(models_dir=filled))
    path.write_bytes(data.draw(spoiled((filled.parent / "good.car").read_bytes())))
    (stage.models_dir.parent / "given.json").write_text(json.dumps(document))
    shutil.rmtree(stage.models_dir, ignore_errors=True)
    right = {f"org/tiny/{name}": content for name, content in BYTES.items()}
    with tried("CAR as a bundle"):
        try:
            install_bundle(path, settings=replace(stage, manifest=stage.models_dir.parent / "given.json"))
        except FallbackError as error:
            assert str(error)
            assert not visible(stage.models_dir)
        else:
            assert visible(stage.models_dir) == right
