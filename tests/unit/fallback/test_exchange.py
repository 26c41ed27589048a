"""Requests and heads as data: what may be sent, and what is believed of what came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback.exchange import ContentRange, Head, Request, host_of, is_public, origin, usable, without_query
from fallback.outcome import Failed, Malformed

NOW = 1_000_000_000.0  # Sun, 09 Sep 2001 01:46:40 GMT


def head(status: int = 200, **headers: str) -> Head:
    return Head(status, {name.replace("_", "-"): value for name, value in headers.items()}, "http://a/")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("-7", None),
        ("1.5", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
        ("9" * 20, None),
        ("soon", None),
        ("", None),
        ("Sun, 09 Sep 2001 01:47:40 GMT", 60.0),
        ("Sun, 09 Sep 2001 01:45:40 GMT", 0.0),
        ("Sunday, 09-Sep-01 01:47:40 GMT", 60.0),
        ("Sun Sep  9 01:47:40 2001", 60.0),
        ("Sun, 09 Sep 99999 01:47:40 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Seconds or an HTTP-date in its three forms (RFC 9110, 5.6.7 and 10.2.3)."""
    assert head(retry_after=text).retry_after_s(NOW) == seconds


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Sun, 09 Sep 2001 01:46:39 GMT", True),
        ("Sun, 09 Sep 2001 01:46:41 GMT", False),
        ("x", False),
        ("", False),
    ],
)
def test_sunset(text: str, passed: bool) -> None:  # noqa: FBT001 - a case
    assert head(sunset=text).sunset_passed(NOW) is passed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('"resolvers";r=0;t=55', 55.0),
        ('"resolvers";r=1;t=55', None),
        ('"resolvers";r=0;t=-1', None),
        ("resolvers", None),
        ("", None),
    ],
)
def test_a_spent_rate_limit_says_when_it_begins_anew(text: str, seconds: float | None) -> None:
    """HuggingFace's 429 has no Retry-After."""
    assert head(429, ratelimit=text).quota_resets_s == seconds


@given(st.text())
def test_no_header_s_text_raises(text: str) -> None:
    names = (
        "retry-after",
        "sunset",
        "content-range",
        "content-length",
        "etag",
        "ratelimit",
        "content-type",
        "content-encoding",
    )
    any_head = Head(206, dict.fromkeys(names, text), "http://a/")
    any_head.retry_after_s(NOW)
    any_head.sunset_passed(NOW)
    for name in (
        "content_range",
        "complete_length",
        "content_length",
        "strong_etag",
        "media_type",
        "encoded",
        "quota_resets_s",
        "framed",
    ):
        getattr(any_head, name)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("bytes 0-4/5", ContentRange(0, 4, 5)),
        ("Bytes 2-4/*", ContentRange(2, 4, None)),
        ("bytes */5", None),
        ("bytes 0-4", None),
        ("items 0-4/5", None),
        ("bytes 0-\N{ARABIC-INDIC DIGIT FOUR}/5", None),
    ],
)
def test_content_range(text: str, seen: ContentRange | None) -> None:
    assert head(206, content_range=text).content_range == seen


@pytest.mark.parametrize(
    ("text", "length", "framed"),
    [("5", 5, True), ("5, 5", 5, True), ("5, 6", None, False), ("+5", None, False), ("-1", None, False)],
)
def test_content_length(text: str, length: int | None, framed: bool) -> None:  # noqa: FBT001 - a case
    """RFC 9112, 6.3: the same length several times is one, anything else leaves the body's end unclear."""
    seen = head(content_length=text)
    assert (seen.content_length, seen.framed) == (length, framed)


def test_no_length_is_framed_by_the_connection() -> None:
    assert head().framed
    assert Head(200, {"content-length": "x", "transfer-encoding": "chunked"}, "http://a/").framed


@pytest.mark.parametrize(
    ("tag", "strong"),
    [('"a"', '"a"'), ('W/"a"', None), ("a", None), ('"a"b"', None), ('"a\u00e9"', None), ('""', '""')],
)
def test_strong_etag(tag: str, strong: str | None) -> None:
    assert head(etag=tag).strong_etag == strong


