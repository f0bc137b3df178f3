"""MEDDOCAN's cases (brat): text and spans of its classes."""

import tarfile
from pathlib import Path

from texts import Text


def cases(guard: Path, split: str) -> list[Text]:
    """split: train or dev."""
    texts: dict[str, str] = {}
    marks: dict[str, str] = {}
    with tarfile.open(guard / "meddocan" / "meddocan_brat_train_dev.tgz") as packed:
        for member in packed:
            name = Path(member.name)
            if split not in name.parts or name.suffix not in (".txt", ".ann"):
                continue
            file = packed.extractfile(member)
            assert file is not None
            (texts if name.suffix == ".txt" else marks)[name.stem] = file.read().decode("utf-8")
    found = []
    for stem in sorted(texts):
        spans = []
        for line in marks[stem].splitlines():
            if line.startswith("T"):
                _, kind, _ = line.split("\t")
                label, *ends = kind.split(" ")
                spans.append((int(ends[0]), int(ends[-1]), label))
        found.append(Text("meddocan", texts[stem], sorted(spans)))
    return found
