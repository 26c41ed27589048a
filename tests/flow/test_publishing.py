"""Publishing: what was sent is what gateways serve, by the CID that is recorded; and no failure leaves a wrong record."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
import requests

from fakes.faults import (
    KuboError,
    OtherCid,
    PartialPin,
    PinataError,
    Refused,
    Reset,
    Status,
    UploadCut,
)
from fakes.pinata import JWT, KEY, SECRET
from fakes.world import World
from fallback import (
    ConfigError,
    FallbackError,
    PublishError,
    Settings,
    SettingsError,
    StoppedError,
    StorageError,
    UnavailableError,
    durable,
    load_manifest,
    publish_models,
    sync,
    write_car,
)
from fallback.events import Published, Uploading, Warned, as_json
from fallback.ipfs import car, reading
from fallback.ipfs.cid import Cid
from fallback.ipfs.unixfs import KUBO_CID_V1, V0_2015, V1_2025
from fallback.publish import targets, tree
from fallback.publish.package import Package
from fallback.state import FILE_NAME, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fallback.events import Event
    from fallback.ipfs.unixfs import Profile

MODELS: dict[str, Any] = {
    "tiny": {
        "type": "stt",
        "dir": "org/tiny",
        "huggingface": {"repo": "org/tiny", "repo_type": "model", "revision": "main", "path": ""},
        "files": {
            "config.json": {"size": 900},
            "onnx/model.onnx": {"size": 3_000_000},
            "onnx/empty": {"size": 0},
        },
    },
    "other": {
        "type": "voice",
        "dir": "other",
        "huggingface": {"repo": "org/other", "repo_type": "model", "revision": "main", "path": ""},
        "files": {"a b ä.bin": {"size": 300_000}, "100%25 'q'.bin": {"size": 10}},
    },
}


@pytest.fixture(name="world")
def _world() -> Iterator[World]:
    """Whose gateways have nothing yet, so that what they serve was published."""
    with World(MODELS, size="full", gateways=2, published=False) as world:
        yield world


@pytest.fixture(name="settings")
def _settings(world: World, tmp_path: Path) -> Settings:
    """All files are here, got from the Hub, and no CID is known."""
    settings = Settings(
        models_dir=tmp_path / "models",
        gateways=tuple(world.gateways),
        hf_endpoint=world.hub,
        pinata_jwt=JWT,
        pinata_api=world.pinata,
        pinata_uploads=world.pinata,
        kubo_api=world.kubo,
        timeout_s=0.5,
        connect_timeout_s=0.5,
        backoff_s=0.05,
        max_wait_s=1,
        publish_answer_s=5,
        reserve_bytes=0,
    )
    document = world.manifest(proofs=False)
    for model in document.values():
        del model["ipfs"]
    settings.models_dir.mkdir()
    (settings.models_dir / ".manifests.json").write_text(json.dumps(document))
    assert sync(settings=settings).ok
    world.journal.clear()
    return settings


def root(settings: Settings, profile: Profile, model: str = "tiny") -> str:
    return str(tree.of_path(settings.models_dir / MODELS[model]["dir"], profile).root.cid)


def recorded(settings: Settings) -> dict[str, str]:
    """CIDs by model, in the manifest; and the database has the same."""
    manifest = load_manifest(settings)
    with State(settings.state_path, print) as state:
        for model in manifest.models:
            assert state.cids.newest(model.name, model.type) == (model.ipfs.cid if model.ipfs else None)
    return {model.name: model.ipfs.cid for model in manifest.models if model.ipfs}


@pytest.mark.parametrize(
    ("to", "profile"), [("kubo", V1_2025), ("pinata", KUBO_CID_V1), ("pinata-v3", V1_2025)]
)
def test_published_and_synced_by_the_cid_that_came_back(
    world: World, settings: Settings, tmp_path: Path, to: Any, profile: Profile
) -> None:
    told: list[Event] = []
    made = publish_models(to=to, settings=settings, observer=told.append)
    assert {each.model: each.cid for each in made} == {name: root(settings, profile, name) for name in MODELS}
    assert recorded(settings) == {each.model: each.cid for each in made}
    assert {each.profile for each in made} == {profile.name}
    assert [event.cid for event in told if isinstance(event, Published)] == [each.cid for each in made]
    sent = [event for event in told if isinstance(event, Uploading)]
    assert all(event.sent <= event.total for event in sent)
    assert max(event.sent for event in sent) == max(event.total for event in sent) > 3_000_000
    for url in made[0].urls:
        assert requests.get(f"{url}/config.json", timeout=5).status_code == 200
    manifest = load_manifest(settings)
    document = json.loads(manifest.to_json())
    assert document["tiny"]["ipfsHash"] == made[0].cid
    assert document["tiny"]["publishedAt"].endswith("Z")
    assert document["tiny"]["files"]["onnx/model.onnx"]["cid"]
    assert len(document["tiny"]["files"]["onnx/model.onnx"]["chunks"]) == 3
    empty = replace(settings, models_dir=tmp_path / "again", hf_endpoint="http://127.0.0.1:9")
    assert {file.layer for file in sync(manifest, settings=empty).files} == {"ipfs"}


def test_other_keys_of_the_manifest_are_kept(settings: Settings) -> None:
    path = settings.models_dir / ".manifests.json"
    document = json.loads(path.read_text())
    document["tiny"]["note"] = [1]
    path.write_text(json.dumps(document))
    publish_models(["tiny"], to="kubo", settings=settings)
    after = json.loads(path.read_text())
    assert after["tiny"]["note"] == [1]
    assert "ipfs" not in after["other"]


def test_a_key_and_its_secret(world: World, settings: Settings) -> None:
    pair = replace(settings, pinata_jwt=None, pinata_key=KEY, pinata_secret=SECRET)
    assert publish_models(["tiny"], to="pinata", settings=pair)
    alone = replace(settings, pinata_jwt=None, pinata_key=JWT)
    assert publish_models(["tiny"], to="pinata", settings=alone)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "--to car"),
        ({"pinata_key": KEY}, "PINATA_SECRET_KEY is missing"),
        ({"pinata_secret": SECRET}, "PINATA_API_KEY is missing"),
    ],
)
def test_without_keys_the_message_says_what_to_set(
    world: World, settings: Settings, given: dict[str, Any], what: str
) -> None:
    with pytest.raises(SettingsError, match=what):
        publish_models(to="pinata", settings=replace(settings, pinata_jwt=None, **given))
    assert not world.journal.entries()


FAILURES: dict[str, tuple[str, Any, type[FallbackError], str]] = {
    "no scopes": ("pinata", PinataError(), UnavailableError, "NO_SCOPES_FOUND"),
    "revoked": ("pinata", PinataError(reason="API_KEY_REVOKED", details="x"), UnavailableError, "REVOKED"),
    "quota": (
        "pinata",
        PinataError(reason="PLAN_LIMIT", details="full"),
        UnavailableError,
        "PLAN_LIMIT full",
    ),
    "other cid": ("pinata", OtherCid(), PublishError, "something else"),
    "partial": ("pinata", PartialPin(), PublishError, "not all of it"),
    "lost at 90 %": ("pinata", UploadCut(), UnavailableError, "broke off"),
    "lost after it": ("pinata", Reset(offset=0), UnavailableError, "broke off"),
    "down": ("pinata", Refused(), UnavailableError, "refused"),
    "limit": ("pinata", Status(429, retry_after=1), UnavailableError, "429"),
    "redirect": (
        "pinata",
        Status(307, headers={"Location": "http://127.0.0.1:9/"}),
        UnavailableError,
        "redirect",
    ),
    "nonsense": ("pinata", Status(200, body="<html>"), UnavailableError, "not JSON"),
    "node refuses": ("kubo", Status(403), UnavailableError, "let us in"),
    "node fails": ("kubo", KuboError(where="status"), UnavailableError, "no space left"),
    "node's line": ("kubo", KuboError(where="line"), UnavailableError, "no space left"),
    "node's trailer": ("kubo", KuboError(where="trailer"), UnavailableError, "broke off"),
    "node's pin": ("kubo", KuboError(where="pin"), UnavailableError, "no space left"),
    "node is silent": ("kubo", KuboError(where="silence"), UnavailableError, "broke off"),
    "node has another": ("kubo", OtherCid(), PublishError, "something else"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_no_failure_leaves_a_record(world: World, settings: Settings, case: str) -> None:
    """And each is said in the service's own words; the key is in none of them."""
    server, fault, error, what = FAILURES[case]
    to: Any = server
    world.add(server, fault)
    told: list[Event] = []
    with pytest.raises(error, match=what) as caught:
        publish_models(["tiny"], to=to, settings=settings, observer=told.append)
    assert recorded(settings) == {}
    assert len(world.journal.select(server=server)) <= settings.hub_attempts
    assert "any source" not in str(caught.value)
    said = str(caught.value) + json.dumps([as_json(event) for event in told])
    assert JWT not in said


