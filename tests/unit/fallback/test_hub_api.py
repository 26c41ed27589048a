"""HuggingFace's API against a server that is not ours: pages, errors, and answers nobody should believe."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug import Response

from fallback import hub_api
from fallback.errors import StoppedError, UnavailableError
from fallback.events import Waiting
from fallback.hub_answers import Entry
from fallback.hub_api import HubApi
from fallback.manifest import File, HubRef, Model
from fallback.run import running
from fallback.settings import Settings
from fallback.sources import HuggingFace
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from fallback.events import Event

COMMIT = "c0" * 20
REF = HubRef("org/tiny", revision="main")
PINNED = HubRef("org/tiny", revision=COMMIT)
REVISION = "/api/models/org/tiny/revision/main"
TREE = f"/api/models/org/tiny/tree/{COMMIT}"
TEXT = b'{"a": 1}\n'
GIT_ID = hashlib.sha1(b"blob %d\0" % len(TEXT) + TEXT).hexdigest()
LFS = {"oid": "ab" * 32, "size": 7, "pointerSize": 130}

Ask = Callable[..., HubApi]


def file(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "oid": "1" * 40, "size": 5, "path": path, **more}


def small(path: str = "config.json", size: int = len(TEXT), ref: HubRef = PINNED) -> Wanted:
    only = File(path, size, None)
    return Wanted(Model("tiny", "stt", "tiny", (only,), huggingface=ref), only)


def many(answers: list[Response]) -> Callable[[Request], Response]:
    """These answers in turn; the last of them for ever."""
    return lambda _request: answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(name="told")
def _told() -> list[Event]:
    return []


@pytest.fixture(name="endpoint")
def _endpoint(httpserver: HTTPServer) -> str:
    return httpserver.url_for("").rstrip("/")


@pytest.fixture(name="settings")
def _settings(tmp_path: Path, endpoint: str) -> Settings:
    """Nothing sleeps, and three attempts are all there are."""
    return Settings(
        models_dir=tmp_path, hf_endpoint=endpoint, backoff_s=0, max_wait_s=0, timeout_s=0.4, hub_attempts=3
    )


@pytest.fixture(name="api")
def _api(settings: Settings, told: list[Event]) -> Iterator[HubApi]:
    hub = HuggingFace(settings.hf_endpoint)
    with running(settings, (hub,), told.append, None, types={}) as (run, _):
        yield HubApi(run, hub)


@pytest.fixture(name="api_with_token")
def _api_with_token(settings: Settings) -> Iterator[HubApi]:
    hub = HuggingFace(settings.hf_endpoint, "hf_secret")
    with running(settings, (hub,), None, None, types={}) as (run, _):
        yield HubApi(run, hub)


def reason(of: Callable[[], object]) -> str:
    """Why the Hub could not say it: one source, one reason."""
    with pytest.raises(UnavailableError) as caught:
        of()
    ((_source, why),) = caught.value.reasons
    return why


def test_a_revision_is_resolved_to_its_commit(httpserver: HTTPServer, api: HubApi) -> None:
    httpserver.expect_oneshot_request(REVISION).respond_with_json({"sha": COMMIT, "siblings": []})
    assert api.commit(REF) == COMMIT


def test_a_revision_is_one_segment_and_a_dataset_has_its_own_place(
    httpserver: HTTPServer, api: HubApi
) -> None:
    httpserver.expect_request("/api/datasets/org/tiny/revision/refs/pr/1").respond_with_json({"sha": COMMIT})
    assert api.commit(HubRef("org/tiny", "dataset", "refs/pr/1")) == COMMIT
    assert httpserver.log[0][0].environ["REQUEST_URI"].endswith("/revision/refs%2Fpr%2F1")


def test_pages_are_followed_verbatim_to_the_last(
    httpserver: HTTPServer, endpoint: str, api_with_token: HubApi
) -> None:
    """Also a cursor that we would have quoted otherwise, and a `next` that is not the first link; the token goes along."""
    pages = {
        "recursive=true&expand=false": ("<https://x.invalid/>; rel=first, ", "a=b&cursor=Zm9v%3D%3A:+1"),
        "a=b&cursor=Zm9v%3D%3A:+1": ("", "cursor=last"),
        "cursor=last": (None, ""),
    }

    def page(request: Request) -> Response:
        query = request.query_string.decode()
        before, following = pages[query]
        link = {"Link": f'{before}<{endpoint}{TREE}?{following}>; rel="next"'} if following else {}
        return Response(json.dumps([file(f"{list(pages).index(query)}.bin", lfs=LFS)]), headers=link)

    httpserver.expect_request(TREE).respond_with_handler(page)
    assert [entry.path for entry in api_with_token.tree(PINNED)] == ["0.bin", "1.bin", "2.bin"]
    assert {request.headers["Authorization"] for request, _ in httpserver.log} == {"Bearer hf_secret"}


def test_a_file_in_lfs_has_its_own_size_and_sha256(httpserver: HTTPServer, api: HubApi) -> None:
    """Not the pointer's; a small one has git's id alone, and folders are no files."""
    folder = {"type": "directory", "oid": "2" * 40, "size": 0, "path": "onnx"}
    large = file("onnx/model.onnx", lfs=LFS, xetHash="e" * 64)
    httpserver.expect_request(TREE).respond_with_json([folder, large, file("a.json"), file("b", lfs=None)])
    assert api.tree(PINNED) == [
        Entry("onnx/model.onnx", 7, "1" * 40, "ab" * 32),
        Entry("a.json", 5, "1" * 40, None),
        Entry("b", 5, "1" * 40, None),
    ]


def test_a_folder_s_files_are_named_below_it(httpserver: HTTPServer, api: HubApi) -> None:
    """And a file from elsewhere is refused: it would be fetched from a place where it is not."""
    ref = HubRef("org/tiny", revision=COMMIT, path="a b")
    httpserver.expect_oneshot_request(f"{TREE}/a b").respond_with_json([file("a b/x/y")])
    assert [entry.path for entry in api.tree(ref)] == ["x/y"]
    httpserver.expect_request(f"{TREE}/a b").respond_with_json([file("a bc/x")])
    assert 'entry 1 ("a bc/x")' in reason(lambda: api.tree(ref))


def test_a_next_page_on_another_origin_is_not_asked(
    httpserver: HTTPServer, endpoint: str, api_with_token: HubApi
) -> None:
    """P7: the token, and what we believe of a list, are the endpoint's alone. It says which host, and what to set."""
    elsewhere = endpoint.replace("localhost", "127.0.0.1")
    assert elsewhere != endpoint
    link = {"Link": f'<{elsewhere}/stolen>; rel="next"'}
    httpserver.expect_request(TREE).respond_with_json([file("x")], headers=link)
    httpserver.expect_request("/stolen").respond_with_json([])
    why = reason(lambda: api_with_token.tree(PINNED))
    assert f"another host, {elsewhere.removeprefix('http://')}" in why
    assert "hf_endpoint" in why
    assert all(request.path == TREE for request, _ in httpserver.log)


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (f'<{TREE}?recursive=true&expand=false>; rel="next"', "in a circle"),
        ('<ftp://x.invalid/>; rel="next"', "no http or https URL"),
        ("<http://[::1/>; rel=next", "no http or https URL"),
        ('</\x7f>; rel="prev next"', "no http or https URL"),
    ],
)
def test_a_next_page_that_leads_nowhere(httpserver: HTTPServer, api: HubApi, link: str, why: str) -> None:
    """Relative ones are followed (RFC 8288): so is this circle seen."""
    if link.startswith("</api"):
        link = f"<{httpserver.url_for('')}{link[2:]}"
    httpserver.expect_request(TREE).respond_with_json([], headers={"Link": link})
    assert why in reason(lambda: api.tree(PINNED))


