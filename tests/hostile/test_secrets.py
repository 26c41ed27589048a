"""Canaries: every secret there can be, given to servers that hand it back in every place, and looked for in every output (P7).

Looked through: stdout and stderr of each command, events, `.metrics.json`, the state database, partials and ledgers, the
journals of hosts that a secret was not given for, and what exceptions and objects say of themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Status
from fakes.world import World
from fallback import Manifest, Settings, sync
from fallback.errors import FallbackError
from fallback.publish.targets import Pinata, PinataV3
from fallback.sources import HuggingFace, mirrors
from tests.hostile.canaries import (
    ECHOES,
    JWT,
    KEY,
    PEER,
    PROXY,
    SECRET,
    SHA256,
    SIGNED,
    TOKEN,
    clean,
    on_disk,
)
from tests.hostile.commands import run

if TYPE_CHECKING:
    from tests.hostile.canaries import (
        Echo,
    )

COMMANDS = [
    ["sync"], ["sync", "--json"], ["sync", "--quiet"], ["sync", "--dry-run"], ["verify"], ["verify", "--repair"], ["status"],
    ["status", "--json"], ["sources"], ["metrics", "records"], ["metrics", "summary"], ["metrics", "health"],
    *[["manifest", "from-hub", "org/many"]] * 4, ["revalidate"],
]  # fmt: skip


def test_no_command_tells_a_secret_that_a_server_hands_back(environment: dict[str, str], echo: Echo) -> None:
    """Two rounds of all commands: each file of the manifest meets other answers."""
    for number, command in enumerate(COMMANDS * 2):
        _, said = run(*command, env=environment)
        clean(said, f"{number}: fallback {' '.join(command)}")
    assert echo.answered > 2 * len(ECHOES)
    assert on_disk(Path(environment["FALLBACK_MODELS_DIR"])) > 4


def test_no_sync_tells_a_token_that_a_peer_hands_back(environment: dict[str, str], echo: Echo) -> None:
    """The same of a peer: it is asked for each file before all others."""
    peers = {"FALLBACK_PEERS": f"{echo.url}/peer", "FALLBACK_PEER_TOKEN": PEER}
    for number, command in enumerate([["sync"], ["sync", "--json"], ["sources"], ["status"]] * 2):
        _, said = run(*command, env=environment | peers)
        clean(said, f"{number}: fallback {' '.join(command)}")
    assert echo.answered > 2 * len(ECHOES)
    assert on_disk(Path(environment["FALLBACK_MODELS_DIR"])) > 4


@pytest.mark.parametrize("keys", [{"PINATA_JWT": JWT}, {"PINATA_API_KEY": KEY, "PINATA_SECRET_KEY": SECRET}])
def test_publishing_tells_no_key(environment: dict[str, str], echo: Echo, keys: dict[str, str]) -> None:
    for round_ in range(len(ECHOES)):
        version = "v3" if "PINATA_JWT" in keys and round_ % 2 else "v1"
        code, said = run(
            "publish", "tiny", "--to", "pinata", "--pinata-api", version, "--json", env=environment | keys
        )
        assert code
        clean(said, f"publish, answer {round_}")
    assert echo.answered >= len(ECHOES)
    on_disk(Path(environment["FALLBACK_MODELS_DIR"]))


def test_a_signed_url_is_told_without_its_signature(
    environment: dict[str, str], echo: Echo, tmp_path: Path
) -> None:
    for round_ in range(len(ECHOES)):
        url = f"{echo.url}/a?X-Signature={SIGNED}"
        code, said = run(
            "get", url, "--sha256", SHA256, "-o", str(tmp_path / "out/x"), "--json", env=environment
        )
        assert code == 1
        clean(said, f"get, answer {round_}")
    on_disk(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HF_TOKEN", f"{TOKEN} \x80"),
        ("PINATA_JWT", f"{JWT}\n"),
        ("FALLBACK_GATEWAYS", f"http://user:{PROXY}@127.0.0.1:9"),
        ("FALLBACK_GATEWAYS", f"http://127.0.0.1:9?key={PROXY}"),
        ("FALLBACK_HF_ENDPOINT", f"http://{PROXY}:x@[::1"),
        ("http_proxy", f"http://user:{PROXY}@127.0.0.1:9"),
        ("http_proxy", f"http://user:{PROXY}@:x"),
        ("http_proxy", f"user:{PROXY}@127.0.0.1:9"),
        ("all_proxy", f"socks5://user:{PROXY}@127.0.0.1:9"),
    ],
)
def test_a_setting_that_cannot_be_used_is_not_quoted(
    environment: dict[str, str], variable: str, value: str
) -> None:
    for command in (
        ["sync", "many"],
        ["sync", "many", "--json"],
        ["sources"],
        ["publish", "tiny", "--to", "pinata"],
    ):
        _, said = run(*command, env=environment | {variable: value})
        clean(said, f"{variable}: fallback {' '.join(command)}")
    on_disk(Path(environment["FALLBACK_MODELS_DIR"]))


def test_urls_with_secrets_are_told_by_their_number(environment: dict[str, str], tmp_path: Path) -> None:
    for url in (f"http://u:{SIGNED}@127.0.0.1:9/", f"ftp://x/{SIGNED}", f"http://[{SIGNED}/"):
        code, said = run("get", url, "--sha256", SHA256, "-o", str(tmp_path / "x"), env=environment)
        assert code == 2
        clean(said, "get")
    clean(repr(mirrors([f"http://127.0.0.1:9/?{SIGNED}"])[0].name), "a mirror's name")


def test_only_the_hub_hears_its_token(tmp_path: Path) -> None:
    """Not a gateway, not the CDN that the Hub sends us to, not whoever it redirects to by mistake."""
    models = {
        "tiny": {
            "type": "x",
            "dir": "tiny",
            "files": {"a.bin": {"size": 2_000_000}},
            "huggingface": {"repo": "org/tiny"},
        }
    }
    with World(models, size="full", token=TOKEN, gated={"org/tiny"}, gateways=2) as world:
        world.add("gateway*", Status(404))
        settings = Settings(
            models_dir=tmp_path,
            gateways=tuple(world.gateways),
            hf_endpoint=world.hub,
            hf_token=TOKEN,
            reserve_bytes=0,
        )
        told: list[Any] = []
        assert sync(
            Manifest.parse(json.dumps(world.manifest()), name="w"), settings=settings, observer=told.append
        ).ok
        heard = {entry.server for entry in world.journal if "canary" in str(entry).lower()}
        signatures = {entry.query for entry in world.journal.select(server="cdn")}
        assert heard == {"hub"}
        assert {entry.server for entry in world.journal} == {"gateway1", "gateway2", "hub", "cdn"}
        clean(repr(told), "events")
        on_disk(tmp_path)
        assert any(signatures)
        everything = repr(told) + "".join(
            path.read_bytes().decode("latin-1")
            for path in tmp_path.rglob("*")
            if path.is_file() and path.name != "a.bin"
        )
        assert not [each for each in signatures if each and each in everything]


def test_only_listed_peers_hear_theirs(tmp_path: Path) -> None:
    """Not a gateway, nor the Hub, which are asked when the peer has nothing; nor the disk."""
    models = {"tiny": {"type": "x", "dir": "tiny", "files": {"a.bin": {"size": 2_000_000}}}}
    with World(models, size="full", gateways=1, peers=1, peer_token=PEER) as world:
        world.add("peer1", Status(404))
        settings = Settings(
            models_dir=tmp_path,
            peers=tuple(world.peers),
            peer_token=PEER,
            gateways=tuple(world.gateways),
            hf_endpoint=world.hub,
            reserve_bytes=0,
        )
        told: list[Any] = []
        manifest = Manifest.parse(json.dumps(world.manifest()), name="w")
        assert sync(manifest, settings=settings, observer=told.append).ok
        assert {entry.server for entry in world.journal if "canary" in str(entry).lower()} == {"peer1"}
        assert {entry.server for entry in world.journal} == {"peer1", "gateway1"}
    clean(repr(told) + repr(settings), "events and settings")
    on_disk(tmp_path)


def test_nothing_says_a_secret_of_itself() -> None:
    """A log line, an assertion or a debugger prints an object; its repr tells no secret."""
    settings = Settings(hf_token=TOKEN, pinata_jwt=JWT, pinata_key=KEY, pinata_secret=SECRET)
    hub = HuggingFace("http://127.0.0.1:9", TOKEN)
    keys = {"Authorization": f"Bearer {JWT}"}
    for each in (settings, hub, Pinata("http://127.0.0.1:9", keys), PinataV3("http://127.0.0.1:9", keys)):
        clean(repr(each), type(each).__name__)
        clean(str(each), type(each).__name__)
    with pytest.raises(FallbackError) as caught:
        Settings(hf_token=f"{TOKEN}\n\0")
    clean(repr(caught.value), "an error")
