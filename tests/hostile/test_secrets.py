"""Canaries: every secret there can be, given to servers that hand it back in every place, and looked for in every output (P7).

Looked through: stdout and stderr of each command, events, `.metrics.json`, the state database, partials and ledgers, the
journals of hosts that a secret was not given for, and what exceptions and objects say of themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.faults import Status
from fakes.world import World
from fallback import Manifest, Settings, sync
from fallback.errors import FallbackError
from fallback.publish.targets import Pinata, PinataV3
from fallback.sources import HuggingFace, mirrors
from tests.hostile.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN, JWT, KEY, SECRET = "hf_canaryA1", "eyJcanaryA2.x.y", "canaryA3", "canaryA4"
PROXY, SIGNED = "canaryA5", "canaryA6"
SHA256 = "0" * 64
FILES = 14

ECHOES = [
    "{0}\r\n\r\n",
    "HTTP/1.1 {0} OK\r\n\r\n",
    "HTTP/1.1 200 {0}\r\nContent-Length: {0}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: {0}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Encoding: {0}\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: {0}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{0}\r\n",
    'HTTP/1.1 200 OK\r\nETag: "{0}"\r\nContent-Length: 1\r\n\r\ny',
    "HTTP/1.1 206 OK\r\nContent-Range: bytes {0}\r\nContent-Length: 1\r\n\r\ny",
    "HTTP/1.1 429 OK\r\nRetry-After: {0}\r\nRateLimit: {0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 OK\r\n\r\n{0}",
    "HTTP/1.1 418 {0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 {0}\r\nWWW-Authenticate: {0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: http://{0}.invalid/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: http://exa%00mple/?{0}\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: {0}://x/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: /{0}\r\nContent-Length: 0\r\n\r\n",
    'HTTP/1.1 400 B\r\n\r\n{{"error": {{"reason": "{0}"}}, "message": "{0}"}}',
    'HTTP/1.1 403 B\r\n\r\n{{"error": {{"reason": "{0}", "details": "{0}"}}}}',
    'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{{"IpfsHash": "{0}", "sha": "{0}", "data": {{"cid": "{0}"}}}}',
]  # fmt: skip
"""Where an answer can hold what it was asked with."""


class Echo:
    """A server that hands back the secrets of each request, each time in another place."""

    def __init__(self) -> None:
        self.answered = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._forms = itertools.cycle(ECHOES)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                asked = connection.recv(1 << 20).decode("latin-1")
                found = [each for each in (TOKEN, JWT, KEY, SECRET, SIGNED) if each in asked]
                connection.sendall(next(self._forms).format(*(found or ["nothing"])).encode())
                self.answered += 1
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(0.2)
                while connection.recv(1 << 16):
                    pass


@pytest.fixture(name="echo")
def _echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture(name="environment")
def _environment(tmp_path: Path, echo: Echo, filled: Path, document: dict[str, Any]) -> dict[str, str]:
    """Everything that is secret, and everybody who may get it is the echo."""
    files = {f"{number}.bin": {"size": 1, "sha256": SHA256} for number in range(FILES)}
    document["many"] = {"type": "x", "dir": "many", "files": files, "huggingface": {"repo": "org/many"}}
    (filled / ".manifests.json").write_text(json.dumps(document))
    return {
        "HF_TOKEN": TOKEN,
        "PINATA_JWT": "",
        "FALLBACK_MODELS_DIR": str(filled),
        "FALLBACK_HF_ENDPOINT": echo.url,
        "FALLBACK_GATEWAYS": echo.url,
        "FALLBACK_PINATA_API": echo.url,
        "FALLBACK_PINATA_UPLOADS": echo.url,
        "FALLBACK_BACKOFF_S": "0",
        "FALLBACK_MAX_WAIT_S": "0",
        "FALLBACK_TIMEOUT_S": "1",
        "FALLBACK_RESERVE_BYTES": "0",
        "FALLBACK_JOBS": "1",
    }


COMMANDS = [
    ["sync"], ["sync", "--json"], ["sync", "--quiet"], ["sync", "--dry-run"], ["verify"], ["verify", "--repair"], ["status"],
    ["status", "--json"], ["sources"], ["metrics", "records"], ["metrics", "summary"], ["metrics", "health"],
    *[["manifest", "from-hub", "org/many"]] * 4, ["revalidate"],
]  # fmt: skip


def clean(text: str | bytes, where: str) -> None:
    """No canary in it, in any case of its letters."""
    data = text.encode() if isinstance(text, str) else text
    at = data.lower().find(b"canary")
    assert at < 0, f"{where}: …{data[max(0, at - 60) : at + 40]!r}"


def on_disk(folder: Path) -> int:
    """Look through every file below the folder; how many there were."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        clean(str(path), "a name")
        clean(path.read_bytes(), str(path))
    return len(files)


def test_no_command_tells_a_secret_that_a_server_hands_back(environment: dict[str, str], echo: Echo) -> None:
    """Two rounds of all commands: each file of the manifest meets other answers."""
    for number, command in enumerate(COMMANDS * 2):
        _, said = run(*command, env=environment)
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
