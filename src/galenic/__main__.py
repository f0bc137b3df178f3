"""`python -m galenic` is the command line."""

import sys


def main() -> None:
    """Runs a command. Its code is loaded here, so that Ctrl-C ends it without a traceback from the beginning."""
    try:
        from galenic.cli import main as run  # noqa: PLC0415  # as the docstring says
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was begun.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
