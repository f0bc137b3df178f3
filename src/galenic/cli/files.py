"""Files that commands read and write besides tables and records."""

from pathlib import Path

from galenic import store
from galenic.errors import InputError


def read_text(path: Path) -> str:
    """The text of a file. InputError if it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}). Expected a UTF-8 text file. Give the path of one."
        ) from None


def write_text(path: Path, text: str) -> None:
    """Writes a file as a whole: a killed process leaves the old file or the new one."""
    with store.file_aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
