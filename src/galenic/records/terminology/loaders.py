"""Loaders of terminologies that a site licenses or downloads: SNOMED CT (RF2), LOINC, RxNorm (RRF), CVX."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from galenic.errors import RecordError
from galenic.records.terminology.tables import NAMES, SCHEMA, file_name
from galenic.store import file_aside

FSN, IS_A = "900000000000003001", "116680003"
Row = tuple[str, str, list[str], bool]  # code, display, parents, active


def load(kind: str, place: Path, folder: Path) -> int:
    """Reads a release into `folder`, completely or not at all, and replaces the previous one. Returns the number of codes.

    kind: snomed (folder of an RF2 release, its Snapshot), loinc (folder of the LOINC table), rxnorm (folder with rrf/), cvx
    (CDC's cvx.txt). RecordError if files or columns of the release are absent.
    """
    rows = sorted(LOADERS[kind](place))
    if not rows:
        raise RecordError(f"{place} has no {kind} codes. Give the folder or file of a release as its publisher distributes it.")
    system = NAMES[kind]
    columns = [[system] * len(rows), *([r[i] for r in rows] for i in range(4))]
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
    with file_aside(folder / file_name(system)) as aside, pa.ipc.new_file(aside, SCHEMA) as out:
        out.write_table(table)
    return len(rows)


def _rows(
    path: Path, delimiter: str, *, quoted: bool = False, header: bool = True, names: tuple[str, ...] = ()
) -> Iterator[dict[str, str]]:
    """Rows by column name. Raise RecordError that names a missing column, never a value."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            given = None if header else list(names)
            reader: csv.DictReader[str] = csv.DictReader(
                file, given, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            )
            absent = [n for n in names if n not in (reader.fieldnames or ())]
            if absent:
                raise RecordError(
                    f"{path.name} has no column {', '.join(absent)}. Check that it has the expected release format."
                )
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path.name} cannot be read ({type(error).__name__}). Expected UTF-8 text as published.") from None


def _one(place: Path, pattern: str) -> Path:
    found = sorted(place.rglob(pattern)) if place.is_dir() else []
    if not found:
        raise RecordError(f"{place} has no file {pattern}. Give the folder of a complete release.")
    return found[0]


def _snomed(place: Path) -> Iterator[Row]:
    """RF2 (SNOMED CT Technical Implementation Guide, release file specification): active is-a relationships, fully specified names."""
    active = {
        r["id"]: r["active"] == "1" for r in _rows(_one(place, "sct2_Concept_Snapshot*.txt"), "\t", names=("id", "active"))
    }
    named: dict[str, str] = {}
    for r in _rows(_one(place, "sct2_Description_Snapshot*.txt"), "\t", names=("conceptId", "active", "typeId", "term")):
        if r["active"] == "1" and (r["typeId"] == FSN or r["conceptId"] not in named):
            named[r["conceptId"]] = r["term"]
    parents: dict[str, list[str]] = {}
    wanted = ("sourceId", "destinationId", "active", "typeId")
    for r in _rows(_one(place, "sct2_Relationship_Snapshot*.txt"), "\t", names=wanted):
        if r["active"] == "1" and r["typeId"] == IS_A:
            parents.setdefault(r["sourceId"], []).append(r["destinationId"])
    for code, is_active in active.items():
        yield code, named.get(code, code), parents.get(code, []), is_active


def _loinc(place: Path) -> Iterator[Row]:
    """LoincTable/Loinc.csv, and the component hierarchy if it is present."""
    parents: dict[str, list[str]] = {}
    tree = sorted(place.rglob("ComponentHierarchyBySystem.csv")) if place.is_dir() else []
    for r in _rows(tree[0], ",", quoted=True, names=("CODE", "IMMEDIATE_PARENT", "CODE_TEXT")) if tree else ():
        if r["IMMEDIATE_PARENT"]:
            parents.setdefault(r["CODE"], []).append(r["IMMEDIATE_PARENT"])
        if r["CODE"].startswith("LP"):
            parents.setdefault(r["CODE"], [])
    parts = {r["CODE"]: r["CODE_TEXT"] for r in _rows(tree[0], ",", quoted=True)} if tree else {}
    seen = set()
    for r in _rows(_one(place, "Loinc.csv"), ",", quoted=True, names=("LOINC_NUM", "LONG_COMMON_NAME", "STATUS")):
        seen.add(r["LOINC_NUM"])
        yield r["LOINC_NUM"], r["LONG_COMMON_NAME"], sorted(set(parents.get(r["LOINC_NUM"], []))), r["STATUS"] == "ACTIVE"
    for code in parents.keys() - seen:
        yield code, parts.get(code, code), sorted(set(parents[code])), True


CONSO = tuple("RXCUI LAT TS LUI STT SUI ISPREF RXAUI SAUI SCUI SDUI SAB TTY CODE STR SRL SUPPRESS CVF END".split())  # noqa: SIM905
REL = tuple("RXCUI1 RXAUI1 STYPE1 REL RXCUI2 RXAUI2 STYPE2 RELA RUI SRUI SAB SL DIR RG SUPPRESS CVF END".split())  # noqa: SIM905
BETTER = ("IN", "PIN", "MIN", "SCD", "SBD", "GPCK", "BPCK", "BN", "SCDF", "SCDC")


def _rxnorm(place: Path) -> Iterator[Row]:
    """RXNCONSO.RRF and RXNREL.RRF (RxNorm Technical Documentation): names from RxNorm itself, isa and has_ingredient."""
    named: dict[str, tuple[int, str, bool]] = {}
    for r in _rows(_one(place, "RXNCONSO.RRF"), "|", header=False, names=CONSO):
        if r["SAB"] != "RXNORM":
            continue
        rank = BETTER.index(r["TTY"]) if r["TTY"] in BETTER else len(BETTER)
        found = (rank, r["STR"], r["SUPPRESS"] == "N")
        named[r["RXCUI"]] = min(named.get(r["RXCUI"], found), found)
    parents: dict[str, set[str]] = {}
    for r in _rows(_one(place, "RXNREL.RRF"), "|", header=False, names=REL):
        if r["RELA"] in ("isa", "has_ingredient") and r["RXCUI1"] and r["RXCUI2"]:
            parents.setdefault(r["RXCUI2"], set()).add(r["RXCUI1"])  # RXCUI2 RELA RXCUI1
    for code, (_rank, name, active) in named.items():
        yield code, name, sorted(parents.get(code, set()) & named.keys()), active


CVX = ("code", "short", "full", "notes", "status", "internal", "nonvaccine", "updated")


def _cvx(place: Path) -> Iterator[Row]:
    """CDC's cvx.txt: fields separated by bars."""
    for r in _rows(place, "|", header=False, names=CVX):
        if r["full"]:
            yield str(r["code"]).strip(), r["full"].strip(), [], str(r["status"]).strip() in ("Active", "Non-US")


LOADERS: dict[str, Callable[[Path], Iterator[Row]]] = {"snomed": _snomed, "loinc": _loinc, "rxnorm": _rxnorm, "cvx": _cvx}
