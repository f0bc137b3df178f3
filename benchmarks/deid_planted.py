"""Identifiers planted by a fixed script into the validation notes of ACI-Bench and MTS-Dialog: text that no model here was trained on.

Names and places are built from syllables, so that they are in no list; contexts are this file's own. A test proves that no value is
in a gazetteer, and that no context is a template of training.
"""

import csv
import random
import re
import sys
from functools import cache
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training" / "deid"))
from values import LATIN, OTHER, names_of

ONSET = "b br bl c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sch sh sk sl sm sn sp st str sv t th tr tw v w wh y z".split()
CORE = "a ae ai au e ea ee ei i ia ie o oa oo ou u y".split()
CODA = "b ck d ff g l ld lk ll m mb n nd ng nk nt p r rd rk rl rm rn rs rt s sk ss st t tt th x z".split()
ENDS = {"first": "a e i o ia is an en el ek us ara ine ette wen dor mir".split(), "last": "son sen berg mann well ton ley wick stad ova ski ez ridge more field".split(), "town": "ham bury ford mouth stead holm dorf vale haven brook minster wich by thorpe".split()}  # fmt: skip
MONTHS = "January February March April May June July August September October November December".split()
Span = tuple[int, int, str]


@cache
def listed() -> frozenset[str]:
    """Every name that Faker has, of any culture: what a gazetteer here may hold."""
    found: set[str] = set()
    for locale in dict.fromkeys((*LATIN, *OTHER)):
        for names in names_of(locale):
            found |= {w.casefold() for n in names for w in n.split()}
    return frozenset(found)