def test_what_is_no_next_page(httpserver: HTTPServer, api: HubApi) -> None:
    link = '</a>; rel="nextish", </b>; title="next", </c>; rel=prev, <d>'
    httpserver.expect_request(TREE).respond_with_json([], headers={"Link": link})
    assert api.tree(PINNED) == []
    assert len(httpserver.log) == 1


def test_pages_without_end_are_bounded(
    httpserver: HTTPServer, api: HubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_api, "MAX_PAGES", 5)

    def page(request: Request) -> Response:
        number = int(request.args.get("cursor", 0)) + 1
        return Response("[]", headers={"Link": f'<{TREE}?cursor={number}>; rel="next"'})

    httpserver.expect_request(TREE).respond_with_handler(page)
    assert "more than 5 pages" in reason(lambda: api.tree(PINNED))
    assert len(httpserver.log) == 5 + 1  # once more, as with whatever is malformed


@pytest.mark.parametrize("announced", [True, False])
def test_a_list_is_bounded_over_all_its_pages(
    httpserver: HTTPServer, api: HubApi, monkeypatch: pytest.MonkeyPatch, *, announced: bool
) -> None:
    """Each page is under the bound, the two are not; nor is an endless one read to its end."""
    page = json.dumps([file("x" * 300)]).encode()
    monkeypatch.setattr(hub_api, "MAX_LIST_BYTES", 600)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1 << 26:
            sent += 1 << 16
            yield b" " * (1 << 16)

    link = {"Link": f'<{TREE}?cursor=1>; rel="next"'}
    httpserver.expect_oneshot_request(TREE).respond_with_data(page, headers=link)
    httpserver.expect_request(TREE, query_string="cursor=1").respond_with_handler(
        lambda _request: Response(page if announced else endless())
    )
    assert f"{600 - len(page)}" in reason(lambda: api.tree(PINNED))
    assert sent < 1 << 25


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"<html>",
        b"[" * 100_000,
        b"1" * 10_000,
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"sha": 1}',
        b'{"sha": null}',
        b'{"sha": "main"}',
        b'{"sha": "%s"}' % (b"A" * 40),
        b'{"sha": "../%s"}' % (b"a" * 37),
    ],
    ids=repr,
)
def test_a_commit_that_is_none(httpserver: HTTPServer, api: HubApi, body: bytes) -> None:
    """Asked once more, and then the reason is said; what is no commit never gets into a URL or a manifest."""
    httpserver.expect_request(REVISION).respond_with_data(body, content_type="application/json")
    assert reason(lambda: api.commit(REF))
    assert len(httpserver.log) == 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        "file",
        {},
        {"type": "submodule", "path": "x"},
        file("x") | {"size": -1},
        file("x") | {"size": True},
        file("x") | {"size": 1.5},
        file("x") | {"size": "5"},
        file("x") | {"size": 2**63},
        file("x") | {"oid": "1" * 39},
        file("x") | {"oid": None},
        file("x") | {"path": ["x"]},
        file("x", lfs={}),
        file("x", lfs="yes"),
        file("x", lfs={"oid": "ab", "size": 7}),
        file("x", lfs={"oid": "ab" * 32, "size": True}),
        file("x", lfs={"oid": "ab" * 32}),
    ],
    ids=repr,
)
def test_a_list_that_is_not_understood_is_refused_whole(
    httpserver: HTTPServer, api: HubApi, value: Any
) -> None:
    """Never with the file left out: a manifest without it would be believed."""
    httpserver.expect_request(TREE).respond_with_json([file("good"), value])
    assert "entry 2" in reason(lambda: api.tree(PINNED))