@pytest.mark.parametrize(
    "fault",
    [Status(503), Status(429, retry_after=0), UploadCut(), Reset(offset=0)],
    ids=lambda fault: fault.name,
)
def test_what_is_safe_to_send_again_is(world: World, settings: Settings, fault: Any) -> None:
    """Pinata knows content by its CID: a second upload of the same makes nothing twice."""
    world.add("pinata", fault, first=1)
    [made] = publish_models(["tiny"], to="pinata", settings=settings)
    assert recorded(settings) == {"tiny": made.cid}
    assert len(world.journal.select(server="pinata")) == 2


def test_a_cid_of_another_known_profile_is_recorded_as_that(world: World, settings: Settings) -> None:
    """What a service computes is its own affair: it is the right folder, and the profile says how."""
    cid = root(settings, V0_2015)
    world.add("pinata", Status(200, body=json.dumps({"IpfsHash": cid})))
    told: list[Event] = []
    [made] = publish_models(["tiny"], to="pinata", settings=settings, observer=told.append)
    assert (made.cid, made.profile) == (cid, V0_2015.name)
    assert any("unixfs-v0-2015" in event.message for event in told if isinstance(event, Warned))
    assert load_manifest(settings).models[0].ipfs is not None


def test_a_lost_database_has_the_published_cids_again(world: World, settings: Settings) -> None:
    """From the manifest, without a request: every file is here."""
    publish_models(["tiny"], to="kubo", settings=settings)
    before = recorded(settings)
    (settings.state_path / FILE_NAME).write_bytes(b"no database, but long enough to be one" * 100)
    world.journal.clear()
    assert sync(settings=settings).ok
    assert not world.journal.entries()
    assert recorded(settings) == before


