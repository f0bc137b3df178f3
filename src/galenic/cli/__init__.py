"""The command line: one module per group of commands, listed in `app.COMMANDS` and `app.GROUPS`."""

from galenic.cli.app import app
from galenic.cli.entry_point import main, run

__all__ = ["app", "main", "run"]
