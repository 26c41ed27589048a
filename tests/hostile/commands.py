"""The command line in this process: its exit code and all it said; an exception nobody meant is raised, not reported."""

from __future__ import annotations

from click.testing import CliRunner

from fallback.cli import exits
from fallback.cli.main import cli


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and output of `fallback ARGUMENTS`, as `main` would end; what `main` would show as a traceback is raised."""
    result = CliRunner().invoke(cli, arguments, env=env, standalone_mode=False)
    if result.exception is not None:
        said = str(result.exception)
        return exits.report(result.exception), result.output + said
    return int(result.return_value or 0), result.output
