"""Files that commands read and write besides tables and records."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from galenic import store
from galenic.errors import DescriptionError, InputError


def read_text(path: Path) -> str:
    """The text of a file. InputError if it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}). Expected a UTF-8 text file. Give the path of one."
        ) from None


def require_writable(path: Path) -> None:
    """InputError unless a file can be written at a place; an existing file may be replaced."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, and nothing was done. Give the path of a file.")
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.absolute().parent).close()
    except OSError as error:
        raise _not_writable(path, error) from None


def _not_writable(path: Path, error: OSError) -> InputError:
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return InputError(f"{path} cannot be written ({reason}), and nothing was done. Give a path in a folder that you may write.")


@contextlib.contextmanager
def reserved(path: Path | None) -> Iterator[None]:
    """Makes an empty file for what the block produces, and removes it if the block fails. InputError, before the block, if something
    exists there or it cannot be written. None: nothing is reserved."""
    if path is None:
        yield
        return
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise InputError(f"{path} exists already, and nothing was done. Give the path of a new file.") from None
    except OSError as error:
        raise _not_writable(path, error) from None
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a file as a whole: a killed process leaves the old file or the new one."""
    with store.file_aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_columns(table: str, known: Sequence[str], named: Mapping[str, Iterable[str | None]]) -> None:
    """DescriptionError if an option names a column that a table does not have. named: columns by option."""
    for option, columns in named.items():
        absent = [column for column in columns if column is not None and column not in known]
        if absent:
            raise DescriptionError(
                f"{option} names the column {absent[0]!r}, which {table} does not have. Columns: {', '.join(known)}. Correct the name."
            )