def test_a_list_that_is_no_list(httpserver: HTTPServer, api: HubApi) -> None:
    httpserver.expect_request(TREE).respond_with_json({"error": "no"})
    assert "no JSON array" in reason(lambda: api.tree(PINNED))


ERRORS: list[tuple[int, dict[str, str], bool, list[str]]] = [
    (401, {}, False, ["no model repository org/tiny", "private", "HF_TOKEN"]),
    (401, {"X-Error-Code": "RepoNotFound"}, False, ["no model repository org/tiny", "HF_TOKEN"]),
    (401, {}, True, ["does not accept this token", "HF_TOKEN"]),
    (401, {"X-Error-Code": "GatedRepo"}, False, ["gated", "/org/tiny", "set HF_TOKEN"]),
    (403, {"X-Error-Code": "GatedRepo"}, True, ["gated", "ask for access", "let in"]),
    (403, {}, False, ["wants a token", "HF_TOKEN"]),
    (403, {"X-Error-Message": "Access to it is disabled.\x1b"}, False, ["disabled", "\\u001b"]),
    (404, {"X-Error-Code": "RepoNotFound"}, True, ["no model repository org/tiny", "dataset"]),
    (404, {"X-Error-Code": "RevisionNotFound"}, False, ['no revision "main"']),
    (404, {}, False, ["not there (404)"]),
    (400, {}, False, ["status 400"]),
]


@pytest.mark.parametrize(("status", "headers", "known", "says"), ERRORS)
def test_errors_say_what_to_do(
    httpserver: HTTPServer,
    api: HubApi,
    api_with_token: HubApi,
    status: int,
    headers: dict[str, str],
    says: list[str],
    *,
    known: bool,
) -> None:
    """And are not asked again where that is of no use; no message holds the token."""
    httpserver.expect_request(REVISION).respond_with_json({"error": "no"}, status=status, headers=headers)
    why = reason(lambda: (api_with_token if known else api).commit(REF))
    assert [part for part in says if part not in why] == [], why
    assert "hf_secret" not in why
    assert len(httpserver.log) == (2 if status == 400 else 1)


