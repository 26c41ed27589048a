"""`fallback manifest`: make a manifest of a folder or of a repository on HuggingFace, and add it to ours.

stdout carries the manifest and nothing else. The option `--manifest` of all commands is another thing:
the file to go by.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fallback.cli import options, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from fallback.manifest import Manifest

_OPTIONS = (
    click.option("--name", metavar="NAME", help="The model's name; default: the last part of what it is of."),
    click.option("--type", "model_type", metavar="TYPE", help="Its type, such as stt; default: its name."),
    click.option(
        "--dir", "model_dir", metavar="DIR", help="Folder below the models folder that its files belong in."
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        help="Only files whose path matches; repeatable. * matches / too.",
    ),
    click.option("--add", is_flag=True, help="Also merge it into .manifests.json of the models folder."),
    click.option("--quiet", "-q", is_flag=True, help="Say nothing but warnings and errors."),
)


def _model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a manifest's one model is to be called, which files are in it, and where it goes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def manifest() -> None:
    """Make a manifest, print it, and with --add merge it into the models folder's own.

    Exit codes: 1 HuggingFace could not serve it; 2 names that are refused, or no file matched;
    3 this machine's storage.
    """


@manifest.command()
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, readable=False, path_type=Path)
)
@_model_options
@options.settings_options
def from_dir(folder: Path, **flags: Any) -> None:
    """Hash the files below DIR: each gets its SHA-256, CID and chunks. Hidden ones are left out."""
    from fallback import author  # noqa: PLC0415 - `--help` needs none of it

    _make(flags, lambda given: author.manifest_from_dir(folder, **given))


@manifest.command()
@click.argument("repo")
@click.option("--repo-type", type=click.Choice(["model", "dataset"]), default="model", show_default=True)
@click.option("--revision", metavar="REV", default="main", show_default=True, help="Branch, tag or commit.")
@click.option("--path", metavar="FOLDER", default="", help="Only this folder of the repository.")
@click.option("--chunks", is_flag=True, help="Fetch every file to list its CID and chunks, too.")
@_model_options
@options.settings_options
def from_hub(repo: str, repo_type: Any, revision: str, path: str, *, chunks: bool, **flags: Any) -> None:
    """List the files of REPO on HuggingFace, pinned to the commit they are at now.

    SHA-256 of files in LFS are as HuggingFace lists them. Others are small: each is fetched,
    proven by git's id, hashed, and not kept. With --chunks, so is every file.
    """
    from fallback import author  # noqa: PLC0415 - `--help` needs none of it

    where = {"repo_type": repo_type, "revision": revision, "path": path, "chunks": chunks}
    _make(flags, lambda given: author.manifest_from_hub(repo, **where, **given))


def _make(flags: dict[str, Any], make: Callable[[dict[str, Any]], Manifest]) -> None:
    """Make it, add it if that was asked for, and print it."""
    from fallback import merge  # noqa: PLC0415 - as above

    add, quiet = flags.pop("add"), flags.pop("quiet")
    given = {name: flags.pop(name) for name in ("name", "model_type", "model_dir", "include")}
    settings = options.load(flags)
    with progress.observer(as_json=False, quiet=quiet) as observer:
        made = make({**given, "settings": settings, "observer": observer})
        if add:
            path = merge.add_to_manifest(made, settings=settings, observer=observer)
            if not quiet:
                click.echo(f"added to {path}", err=True)
    click.echo(made.to_json(), nl=False)
