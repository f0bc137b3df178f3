"""Tables of codes, shipped in the package or loaded locally. A code of a system that is not loaded is never called unknown."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        ("system", pa.string()),
        ("code", pa.string()),
        ("display", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("active", pa.bool_()),
    ]
)
SHIPPED = {"http://hl7.org/fhir/sid/icd-10-cm": "icd10cm.arrow"}  # all other systems that are shipped are in HL7
HL7 = "hl7.arrow"
PARTS = frozenset(("http://hl7.org/fhir/sid/cvx",))  # shipped up to 2011 (HL7 v2 table 0292): other codes may be codes as well
NAMES = {
    "icd10cm": "http://hl7.org/fhir/sid/icd-10-cm", "snomed": "http://snomed.info/sct", "loinc": "http://loinc.org",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "cvx": "http://hl7.org/fhir/sid/cvx",
}  # fmt: skip
LABELS = {"ICD10CM": "icd10cm", "SNOMED": "snomed", "LOINC": "loinc", "RxNorm": "rxnorm", "CVX": "cvx"}  # as events name them
State = Literal["found", "not-found", "not-loaded"]
Relation = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


@dataclass(frozen=True)
class Concept:
    """One code. parents: codes of the same system that subsume it directly; active: None if the table does not state it."""

    system: str
    code: str
    display: str
    parents: tuple[str, ...]
    active: bool | None


@dataclass(frozen=True)
class CodeValidation:
    """Result of validating a code. state: not-found means that the loaded table lacks the code; not-loaded means that the table
    is not loaded, or only in part."""

    state: State
    concept: Concept | None = None
    display_fits: bool | None = None


class CodeTable:
    """Codes of one system, in order. whole: the table has all of them."""

    def __init__(self, rows: pa.Table, *, whole: bool = True) -> None:
        self.whole = whole
        self.rows = rows.combine_chunks()
        self._codes = self.rows["code"].chunk(0) if self.rows.num_rows else pa.array([], pa.string())

    def get(self, code: str) -> Concept | None:
        """The concept, by binary search."""
        place = bisect_left(self._codes, code, key=lambda c: c.as_py())
        if place >= len(self._codes) or self._codes[place].as_py() != code:
            return None
        row = {name: self.rows[name][place].as_py() for name in SCHEMA.names}
        return Concept(row["system"], row["code"], row["display"], tuple(row["parents"] or ()), row["active"])


@cache
def shipped_table(name: str) -> pa.Table:
    """The rows of a shipped file."""
    with files("galenic.records.terminology").joinpath(name).open("rb") as file:
        return pa.ipc.open_file(file.read()).read_all()


class Terminology:
    """Loaded tables of code systems. folder: of locally loaded tables; None for none."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._tables: dict[str, CodeTable | None] = {}

    def systems(self) -> list[str]:
        """URIs of the loaded systems."""
        own = [p for p in sorted(self.folder.glob("*.arrow"))] if self.folder and self.folder.is_dir() else []
        mine = {str(pa.ipc.open_file(p).get_batch(0)["system"][0]) for p in own}
        return sorted({*SHIPPED, *pc.unique(shipped_table(HL7)["system"]).to_pylist(), *mine})

    def validate(self, system: str, code: str, display: str | None = None) -> CodeValidation:
        """Result of the check that a code exists in a system, and that a display is correct."""
        table = self._table(NAMES.get(system, system))
        if table is None:
            return CodeValidation("not-loaded")
        concept = table.get(code)
        if concept is None:
            return CodeValidation("not-found" if table.whole else "not-loaded")
        return CodeValidation("found", concept, None if display is None else _alike(display) == _alike(concept.display))

    def subsumes(self, system: str, a: str, b: str) -> Relation | State:
        """Relation of code a to code b (FHIR R4, CodeSystem/$subsumes); not-found or not-loaded if it cannot be determined."""
        verdicts = [self.validate(system, c) for c in (a, b)]
        wrong = next((v.state for v in verdicts if v.state != "found"), None)
        if wrong is not None:
            return wrong
        if a == b:
            return "equivalent"
        if a in self.ancestors(system, b):
            return "subsumes"
        return "subsumed-by" if b in self.ancestors(system, a) else "not-subsumed"

    def ancestors(self, system: str, code: str) -> set[str]:
        """All codes that subsume a code."""
        table = self._table(NAMES.get(system, system))
        seen: set[str] = set()
        waiting = deque([code])
        while table is not None and waiting:
            concept = table.get(waiting.popleft())
            for parent in concept.parents if concept else ():
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
        return seen

    def _table(self, system: str) -> CodeTable | None:
        if system not in self._tables:
            self._tables[system] = self._open(system)
        return self._tables[system]

    def _open(self, system: str) -> CodeTable | None:
        place = self.folder / file_name(system) if self.folder else None
        if place is not None and place.exists():
            with pa.memory_map(str(place)) as raw:  # stays mapped while the table is used
                return CodeTable(pa.ipc.open_file(raw).read_all())
        if system in SHIPPED:
            return CodeTable(shipped_table(SHIPPED[system]))
        rows = shipped_table(HL7)
        rows = rows.filter(pc.equal(rows["system"], system))
        return CodeTable(rows, whole=system not in PARTS) if rows.num_rows else None


def _alike(text: str) -> str:
    return " ".join(text.casefold().split())


def file_name(system: str) -> str:
    """Name of the file of a table that a site has loaded."""
    short = next((n for n, uri in NAMES.items() if uri == system), None)
    return f"{short or ''.join(c if c.isalnum() else '-' for c in system)}.arrow"