def test_what_is_not_here_or_not_right_is_not_published(world: World, settings: Settings) -> None:
    """All of it is named, and nothing is sent."""
    (settings.models_dir / "org/tiny/config.json").unlink()
    path = settings.models_dir / "org/tiny/onnx/model.onnx"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(ConfigError, match=r"(?s)config.json: is not here.*onnx: is not the file.*sync tiny"):
        publish_models(["tiny"], to="kubo", settings=settings)
    assert not world.journal.entries()


def test_what_is_private_is_served_by_nobody(world: World, settings: Settings) -> None:
    """So it is by default at Pinata's v3: that an upload is made public is what gets it to the gateways."""
    cid = root(settings, V1_2025)
    assert requests.get(f"{world.gateways[0]}/ipfs/{cid}/config.json", timeout=5).status_code == 404
    publish_models(["tiny"], to="pinata-v3", settings=settings)
    assert requests.get(f"{world.gateways[0]}/ipfs/{cid}/config.json", timeout=5).status_code == 200


def test_what_v3_does_not_take_is_not_sent(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "V3_MOST_BYTES", 3_000_000)
    with pytest.raises(SettingsError, match="use --pinata-api v1"):
        publish_models(["tiny"], to="pinata-v3", settings=settings)
    assert publish_models(["other"], to="pinata-v3", settings=settings)
    assert [entry.path for entry in world.journal.select(server="pinata")] == ["/v3/files"]


def test_offline_nothing_is_published(world: World, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="offline"):
        publish_models(to="kubo", settings=replace(settings, offline=True))
    assert not world.journal.entries()