def test_a_folder_that_is_not_there_is_named(httpserver: HTTPServer, api: HubApi) -> None:
    httpserver.expect_request(f"{TREE}/nope").respond_with_json(
        {}, status=404, headers={"X-Error-Code": "EntryNotFound"}
    )
    why = reason(lambda: api.tree(HubRef("org/tiny", revision=COMMIT, path="nope")))
    assert 'org/tiny has nothing at "nope"' in why


@pytest.mark.parametrize(
    "failure",
    [
        Response(status=500),
        Response(status=503),
        Response(status=503, headers={"Retry-After": "0"}),
        Response(status=429, headers={"Retry-After": "0"}),
        Response(status=429),
        Response(status=408),
        Response("<html>busy</html>", content_type="text/html"),
        Response("[", content_type="application/json"),
    ],
    ids=lambda response: f"{response.status_code} {response.content_type}",
)
def test_what_passes_is_asked_again(httpserver: HTTPServer, api: HubApi, failure: Response) -> None:
    """By the plan: one failure costs one request more."""
    good = Response(json.dumps({"sha": COMMIT}))
    httpserver.expect_request(REVISION).respond_with_handler(many([failure, good]))
    assert api.commit(REF) == COMMIT
    assert len(httpserver.log) == 2


def test_attempts_are_those_of_the_setting(httpserver: HTTPServer, api: HubApi) -> None:
    httpserver.expect_request(REVISION).respond_with_data("", status=502)
    assert "502" in reason(lambda: api.commit(REF))
    assert len(httpserver.log) == 3


def test_what_came_of_it_is_known_to_whoever_asks_the_hub_next(
    httpserver: HTTPServer, settings: Settings
) -> None:
    """Health is the run's, shared and kept: failures count, and an answer clears them."""
    hub, good = HuggingFace(settings.hf_endpoint), Response(json.dumps({"sha": COMMIT}))
    httpserver.expect_request(REVISION).respond_with_handler(many([Response(status=500)] * 3 + [good]))
    with running(settings, (hub,), None, None, types={}) as (run, _):
        reason(lambda: HubApi(run, hub).commit(REF))
        assert run.health[hub.name].failures == 3
        HubApi(run, hub).commit(REF)
        assert run.health[hub.name].failures == 0


def test_a_pause_is_told_and_is_as_long_as_asked_for(
    httpserver: HTTPServer, settings: Settings, told: list[Event]
) -> None:
    """Retry-After, with `max_wait_s` as its cap."""
    with_waits = Settings(
        models_dir=settings.models_dir, hf_endpoint=settings.hf_endpoint, backoff_s=0, max_wait_s=0.2
    )
    busy = Response(status=429, headers={"Retry-After": "3600"})
    httpserver.expect_request(REVISION).respond_with_handler(
        many([busy, Response(json.dumps({"sha": COMMIT}))])
    )
    hub = HuggingFace(settings.hf_endpoint)
    began = time.monotonic()
    with running(with_waits, (hub,), told.append, None, types={}) as (run, _):
        assert HubApi(run, hub).commit(REF) == COMMIT
    assert 0.15 < time.monotonic() - began < 3
    (wait,) = [event for event in told if isinstance(event, Waiting)]
    assert (wait.path, wait.reason) == ("revision main of org/tiny", "429, asks to wait 3600 s")


def test_a_hang_ends(httpserver: HTTPServer, api: HubApi) -> None:
    """`timeout_s` each time; and silence is what cools a source, so it is not asked for ever."""

    def hang(_request: Request) -> Response:
        time.sleep(1)
        return Response()

    httpserver.expect_request(REVISION).respond_with_handler(hang)
    began = time.monotonic()
    assert "no answer within 0.4 s" in reason(lambda: api.commit(REF))
    assert time.monotonic() - began < 3 * 1.4


def test_nobody_there(settings: Settings) -> None:
    hub = HuggingFace("http://127.0.0.1:1")
    with running(settings, (hub,), None, None, types={}) as (run, _):
        assert "no connection" in reason(lambda: HubApi(run, hub).commit(REF))


def test_offline_requests_nothing(httpserver: HTTPServer, settings: Settings) -> None:
    offline = Settings(models_dir=settings.models_dir, hf_endpoint=settings.hf_endpoint, offline=True)
    hub = HuggingFace(settings.hf_endpoint)
    with running(offline, (hub,), None, None, types={}) as (run, _):
        assert "offline" in reason(lambda: HubApi(run, hub).commit(REF))
    assert not httpserver.log


