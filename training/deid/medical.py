"""Words of medicine that look like names and are none: titles of ICD-10-CM, drugs of MIMIC's and eICU's demo tables, some held out."""

import csv
import gzip
import random
import re
from pathlib import Path
from zlib import crc32

import pyarrow as pa

INNER = re.compile(r"(?<=\s)[A-Z][a-zé]+")
SAID = (
    "{t}", "{t}", "Diagnosis: {t}", "{n}. {t}", "Hx of {t}", "history of {t}", "rule out {t}", "r/o {t}", "Impression: {t}.", "admitted with {t}", "known {t}",
    "She was diagnosed with {t} in her twenties.", "He denies {t}.", "Assessment: {t}, stable", "Problem list: {t}; {t}; {t}", "DX {t}", "Treat {t} as before.",
    "what is {t}?", "How is {t} treated?", "Patients with {t} were included.", "ICD-10: {t}", "PMH: {t}, {t}", "- {t}", "[doctor] so you have {t}",
)  # fmt: skip
GIVEN = (
    "{d} {q} mg {f}", "{d} {q} mg {f}", "Continue {d} {q} mg {f}.", "start {d} {q} mg {f}", "{d}", "Meds: {d}, {d}, {d}", "on {d} and {d}", "allergic to {d}", "Allergies: {d} (rash)",
    "stop {d}", "She takes {d} {f}.", "{n}. {d} {q} mg {f}", "what does {d} do?", "Can {d} be taken with {d}?", "Doctor: Are you still on {d}? Patient: Yes.", "{d} gtt", "hold {d} for SBP < 100",
    "[patient] i take {d} and {d}", "switched from {d} to {d}", "{d} level {q}", "received {d} in the ED", "{d} {q} mcg IV x1",
)  # fmt: skip
HOW = (
    "daily",
    "po bid",
    "tid",
    "q6h prn",
    "twice a day",
    "at bedtime",
    "every 8 hours",
    "as needed",
    "IV",
    "PO",
    "qhs",
    "weekly",
)


def held(word: str) -> bool:
    """Kept out of training, for the benchmark: one in four."""
    return crc32(word.lower().encode()) % 4 == 0


def titles(place: Path) -> list[str]:
    """Titles of ICD-10-CM without a held-out name within them."""
    with pa.OSFile(str(place)) as raw:
        every = pa.ipc.open_file(raw).read_all()["display"].to_pylist()
    return sorted({str(t) for t in every if not any(held(w) for w in INNER.findall(str(t)))})


def drugs(data: Path) -> list[str]:
    """Names of drugs, as they are written in two hospitals' tables, those held out not among them."""
    found: set[str] = set()
    for place, column in (
        ("clinicalml/mimic3demo/PRESCRIPTIONS.csv.gz", "drug"),
        ("clinicalml/eicudemo/medication.csv.gz", "drugname"),
    ):
        with gzip.open(data / place, "rt", encoding="utf-8") as file:
            found |= {r[column].strip() for r in csv.DictReader(file) if r[column].strip()}
    return sorted(d for d in found if not held(d.split()[0]))


class Medical:
    """Lines of them."""

    def __init__(self, data: Path, icd: Path) -> None:
        self.titles, self.drugs = titles(icd), drugs(data)
        self.named = [t for t in self.titles if INNER.search(t)]

    def line(self, rng: random.Random) -> str:
        said = rng.choice(SAID if rng.random() < 0.6 else GIVEN)
        out = re.sub(r"\{t\}", lambda _: self._title(rng), said)
        out = re.sub(r"\{d\}", lambda _: self._drug(rng), out)
        return (
            out.replace("{q}", str(rng.choice((1, 5, 10, 25, 40, 50, 81, 100, 250, 325, 500))))
            .replace("{f}", rng.choice(HOW))
            .replace("{n}", str(rng.randrange(1, 9)))
        )

    def _title(self, rng: random.Random) -> str:
        text = rng.choice(self.named if rng.random() < 0.5 else self.titles)
        r = rng.random()
        return text.title() if r < 0.15 else text.lower() if r < 0.25 else text[0].lower() + text[1:] if r < 0.5 else text

    def _drug(self, rng: random.Random) -> str:
        text = rng.choice(self.drugs)
        r = rng.random()
        return text.lower() if r < 0.3 else text.title() if r < 0.7 else text
