"""Entry point of the command line: runs a command and turns errors into messages and exit codes."""

import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

import typer

from galenic.cli.app import app
from galenic.cli.show import messages
from galenic.errors import GalenicError

# newer versions of typer contain a copy of click: the base class of its errors is found by name in either
CLICK_ERROR: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def main(words: list[str] | None = None) -> None:
    """Runs a command and exits: 0 done, 1 refused, 2 wrong input, 3 internal failure."""
    try:
        code = run(words)
    except KeyboardInterrupt:  # while a command was being parsed or loaded
        sys.exit(130)
    except BaseException:
        sys.excepthook = unexpected  # here, because typer installs a hook of its own when a command starts
        raise
    sys.exit(code)


def run(words: list[str] | None = None) -> int:
    """Runs a command and returns its exit code; every expected error is one line on stderr."""
    try:
        result = app(args=words, standalone_mode=False)
        return int(result) if isinstance(result, int) else 0
    except GalenicError as error:
        messages.print(f"[bold]{_heading(error)}[/]", end=" ")
        messages.print(str(error), markup=False)
        return error.exit_code
    except typer.Exit as done:
        return int(done.exit_code)
    except CLICK_ERROR as error:
        error.show()  # type: ignore[attr-defined]
        return 2
    except (KeyboardInterrupt, typer.Abort):
        messages.print("stopped; nothing was half-written. A reservation that was open counts as spent.")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        messages.print("out of memory. Use fewer columns (--drop) or a machine with more memory.")
        return 3


def unexpected(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Reports a bug by its type and place, without its message, which may contain a cell's value. GALENIC_DEBUG=1 shows everything."""
    if os.environ.get("GALENIC_DEBUG"):
        sys.__excepthook__(kind, _error, trace)
    else:
        place = traceback.extract_tb(trace)[-1] if trace else None
        where = f"{Path(place.filename).name}:{place.lineno}" if place else "an unknown place"
        messages.print(
            f"[bold]Our failure:[/] a bug ({kind.__name__} at {where}). Nothing was half-written. Please report it; ", end=""
        )
        messages.print("GALENIC_DEBUG=1 shows details, which may hold patient data.", markup=False)
    sys.stdout.flush()
    os._exit(3)


def _heading(error: GalenicError) -> str:
    return {1: "Refused:", 2: "Your input:", 3: "Our failure:"}[error.exit_code]
