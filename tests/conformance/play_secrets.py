"""Where tokens and cookies go, and where a client lets itself be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.faults import Redirect
from fakes.world import World

from . import verdict
from .forward import forwarded
from .stage import models_of
from .system import PUBLIC

if TYPE_CHECKING:
    from fakes.journal import Entry

    from .stage import Stage


def with_token(stage: Stage) -> None:
    """The job has the Hub's token; `secret_from` is who must not see it."""
    token = stage.case.world["token"]
    run = stage.run(stage.make_job(hub_token=token))
    stage.expect_right(run)
    if stage.case.given:
        servers = stage.case.given["secret_from"]
        told = [entry for entry in verdict.matching(run.entries, servers) if _holds(entry, token)]
        stage.demand(run.asked(servers), f"{servers} was not asked: the case shows nothing")
        stage.demand(not told, f"{servers} was sent the token, {len(told)} times")
    else:
        asked = verdict.matching(run.entries, "hub")  # HEAD, too: it may be all that the Hub itself is asked
        stage.demand(asked and _holds(asked[0], token), "the Hub's first request has no token")


def no_cookies(stage: Stage) -> None:
    """gateway1 sets a cookie and redirects to another host, which is gateway2."""
    port = stage.world.urls["gateway2"].rpartition(":")[2]
    cookie = {"Set-Cookie": "session=secret; Path=/"}
    stage.world.add("gateway1", Redirect(f"http://localhost:{port}{{path}}", headers=cookie))
    run = stage.run()
    stage.expect_right(run)
    told = [entry for entry in run.asked("gateway2") if _holds(entry, "session=secret")]
    stage.demand(run.asked("gateway2"), "the redirect was not followed: the case shows nothing")
    stage.demand(not told, "the cookie was sent to another host")


def redirected_inside(stage: Stage) -> None:
    """A host with a public address redirects to this machine's own, where the file is."""
    stage.world.add("gateway1", Redirect(f"{stage.world.urls['gateway2']}{{path}}"))
    with forwarded(PUBLIC, int(stage.world.urls["gateway1"].rpartition(":")[2])) as port:
        run = stage.run(stage.make_job([f"http://{PUBLIC}:{port}"]))
    stage.problems += verdict.of_result(run, "failure")
    stage.demand(run.asked("gateway1"), "the public host was not asked: the case shows nothing")
    stage.demand(not run.asked("gateway2"), "the redirect to a private address was followed")


def downgraded(stage: Stage) -> None:
    """Https redirects to http, where a server of another world has the file."""
    with World(models_of(stage.case), size="full") as plain:
        stage.world.add("gateway1", Redirect(f"{plain.urls['gateway1']}{{path}}"))
        run = stage.run()
        stage.demand(not plain.journal.entries(), "the redirect to http was followed")
    stage.problems += verdict.of_result(run, "failure")
    stage.demand(run.asked("gateway1"), "the https host was not asked: the case shows nothing")


def _holds(entry: Entry, secret: str) -> bool:
    """Whether any header, or the URL, has it."""
    return any(secret in text for text in (*entry.headers.values(), entry.query, entry.path))
