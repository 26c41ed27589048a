"""The command line: thin commands over the library, one module a family.

stdout carries what was asked for (with `--json`, one JSON object a line); progress and errors go to
stderr. Exclusions: no command knows how a file is had (`engine`), and only `exits` knows the codes.
"""

from fallback.cli.main import main

__all__ = ["main"]
