"""Notes: text files of any encoding that can be told, out as UTF-8."""

from pathlib import Path

from galenic.errors import RecordError
from galenic.privacy import text
from galenic.privacy.deidentification.run import DeidentificationRun

WHOLE = 8 << 20  # bytes
ENDINGS = (".txt", ".text", ".md", ".note")


def is_note(file: Path) -> bool:
    """By its ending."""
    return file.suffix.lower() in ENDINGS


def write_note(file: Path, out: Path, run: DeidentificationRun) -> None:
    """One note without what identifies; one that is larger than WHOLE in pieces, cut where white space is."""
    if file.stat().st_size > WHOLE:
        _in_pieces(file, out, run)
        return
    raw = file.read_bytes()
    read, encoding = decoded(raw)
    if encoding != "utf-8":
        run.done.remarks.append((out.name, f"was read as {encoding}"))
    replacer = run.replacer(file.stem)
    clean = text.deidentify_text(read, run.detector, replacer, None, run.done.taken)
    run.done.treated.update(replacer.counted)
    out.write_text(clean, encoding="utf-8", newline="")


def _in_pieces(file: Path, out: Path, run: DeidentificationRun) -> None:
    encoding = _encoding(file)
    if encoding != "utf-8":
        run.done.remarks.append((out.name, f"was read as {encoding}"))
    replacer = run.replacer(file.stem)
    with (
        file.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as read,
        out.open("w", encoding="utf-8", newline="") as target,
    ):
        rest = ""
        while piece := read.read(WHOLE // 4):
            whole = rest + piece
            cut = max(whole.rfind(" "), whole.rfind("\n")) + 1 or len(whole)
            target.write(text.deidentify_text(whole[:cut], run.detector, replacer, None, run.done.taken))
            rest = whole[cut:]
        target.write(text.deidentify_text(rest, run.detector, replacer, None, run.done.taken))
    run.done.treated.update(replacer.counted)


def _encoding(file: Path) -> str:
    """By reading all of it once; RecordError where it is no text."""
    with file.open("rb") as raw:
        start = raw.read(100_000)
    for encoding in ("utf-16",) if start.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8", "cp1252"):
        try:
            with file.open(encoding=encoding, newline="") as read:
                first = read.read(100_000)
                while read.read(WHOLE):
                    pass
        except UnicodeDecodeError:
            continue
        if not any(c < " " and c not in "\t\n\r\f\v\x1b" for c in first):
            return encoding
    raise RecordError("is no text that can be read (UTF-8, UTF-16, Windows-1252). Send text, or export it as such.")


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