def test_complete_length_of_a_416() -> None:
    assert head(416, content_range="bytes */10").complete_length == 10
    assert head(416).complete_length is None


def test_what_a_resuming_request_sends() -> None:
    whole = Request("http://a/x", token="secret")
    assert whole.headers() == {
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Authorization": "Bearer secret",
    }
    rest = whole.resuming(7, '"e"', "a").headers()
    assert (rest["Range"], rest["If-Range"]) == ("bytes=7-", '"e"')
    assert "If-Range" not in whole.resuming(0, '"e"', "a").headers()
    there = whole.resuming(7, '"e"', "cdn")
    assert "If-Range" not in there.headers()
    assert there.redirected("http://cdn/x").headers()["If-Range"] == '"e"'
    assert "If-Range" not in there.redirected("http://cdn2/x").headers()
    assert "secret" not in repr(whole)


@pytest.mark.parametrize(
    ("location", "url", "token"),
    [
        ("/y", "https://a.example/y", "t"),
        ("y?z=1", "https://a.example/d/y?z=1", "t"),
        ("https://A.example:443/y", "https://A.example:443/y", "t"),
        ("https://a.example:444/y", "https://a.example:444/y", None),
        ("//b.example/y", "https://b.example/y", None),
        ("https://sub.a.example/y", "https://sub.a.example/y", None),
    ],
)
def test_a_redirect_takes_the_token_to_the_same_origin_only(
    location: str, url: str, token: str | None
) -> None:
    """P7; a relative Location is resolved, which the original crashed on."""
    request = Request("https://a.example/d/x", token="t", offset=5).redirected(location)
    assert (request.url, request.token, request.offset) == (url, token, 5)


def test_a_token_left_behind_does_not_come_back() -> None:
    there = Request("https://a.example/x", token="t").redirected("https://b.example/")
    assert there.redirected("https://a.example/x").token is None


@pytest.mark.parametrize(
    "location",
    [
        "http://a.example/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "data:,x",
        "https://[",
        "https://a:99999/",
        "https://a.example/\r\nX: y",
        "https://a b/",
    ],
)
def test_redirects_that_are_refused(location: str) -> None:
    with pytest.raises(Failed, match="redirect refused") as caught:
        Request("https://a.example/x").redirected(location)
    assert isinstance(caught.value.outcome, Malformed)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("fd00::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
        ("::ffff:0:10.0.0.1", False),
        ("fec0::1", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("", True),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:  # noqa: FBT001 - a case
    assert is_public(address) is public


def test_names_of_urls() -> None:
    assert origin("HTTPS://A.example/x") == ("https", "a.example", 443)
    assert host_of("http://[::1]:80/x") == "[::1]:80"
    assert without_query("https://u:p@a.example/x?sig=1#f") == "https://a.example/x"
    assert [
        usable(url)
        for url in ("http://a/", "http://a:0/", "http://a:x/", "ftp://a/", "http:///", "http://a/é")
    ] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]


def test_a_redirect_that_holds_the_token_is_refused() -> None:
    """P7: who was given it would have us tell it to others, and name it in our messages as a host."""
    request = Request("https://hub.example/x", token="hf_Canary1234")
    for location in ("https://hf_canary1234.example/", "/y?t=hf_Canary1234", "/y?t=hf%5FCanary1234"):
        with pytest.raises(Failed, match="secret"):
            request.redirected(location)
    assert request.redirected("/y").token


def test_a_redirect_whose_host_holds_our_signature_is_refused() -> None:
    """P7: a host's name is told when it does not resolve; a query that goes on as a query is not."""
    request = Request("https://cdn.example/x?X-Signature=CanaryA6&v=1")
    with pytest.raises(Failed, match="secret"):
        request.redirected("https://canarya6.example/")
    assert request.redirected("https://v1.example/?X-Signature=CanaryA6").url.endswith("A6")
