"""De-identification of notes: text files in any encoding that can be recognized, written as UTF-8."""

from collections import Counter
from pathlib import Path

from galenic.errors import RecordError
from galenic.privacy import text
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.deidentification.structured_content import structured_format

MAX_BYTES = 128 << 20  # of a note: about half an hour on one core
MAX_WHOLE_BYTES = 8 << 20  # larger files are read in pieces
EXTENSIONS = (".txt", ".text", ".md", ".note")
_NO_TEXT = "is not readable text (UTF-8, UTF-16, Windows-1252). Export it as plain text."
_PROBE = 100_000  # characters that are searched for control characters


class NoteDeidentifier:
    """One note per file."""

    def recognizes(self, path: Path) -> bool:
        """By the file name."""
        return path.suffix.lower() in EXTENSIONS

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Does nothing: a note does not mark its identifiers."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write one note without identifiers; a large file is processed in pieces that end at white space."""
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise RecordError(f"has {size:,} bytes. Expected at most {MAX_BYTES:,}. Split it at the end of a document.")
        if size > MAX_WHOLE_BYTES:
            _in_pieces(file, out, run)
            return
        content, encoding = decode(file.read_bytes())
        _refuse_structured(content)
        _refuse_unsupported(text.unsupported_languages(content), run)
        _remark(out, encoding, run)
        replacer = run.replacer(file.stem)
        clean = text.deidentify_text(content, run.detector, replacer, None, run.report.findings)
        run.report.count(replacer)
        out.write_text(clean, encoding="utf-8", newline="")


def _refuse_structured(content: str) -> None:
    """RecordError if the content is in a structured format, whatever the file is called."""
    if found := structured_format(content):
        raise RecordError(f"contains {found}.")


def _refuse_unsupported(letters: Counter[str], run: DeidentificationRun) -> None:
    """RecordError if more than half of a note is in languages without a validated detector, unless the run reduces such notes."""
    total = letters.pop("")
    if run.other_languages == "refuse" and 2 * letters.total() > total:
        raise RecordError(
            f"is written in {letters.most_common(1)[0][0]}, for which no detector is validated, so names would not be "
            "found. Expected English or Spanish. Translate it, or use --other-languages redact, which keeps only "
            "measurements with units."
        )


def _in_pieces(file: Path, out: Path, run: DeidentificationRun) -> None:
    encoding = _encoding(file)
    _remark(out, encoding, run)
    replacer, findings = run.replacer(file.stem), run.report.findings
    letters: Counter[str] = Counter()
    with (
        file.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as source,
        out.open("w", encoding="utf-8", newline="") as target,
    ):
        rest = ""
        while piece := source.read(MAX_WHOLE_BYTES // 4):
            whole = rest + piece
            cut = max(whole.rfind(" "), whole.rfind("\n")) + 1 or len(whole)
            _refuse_structured(whole[:cut])
            letters += text.unsupported_languages(whole[:cut])
            target.write(text.deidentify_text(whole[:cut], run.detector, replacer, None, findings))
            rest = whole[cut:]
        target.write(text.deidentify_text(rest, run.detector, replacer, None, findings))
    _refuse_unsupported(letters, run)
    run.report.count(replacer)


def _remark(out: Path, encoding: str, run: DeidentificationRun) -> None:
    if encoding != "utf-8":
        run.report.remarks.append((out.name, f"was read as {encoding}"))


def _encoding(file: Path) -> str:
    """The encoding in which the whole file can be read; RecordError if there is none."""
    with file.open("rb") as raw:
        start = raw.read(_PROBE)
    for encoding in ("utf-16",) if start.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8", "cp1252"):
        try:
            with file.open(encoding=encoding, newline="") as source:
                first = source.read(_PROBE)
                while source.read(MAX_WHOLE_BYTES):
                    pass
        except UnicodeDecodeError:
            continue
        if _is_text(first):
            return encoding
    raise RecordError(_NO_TEXT)


def decode(raw: bytes) -> tuple[str, str]:
    """Text and its encoding. Raise RecordError if it is not text."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError:
            raise RecordError("starts with the UTF-16 byte order mark but is not UTF-16. Export it again as UTF-8.") from None
    for encoding in ("utf-8", "cp1252"):
        try:
            content = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _is_text(content[:_PROBE]):
            return content.removeprefix("\ufeff"), encoding
    raise RecordError(_NO_TEXT)


def _is_text(start: str) -> bool:
    return not any(c < " " and c not in "\t\n\r\f\v\x1b" for c in start)