def test_a_stopped_run_asks_nobody(httpserver: HTTPServer, settings: Settings) -> None:
    hub = HuggingFace(settings.hf_endpoint)
    with running(settings, (hub,), None, None, types={}) as (run, _):
        run.stop.set()
        with pytest.raises(StoppedError):
            HubApi(run, hub).commit(REF)
    assert not httpserver.log


RESOLVE = f"/org/tiny/resolve/{COMMIT}/config.json"


def test_a_small_file_is_hashed_behind_its_redirect(httpserver: HTTPServer, api: HubApi) -> None:
    httpserver.expect_request(RESOLVE).respond_with_response(
        Response(status=307, headers={"Location": "/cache"})
    )
    httpserver.expect_request("/cache").respond_with_data(TEXT)
    assert api.proven(small(), GIT_ID).sha256 == hashlib.sha256(TEXT).hexdigest()


def test_an_empty_file_is_a_file(httpserver: HTTPServer, api: HubApi) -> None:
    httpserver.expect_request(RESOLVE).respond_with_data(b"")
    empty = hashlib.sha1(b"blob 0\0").hexdigest()
    assert api.proven(small(size=0), empty).sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (TEXT[:-1] + b"x", "git's id"),
        (TEXT[:-1], "bytes where"),
        (TEXT + b"x", "is the most"),
        (b"", "bytes where"),
    ],
    ids=["other bytes", "too few", "too many", "none"],
)
def test_other_bytes_are_never_hashed_into_a_manifest(
    httpserver: HTTPServer, api: HubApi, sent: bytes, why: str
) -> None:
    """Size and git's blob id decide; each is tried once more, and right bytes then are taken."""
    answers = [Response(sent), Response(sent), Response(TEXT)]
    httpserver.expect_request(RESOLVE).respond_with_handler(many(answers))
    assert why in reason(lambda: api.proven(small(), GIT_ID).sha256)
    assert api.proven(small(), GIT_ID).sha256 == hashlib.sha256(TEXT).hexdigest()


def test_no_more_of_a_small_file_is_read_than_was_promised(httpserver: HTTPServer, api: HubApi) -> None:
    """P3: an endless one ends one byte after its size."""
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 1 << 26:
            sent += 1 << 16
            yield b"x" * (1 << 16)

    httpserver.expect_request(RESOLVE).respond_with_handler(lambda _request: Response(endless()))
    assert f"more than {len(TEXT)} bytes" in reason(lambda: api.proven(small(), GIT_ID).sha256)
    assert sent < 1 << 25


def test_a_file_too_large_to_be_outside_lfs_is_not_requested(httpserver: HTTPServer, api: HubApi) -> None:
    assert "outside LFS" in reason(lambda: api.proven(small(size=1 << 40), GIT_ID).sha256)
    assert not httpserver.log


def test_the_token_does_not_follow_a_redirect_to_another_host(
    httpserver: HTTPServer, endpoint: str, api_with_token: HubApi
) -> None:
    """P7; and what that host refuses is a signed URL that expired, not a token of ours."""
    elsewhere = endpoint.replace("localhost", "127.0.0.1") + "/cdn"
    httpserver.expect_request(RESOLVE).respond_with_response(
        Response(status=302, headers={"Location": elsewhere})
    )
    httpserver.expect_request("/cdn").respond_with_handler(many([Response(status=403), Response(TEXT)]))
    assert api_with_token.proven(small(), GIT_ID).sha256 == hashlib.sha256(TEXT).hexdigest()
    sent = {(request.path, request.headers.get("Authorization")) for request, _ in httpserver.log}
    assert sent == {(RESOLVE, "Bearer hf_secret"), ("/cdn", None)}


@pytest.mark.parametrize("path", [REVISION, RESOLVE])
def test_a_body_that_breaks_off_is_asked_for_again_from_its_start(
    httpserver: HTTPServer, api: HubApi, path: str
) -> None:
    """Nothing of it is kept: it is small."""
    whole = json.dumps({"sha": COMMIT}).encode() if path == REVISION else TEXT
    cut = Response(whole[:5], headers={"Content-Length": str(len(whole))})
    httpserver.expect_request(path).respond_with_handler(many([cut, Response(whole)]))
    assert api.commit(REF) if path == REVISION else api.proven(small(), GIT_ID).sha256
    assert len(httpserver.log) == 2
    assert not any("Range" in request.headers for request, _ in httpserver.log)
