"""Planted copies of notes."""

from collections.abc import Iterator
from pathlib import Path

from galenic.errors import RecordError
from galenic.privacy.deidentification.note import MAX_WHOLE_BYTES, decode
from galenic.privacy.deidentification.planting.copies import TEXT_LIMIT, PlantedCopy, Planting
from galenic.privacy.deidentification.planting.sentences import CHARACTERS_PER_PLANT


class NotePlanter:
    """Planter of identifiers between the sentences of a note; in a long note, within a random part of it."""

    most_copies = 400

    def copies(self, file: Path, folder: Path, planting: Planting) -> Iterator[PlantedCopy]:
        """Copies of a note."""
        text = _part(file, planting)
        if not text.strip():
            return
        texts = planting.texts
        most = max(2, min(40, len(text) // CHARACTERS_PER_PLANT))
        stratum = f"notes, {texts.type_of(text)}"
        while True:
            planted, plants = texts.plant(text, stratum, most)
            if not plants:
                return
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(planted, encoding="utf-8", newline="")
            yield PlantedCopy(target, plants, text)

    def parts(self, _output: Path) -> frozenset[str] | None:
        """None: a note is written or refused as a whole."""
        return None

    def part_of(self, _stratum: str) -> str:
        """None."""
        return ""


def _part(file: Path, planting: Planting) -> str:
    """A note, or a random part of it; "" if it is no text."""
    size = file.stat().st_size
    with file.open("rb") as raw:
        if size > MAX_WHOLE_BYTES:
            raw.seek(int(planting.maker.rng.integers(size - MAX_WHOLE_BYTES // 8)))
            content = raw.read(MAX_WHOLE_BYTES // 8).decode("utf-8", "ignore")
        else:
            try:
                content, _ = decode(raw.read())
            except RecordError:
                return ""
    if len(content) <= TEXT_LIMIT:
        return content
    start = int(planting.maker.rng.integers(len(content) - TEXT_LIMIT))
    part = content[start : start + TEXT_LIMIT]
    return part[part.find(" ") + 1 : part.rfind(" ") + 1] or part
