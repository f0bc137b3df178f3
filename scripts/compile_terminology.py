"""Compiles the code tables that may be shipped: python scripts/compile_terminology.py ICD10CM.xml CODES.txt FHIR_FOLDER.

ICD10CM.xml, CODES.txt: the tabular list of ICD-10-CM (National Center for Health Statistics and CMS; works of the US government,
in the public domain) and the list of its codes, as the PyPI package simple_icd_10_cm 1.5.0 carries them (April 2026).
FHIR_FOLDER: as for compile_fhir.py; its code systems are HL7's (R4, v3 and v2 tables; HL7 licenses them for use with its standards).
HL7's v2 table 0292 was the CDC's CVX until HL7 left it to them in January 2011: a part of CVX, which gained codes since.
"""

import json
import re
import sys
import xml.etree.ElementTree as ET  # of a published file that whoever runs this has fetched
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from galenic.records.terminology.tables import SCHEMA

OUT = Path(__file__).parents[1] / "src" / "galenic" / "records" / "terminology"
ICD, CVX = "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/cvx"
VACCINES = "http://terminology.hl7.org/CodeSystem/v2-0292"
FOOTNOTE = re.compile(r"(?<=[A-Za-z])\d$")  # the table's own: "NOS1"


def icd(place: Path) -> Iterator[dict]:
    """Every category and code, with the seventh characters that apply to it."""
    for section in ET.parse(place).getroot().iter("section"):  # noqa: S314
        for diag in section.findall("diag"):
            yield from _diag(diag, None, {})


def _diag(diag: ET.Element, parent: str | None, seventh: dict[str, str]) -> Iterator[dict]:
    code, text = str(diag.findtext("name")), str(diag.findtext("desc"))
    own = diag.find("sevenChrDef")
    if own is not None:
        seventh = {e.attrib["char"]: str(e.text) for e in own.findall("extension")}
    yield {"system": ICD, "code": code, "display": text, "parents": [parent] if parent else [], "active": True}
    inner = diag.findall("diag")
    for child in inner:
        yield from _diag(child, code, seventh)
    if not inner:
        for char, meaning in seventh.items():
            stem = code if "." in code else f"{code}."
            full = stem + "X" * (7 - len(stem)) + char
            yield {"system": ICD, "code": full, "display": f"{text}, {meaning}", "parents": [code], "active": True}


def hl7(folder: Path) -> Iterator[dict]:
    """Concepts of HL7's code systems that are complete."""
    for name in ("valuesets.json", "v3-codesystems.json", "v2-tables.json"):
        for entry in json.loads((folder / name).read_text(encoding="utf-8"))["entry"]:
            system = entry["resource"]
            if system["resourceType"] == "CodeSystem" and system.get("content") == "complete" and "hl7.org" in system["url"]:
                yield from _concepts(system["url"], system.get("concept", []), [])
            if system["resourceType"] == "CodeSystem" and system["url"] == VACCINES:
                for c in system["concept"]:  # which of them are still given, the table does not say
                    name = FOOTNOTE.sub("", c["display"])
                    yield {"system": CVX, "code": c["code"], "display": name, "parents": [], "active": None}


def _concepts(url: str, concepts: list[dict], parents: list[str]) -> Iterator[dict]:
    for c in concepts:
        said = {p["code"]: p.get("valueCode") for p in c.get("property", ())}
        active = said.get("status") not in ("deprecated", "retired")
        yield {"system": url, "code": c["code"], "display": c.get("display", c["code"]), "parents": parents, "active": active}
        yield from _concepts(url, c.get("concept", []), [c["code"]])


def save(rows: Iterator[dict], name: str) -> int:
    """Writes one table, sorted by system and code, each code once."""
    seen: dict[tuple[str, str], dict] = {}
    for row in rows:
        old = seen.setdefault((row["system"], row["code"]), row)
        old["parents"] = sorted({*old["parents"], *row["parents"]})
    table = pa.Table.from_pylist([seen[k] for k in sorted(seen)], schema=SCHEMA)
    with pa.ipc.new_file(OUT / name, SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
        out.write_table(table)
    print(f"{name}: {table.num_rows:,} codes, {(OUT / name).stat().st_size:,} bytes")
    return table.num_rows


def main(tabular: Path, codes: Path, folder: Path) -> None:
    """Writes both tables; the ICD codes must be those of the list."""
    rows = list(icd(tabular))
    listed = {c.strip() for c in codes.read_text(encoding="utf-8").splitlines() if c.strip()}
    made = {r["code"].replace(".", "") for r in rows}
    lost = {c for c in listed if "-" not in c and not c.isdigit()} - made
    if lost:
        raise SystemExit(f"{len(lost)} listed codes were not made, such as {min(lost)}")
    rows = [r for r in rows if r["code"].replace(".", "") in listed]  # not every seventh character goes with every code
    save(iter(rows), "icd10cm.arrow")
    save(hl7(folder), "hl7.arrow")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
