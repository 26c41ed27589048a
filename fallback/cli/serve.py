"""`fallback serve`: the page, the API and the metrics, until a signal comes."""

from __future__ import annotations

from typing import Any

import click

from fallback.cli import options, progress
from fallback.errors import SettingsError


@click.command()
@options.settings_options
@click.option("--jobs", type=int, metavar="N", help="Files received at a time.")
@click.option(
    "--host", "serve_host", metavar="ADDRESS", help="Address to listen on; other than loopback needs a token."
)
@click.option("--port", "serve_port", type=int, metavar="N", help="Port to listen on; 0: any that is free.")
@click.option("--base-url", metavar="PATH", help="Prefix of the page and the API.")
@click.option(
    "--token", "serve_token", metavar="TOKEN", help="What requests must bring; safer as FALLBACK_SERVE_TOKEN."
)
@click.option(
    "--share",
    is_flag=True,
    help="Give verified files to other machines; beyond loopback also without a token.",
)
@click.option(
    "--discover", is_flag=True, help="Tell the network of it by mDNS, with --share; needs the extra lan."
)
def serve(**flags: Any) -> None:
    """Serve a page that shows syncs, an API, a WebSocket and metrics for Prometheus.

    Prints the page's URL on stdout. SIGTERM or Ctrl-C ends it with exit code 0; what had come is kept.
    """
    settings = options.load(flags)
    try:
        from fallback.server.serving import serve as serve_until_stopped  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        raise SettingsError(f"{error.name} is not installed: pip install 'fallback[serve]'") from None
    from fallback.switch import finish_upgrades  # noqa: PLC0415 - `--help` needs none of it

    with progress.observer(as_json=False, quiet=True) as observer:
        finish_upgrades(settings, observer)
    serve_until_stopped(settings, click.echo)
