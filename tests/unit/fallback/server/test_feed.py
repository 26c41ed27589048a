"""What a client is told next, whenever it asks: decided without a connection."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from fallback import events
from fallback.manifest import File, Model
from fallback.server import feed as feeds
from fallback.server.feed import ALSO, REMEMBERED, Feed
from tests.flow.messages import VALIDATOR
from tests.flow.serving import flat

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import pytest

    from fallback.broadcast import Broadcast

COUNT = ALSO + 50
MODEL = Model("m", "other", "m", tuple(File(f"f{number}", 10, None) for number in range(COUNT)))
ENDED = events.RunEnded(1, 0, 10, 1.0)


def hit(number: int = 0) -> events.Event:
    return events.CacheHit("m", f"f{number}", 10)


class Client:
    """One that asks for frames, as far as it has seen."""

    def __init__(self, feed: Feed) -> None:
        self.feed, self.seen = feed, 0

    def frame(self) -> dict[str, Any] | None:
        self.seen, text = self.feed._frame(self.seen)
        if not text:
            return None
        frame: dict[str, Any] = json.loads(text)
        VALIDATOR.validate(frame)
        return frame

    async def news(self) -> dict[str, Any] | None:
        """The next frame once the loop has heard of what changed."""
        await asyncio.sleep(0)
        return self.frame()


def made(limit: int = 10) -> tuple[Feed, Client]:
    feed = Feed(asyncio.get_running_loop(), limit=limit)
    return feed, Client(feed)


def begun(feed: Feed, run: str = "r") -> Broadcast:
    told = feed.run(run, [MODEL])
    told(events.RunStarted(COUNT, 10 * COUNT))
    return told


def in_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_before_the_first_run_nothing_has_started() -> None:
    async def test() -> None:
        _, client = made()
        frame = client.frame()
        assert frame is not None
        assert (frame["started"], frame["runId"]) == (False, None)
        assert client.frame() is None

    in_loop(test())


def test_a_change_right_after_there_was_none_is_told() -> None:
    """That nothing had changed is known to all clients at once, and no longer true with the next change."""

    async def test() -> None:
        feed, client = made()
        told = begun(feed)
        for number in range(3):
            assert await client.news() is not None
            assert client.frame() is None
            told(hit(number))
        told(ENDED)
        while (frame := await client.news()) is not None and not frame["done"]:
            pass
        assert frame is not None, "the end was never told"

    in_loop(test())


def test_a_run_s_end_has_the_last_frame_for_itself() -> None:
    async def test() -> None:
        feed, client = made()
        told = begun(feed)
        await client.news()
        told(hit())
        told(ENDED)
        first, last = await client.news(), await client.news()
        assert first is not None
        assert last is not None
        assert (first["file"], first["status"]) == ("f0", "success")
        assert "file" not in str(last.get("also"))
        assert (last["status"], last.get("also")) == ("completed", None)
        assert client.frame() is None

    in_loop(test())


def test_a_frame_takes_so_many_and_the_next_one_the_rest() -> None:
    async def test() -> None:
        feed, client = made()
        told = begun(feed)
        await client.news()
        for number in range(COUNT):
            told(hit(number))
        frames = [frame for frame in [await client.news(), await client.news(), await client.news()] if frame]
        assert max(len(frame.get("also", ())) for frame in frames) < ALSO
        assert {each["file"] for each in flat(frames) if "file" in each} == {
            file.path for file in MODEL.files
        }

    in_loop(test())


def test_a_run_that_ended_with_more_files_than_a_frame_takes_is_told_whole() -> None:
    async def test() -> None:
        feed, client = made()
        told = begun(feed)
        await client.news()
        for number in range(COUNT):
            told(hit(number))
        told(ENDED)
        frames = []
        while (frame := await client.news()) is not None:
            frames.append(frame)
        assert [frame["done"] and "file" not in frame for frame in frames] == [False, False, True]
        assert {each["file"] for each in flat(frames) if "file" in each} == {
            file.path for file in MODEL.files
        }

    in_loop(test())


def test_a_run_under_way_is_told_of_however_many_others_end_meanwhile() -> None:
    async def test() -> None:
        feed, client = made()
        long = begun(feed, "long")
        await client.news()
        for number in range(REMEMBERED + 5):
            begun(feed, f"short {number}")(ENDED)
        long(ENDED)
        while (frame := await client.news()) is not None and frame["runId"] != "long":
            pass
        assert frame is not None, "its end was never told"
        assert frame["status"] == "completed"
        assert len(feed._runs) == REMEMBERED + 1

    in_loop(test())


def test_the_end_of_one_run_waits_for_no_other() -> None:
    async def test() -> None:
        feed, client = made()
        one, other = begun(feed, "one"), begun(feed, "other")
        await client.news()
        one(hit())
        one(ENDED)
        ends = []
        for number in range(3):
            other(hit(number))
            frame = await client.news()
            ends += [
                each["runId"]
                for each in flat([frame] if frame else [])
                if each["done"] and "file" not in each
            ]
        assert ends == ["one"]

    in_loop(test())


def test_one_that_was_away_misses_no_end_of_any_run() -> None:
    async def test() -> None:
        feed, client = made()
        begun(feed, "first")(ENDED)
        await client.news()
        for run in ("second", "third"):
            told = begun(feed, run)
            told(hit())
            told(ENDED)
        frames = []
        while (frame := await client.news()) is not None:
            frames.append(frame)
        over = [each["runId"] for each in flat(frames) if each["done"] and "file" not in each]
        assert sorted(over) == ["second", "third"]

    in_loop(test())


def test_a_new_client_is_told_of_the_runs_under_way_or_of_the_last_one() -> None:
    async def test() -> None:
        feed, client = made()
        begun(feed, "first")(ENDED)
        last = begun(feed, "last")
        last(hit())
        frame = client.frame()
        assert frame is not None
        assert (frame["runId"], frame["done"]) == ("last", False)
        last(ENDED)
        frame = await Client(feed).news()
        assert frame is not None
        assert (frame["runId"], frame["done"], frame["also"][0]["file"]) == ("last", True, "f0")

    in_loop(test())


def test_clients_that_are_equally_far_share_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        feed, client = made()
        told = begun(feed)
        clients = [client, *(Client(feed) for _ in range(99))]
        made_of: list[int] = []

        def text(messages: list[dict[str, Any]], *, run_first: bool) -> str:
            made_of.append(len(messages))
            return original(messages, run_first=run_first)

        original = feeds._text
        monkeypatch.setattr(feeds, "_text", text)
        for number in range(3):
            told(hit(number))
            await asyncio.sleep(0)
            assert len({json.dumps(each.frame()) for each in clients}) == 1
        assert len(made_of) == 3

    in_loop(test())


def test_top_messages_are_the_run_s_and_a_file_s_by_turns() -> None:
    async def test() -> None:
        feed, client = made()
        told = begun(feed)
        await client.news()
        tops = []
        for number in range(6):
            told(hit(number))
            frame = await client.news()
            assert frame is not None
            tops.append("file" in frame)
        assert tops in ([True, False] * 3, [False, True] * 3)

    in_loop(test())