def test_a_stop_ends_the_hashing(world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files that take many seconds: the rest is not read, and nothing is sent."""
    monkeypatch.setattr(Package, "of", lambda *_: pytest.fail("all was read"))
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        publish_models(["tiny"], to="kubo", settings=settings, stop=stop)
    assert not world.journal.entries()


def test_a_car_needs_nobody(world: World, settings: Settings, tmp_path: Path) -> None:
    """It has every block of both models, in an order that needs none to be kept; and nothing is recorded."""
    output = tmp_path / "models.car"
    made = write_car([], output, settings=settings)
    assert {each.model: each.cid for each in made} == {name: root(settings, V1_2025, name) for name in MODELS}
    with output.open("rb") as stream:
        blocks = car.BlocksOf(stream, keep=0)
        for each in made:
            for path in MODELS[each.model]["files"]:
                cid = reading.resolve(Cid.parse(each.cid), path, dict_of(output).__getitem__)
                data = b"".join(reading.file(cid, dict_of(output).__getitem__))
                assert data == (settings.models_dir / MODELS[each.model]["dir"] / path).read_bytes()
        walked = sum(1 for _ in walk(Cid.parse(made[0].cid), blocks))
        assert walked == 8
        assert blocks.rest() > 0
    assert recorded(settings) == {}
    assert not world.journal.entries()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".car")] == ["models.car"]


def dict_of(path: Path) -> dict[Cid, bytes]:
    return dict(car.read(io.BytesIO(path.read_bytes())))


def walk(cid: Cid, blocks: Any) -> Iterator[Cid]:
    node = reading.opened(cid, blocks)
    yield cid
    for link in node.links:
        yield from walk(link.cid, blocks)


def test_a_car_that_cannot_be_written_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(FallbackError, match="nowhere"):
        write_car([], tmp_path / "nowhere" / "x.car", settings=settings)
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(FallbackError, match="plain"):
        write_car([], tmp_path / "plain" / "x.car", settings=settings)
    path = settings.models_dir / "org/tiny/config.json"
    path.unlink()
    with pytest.raises(ConfigError):
        write_car([], tmp_path / "x.car", settings=settings)
    assert not (tmp_path / "x.car").exists()


FULL_DISK = r"No space left on device: free space on its disk, then run this again$"


@pytest.mark.parametrize("place", ["write", "end"])
def test_a_car_on_a_full_disk_is_not_said_to_be_kept(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A car is written anew each time; what of it was written is gone."""
    replacing = durable.replacing

    @contextlib.contextmanager
    def full(path: Path) -> Iterator[BinaryIO]:
        with replacing(path) as stream:
            if place == "write":
                monkeypatch.setattr(stream, "write", _no_space, raising=False)
            yield stream
            _no_space()

    monkeypatch.setattr(durable, "replacing", full)
    with pytest.raises(StorageError, match=FULL_DISK):
        write_car([], tmp_path / "x.car", settings=settings)
    assert not [path for path in tmp_path.iterdir() if path.name != "models"]


def test_a_record_on_a_full_disk_is_not_said_to_be_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is pinned, and nothing of that is written down: it is to be published again."""
    before = (settings.models_dir / ".manifests.json").read_bytes()
    monkeypatch.setattr(durable, "write_text", _no_space)
    with pytest.raises(StorageError, match=FULL_DISK):
        publish_models(["tiny"], to="kubo", settings=settings)
    assert (settings.models_dir / ".manifests.json").read_bytes() == before
    assert recorded(settings) == {}


def _no_space(*_: Any) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_key_is_in_no_file(world: World, settings: Settings) -> None:
    """P7."""
    publish_models(["tiny"], to="pinata", settings=settings)
    world.add("pinata", PinataError())
    with pytest.raises(UnavailableError):
        publish_models(["tiny"], to="pinata", settings=settings)
    for path in settings.models_dir.rglob("*"):
        if path.is_file() and not path.name.endswith((".onnx",)):
            assert JWT.encode() not in path.read_bytes()
    assert JWT not in repr(settings)
    with sqlite3.connect(settings.state_path / "state.sqlite3") as database:
        assert not any(JWT in line for line in database.iterdump())