class Values:
    """Values of this file's own making."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def word(self, kind: str) -> str:
        """A name or a town that is in no list."""
        while (made := self._made(kind)).casefold() in listed():
            pass
        return made

    def _made(self, kind: str) -> str:
        rng = self.rng
        stem = rng.choice(ONSET) + rng.choice(CORE) + (rng.choice(CODA) if rng.random() < 0.7 else rng.choice("lmnrv"))
        return (stem + rng.choice(ENDS[kind])).capitalize()

    def digits(self, n: int) -> str:
        return "".join(str(self.rng.randrange(10)) for _ in range(n))

    def date(self) -> str:
        rng = self.rng
        y, m, d = rng.randrange(1938, 2026), rng.randrange(1, 13), rng.randrange(1, 29)
        name = MONTHS[m - 1]
        return rng.choice((f"{m}/{d}/{y}", f"{m:02d}/{d:02d}/{y % 100:02d}", f"{name} {d}, {y}", f"{d} {name} {y}", f"{y}-{m:02d}-{d:02d}", f"{name[:3]} {d}, {y}", f"{d}.{m}.{y}", f"{m}-{d}-{y}"))  # fmt: skip

    def make(self, slot: str) -> str:
        rng, w = self.rng, self.word
        n = self.digits
        return {
            "first": lambda: w("first"), "last": lambda: w("last"), "full": lambda: f"{w('first')} {w('last')}",
            "listed": lambda: f"{w('last')}, {w('first')} {rng.choice('ABCDEFGHJKLMNPRSTW')}.", "initial": lambda: f"{rng.choice('ABCDEFGHJKLMNPRSTW')}. {w('last')}",
            "town": lambda: w("town"), "street": lambda: f"{rng.randrange(2, 9800)} {w('last')} {rng.choice(('Street', 'Ave', 'Road', 'Crescent', 'Ln', 'Blvd'))}",
            "zip": lambda: n(5), "hospital": lambda: f"{w('town')} {rng.choice(('General Hospital', 'Medical Centre', 'Clinic', 'Memorial Hospital'))}",
            "employer": lambda: f"{w('last')} {rng.choice(('Logistics', 'Bakery', 'Motors', 'Elementary School'))}",
            "date": self.date, "year": lambda: str(rng.randrange(1950, 2025)), "month": lambda: f"{rng.choice(MONTHS)} {rng.randrange(1990, 2025)}",
            "phone": lambda: rng.choice((f"({n(3)}) {n(3)}-{n(4)}", f"{n(3)}-{n(3)}-{n(4)}", f"{n(3)}.{n(3)}.{n(4)}", f"+44 {n(4)} {n(6)}")),
            "mail": lambda: f"{w('first').lower()}.{w('last').lower()}@{w('town').lower()}.{rng.choice(('org', 'com', 'net'))}",
            "mrn": lambda: rng.choice((n(7), n(8), f"{n(3)}-{n(2)}-{n(2)}", f"{rng.choice('ABCDEGHKMT')}{n(6)}")), "ssn": lambda: f"{n(3)}-{n(2)}-{n(4)}",
            "plan": lambda: f"{rng.choice('ABCDEGHKMT')}{rng.choice('WXYZ')}{n(8)}", "site": lambda: f"www.{w('town').lower()}-care.org", "ip": lambda: f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(2, 250)}",
            "elder": lambda: str(rng.randrange(90, 104)),
        }[slot]()  # fmt: skip


KIND = {
    "first": "NAME", "last": "NAME", "full": "NAME", "listed": "NAME", "initial": "NAME", "town": "LOCATION", "street": "LOCATION", "zip": "LOCATION",
    "hospital": "ORGANIZATION", "employer": "ORGANIZATION", "date": "DATE", "year": "DATE", "month": "DATE", "phone": "PHONE", "mail": "EMAIL", "mrn": "MRN",
    "ssn": "SSN", "plan": "PLAN", "site": "URL", "ip": "IP", "elder": "AGE",
}  # fmt: skip
NOTE = (
    "The history was obtained from {full}, a neighbour.", "He had been discharged from {hospital} on {date}.", "Records from {hospital} in {town} were requested.",
    "{full} was driven in by a cousin from {town}.", "An outside film of {date} is not available.", "Per Dr. {last}, the lesion was biopsied in {month}.",
    "The chart of {listed} (unit number {mrn}) was reviewed.", "Home address on file is {street}, {town} {zip}.", "We left a voicemail at {phone} for {first}.",
    "A copy goes to {initial} at {hospital}.", "Ms. {last} works nights at {employer}.", "Mr. {last}'s brother {first} will drive.",
    "Her great-aunt {full} lived to {elder}.", "Prior operation: {year}, {town}.", "Insurer reference {plan}; social security {ssn}.",
    "The family prefers contact by {mail}.", "Instructions are on {site}.", "Telehealth session from {ip}, started by {first}.",
    "Next appointment {date} with Dr. {full}.", "Since moving from {town} to {town} in {year} he has felt worse.", "{last} tolerated the procedure well.",
    "The wound was last dressed on {date} by nurse {first} {last}.", "Telephone consent, {full}, {phone}, {date}.", "Symptoms began around {month}.",
)  # fmt: skip
TALK = (
    "[doctor] and {first} , when did that begin ?", "[patient] it was {date} , i remember because of the parade", "[patient] i used to live in {town}",
    "[doctor] dr. {last} sent me your films", "[patient] my sister {first} has it too", "[doctor] so the nurse , {first} , will give you a call at {phone}",
    "Patient: They kept me at {hospital} for a week.", "Doctor: Thank you, {first}. Let us begin.", "Patient: {full}. And I was born on {date}.",
    "Doctor: Is {street} still right, in {town}?", "Patient: I drive a forklift for {employer}.", "Doctor: I spoke with Doctor {last} about it in {month}.",
    "Patient: You may write to {mail}.", "Doctor: Your record number is {mrn}, correct?",
)  # fmt: skip
HEAD = ("{listed}  #{mrn}  b. {date}", "PT: {full} / {date} / {mrn}", "Seen at {hospital}, {date}, by {full}, MD", "Re {full}, {street}, {town} {zip}, tel. {phone}")  # fmt: skip
SLOT = re.compile(r"\{(\w+)\}")


def filled(context: str, values: Values, at: int) -> tuple[str, list[Span]]:
    """A context with values, and where they stand when it starts at `at`."""
    text, spans, last = "", [], 0
    for slot in SLOT.finditer(context):
        text += context[last : slot.start()]
        value = values.make(slot[1])
        spans.append((at + len(text), at + len(text) + len(value), KIND[slot[1]]))
        text, last = text + value, slot.end()
    return text + context[last:], spans


def _rows(place: Path) -> csv.DictReader:
    return csv.DictReader(StringIO(place.read_text(encoding="utf-8"), newline=""))


def sources(guard: Path) -> list[tuple[str, str]]:
    """(kind, text) of the validation sets."""
    found = []
    for row in _rows(guard / "aci-bench" / "valid.csv"):
        found += [("note", row["note"]), ("talk", row["dialogue"])]
    for row in _rows(guard / "mtsdialog" / "MTS-Dialog-ValidationSet.csv"):
        found += [("note", row["section_text"]), ("talk", row["dialogue"])]
    return found


def planted(guard: Path, seed: int = 20261121) -> list[tuple[str, list[Span]]]:
    """Each text with what was planted in it."""
    values = Values(seed)
    rng = values.rng
    out = []
    for kind, source in sources(guard):
        parts = [p for p in re.split(r"(?<=[.?!\n])(?=\s)", source) if p]
        text, spans = "", []
        if kind == "note" and rng.random() < 0.5:
            text, spans = filled(rng.choice(HEAD), values, 0)
            text += "\n"
        places = set(rng.sample(range(len(parts)), min(len(parts), max(1, len(parts) // 5))))
        for i, part in enumerate(parts):
            text += part
            if i in places:
                text += "\n" if kind == "talk" else " "
                more, found = filled(rng.choice(TALK if kind == "talk" else NOTE), values, len(text))
                text, spans = text + more, spans + found
        out.append((text, spans))
    return out
