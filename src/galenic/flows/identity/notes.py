"""Notes: text files of any encoding that can be told, out as UTF-8."""

from pathlib import Path

from galenic.errors import RecordError
from galenic.flows.identity.run import Run
from galenic.privacy import text

ENDINGS = (".txt", ".text", ".md", ".note")


def is_note(file: Path) -> bool:
    """By its ending."""
    return file.suffix.lower() in ENDINGS


def write_note(file: Path, out: Path, run: Run) -> None:
    """One note without what identifies."""
    raw = file.read_bytes()
    read, encoding = decoded(raw)
    if encoding != "utf-8":
        run.done.remarks.append((out.name, f"was read as {encoding}"))
    replacer = run.replacer(file.stem)
    clean = text.deidentify_text(read, run.finder, replacer, None, run.done.taken)
    run.done.treated.update(replacer.counted)
    out.write_text(clean, encoding="utf-8", newline="")


def decoded(raw: bytes) -> tuple[str, str]:
    """The text and its encoding; RecordError where it is none."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError:
            raise RecordError("begins as UTF-16 and is none. Send it again, or export it as UTF-8.") from None
    for encoding in ("utf-8", "cp1252"):
        try:
            read = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not any(c < " " and c not in "\t\n\r\f\v\x1b" for c in read[:100_000]):
            return read.removeprefix("\ufeff"), encoding
    raise RecordError("is no text that can be read (UTF-8, UTF-16, Windows-1252). Send text, or export it as such.")
