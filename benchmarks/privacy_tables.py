"""privacy.tables: identifiers planted in made tables that `galenic deidentify` lets out, and clean columns that it withholds or destroys.

TABLES=60 sets how many tables, SEED=1000 which; `python benchmarks/privacy.py tables` runs it alone. Galenic's word lists were extended
once after a run on 60 tables of this generator had withheld a tenth of the clean columns, so the share on other vocabularies is larger.
"""

import csv
import os
import random
import re
import tempfile
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import privacy_tables_clean as clean
from galenic.privacy.deidentification.planting.dates import dates_in
from privacy_tables_made import KINDS, LANGUAGES, OF_KIND, Made, People, make_planted
from rows import galenic

TABLES, ROWS = int(os.environ.get("TABLES", "60")), 60
SEED = int(os.environ.get("SEED", "1000"))
FORMATS = ("comma", "semicolon", "tab", "utf16", "latin1", "parquet")
KEPT = 0.9  # of the cells of a clean column that come out as they are


def measure(row: Any, tables: int = TABLES) -> list[dict[str, Any]]:
    """Planted identifiers out, and the share of clean columns withheld; the worst kind of table and language of each."""
    out: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    lost: dict[str, list[bool]] = defaultdict(list)
    examples: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        made = [make_table(SEED + i) for i in range(tables)]
        names = [write_table(one, place / "in", i) for i, one in enumerate(made)]
        done = galenic(place / "home", "deidentify", place / "in", "--out", place / "out", "--workers", "2", accept=(0, 2))
        for one, name in zip(made, names, strict=True):
            cells = read_cells(output_of(place / "out", names, name))
            for kind, header, values in one.planted:
                found = sorted({v for v in values if comes_out(kind, v, header, cells, one)})
                for where in (kind, one.kind, one.language, "all"):
                    planted[where] += len(set(values))
                    out[where] += len(found)
                examples += [f"{one.kind}/{one.language}/{kind}/{header}"] if found else []
            for header in one.clean:
                kept = cells.get(header, [])
                same = sum(fold(a) == fold(b) for a, b in zip(kept, one.columns[header], strict=False)) >= KEPT * ROWS
                for where in (one.kind, one.language, "all"):
                    lost[where].append(not same)
                examples += [] if same else [f"clean {one.kind}/{one.language}/{header}"]
    refused = len(done["refused"])
    shares = {k: sum(v) / len(v) for k, v in lost.items()}
    worst = max((k for k in shares if k != "all"), key=lambda k: shares[k])
    of = f"{tables} made tables of {len(KINDS)} kinds and {len(LANGUAGES)} languages"
    what = f"identifiers planted in {of} that come out ({planted['all']:,} planted)"
    about = {
        "places": dict(Counter(e for e in examples if not e.startswith("clean")).most_common(20)),
        "tables refused": refused,
    }
    about |= {"by kind": {k: f"{out[k]} of {planted[k]}" for k in planted if out[k]}}
    columns = {
        "columns": len(lost["all"]),
        "worst": f"{worst}: {shares[worst]:.3f}",
        "which": [e for e in examples if e.startswith("clean")][:40],
    }
    lost_share, clean_what = shares["all"], "share of clean columns of these tables withheld or destroyed"
    return [
        row("privacy.tables.out", what, "", out["all"], "0", out["all"] == 0, peers=about),
        row("privacy.tables.withheld", clean_what, "", round(lost_share, 4), "at most 0.05", lost_share <= 0.05, peers=columns),
    ]


def make_table(number: int) -> Made:
    """Table number i, the same in every run."""
    rng = random.Random(number)
    kind, language = KINDS[number % len(KINDS)], LANGUAGES[(number + number // len(KINDS)) % len(LANGUAGES)]
    made, people = Made(f"t{number}", kind, language), People(language, rng)
    for one in OF_KIND[kind].split():
        header, values = make_planted(one, people, rng, ROWS)
        if header not in made.columns:
            made.columns[header] = values
            made.planted.append((one, header, values))
    for concept in clean.OF_KIND[kind].split():
        header, values = clean.make_clean(concept, language, rng, ROWS)
        if header not in made.columns:
            made.columns[header] = values
            made.clean.append(header)
    order = list(made.columns)
    rng.shuffle(order)
    made.columns = {name: made.columns[name] for name in order}
    return made


def write_table(made: Made, folder: Path, number: int) -> str:
    """Write the table in one of the formats; returns the file's name."""
    folder.mkdir(exist_ok=True)
    form = FORMATS[number % len(FORMATS)]
    suffix = {"tab": "tsv", "parquet": "parquet"}.get(form, "csv")
    name = f"{made.kind}{chr(97 + number // 26)}{chr(97 + number % 26)}.{suffix}"
    if form == "parquet":
        pq.write_table(pa.table({k: pa.array(v) for k, v in made.columns.items()}), folder / name)
        return name
    encoding = {"utf16": "utf-16", "latin1": "cp1252"}.get(form, "utf-8")
    delimiter = {"semicolon": ";", "tab": "\t"}.get(form, ",")
    with (folder / name).open("w", encoding=encoding, errors="replace", newline="") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow(made.columns)
        rows.writerows(zip(*made.columns.values(), strict=True))
    return name


def output_of(folder: Path, names: list[str], name: str) -> Path:
    """The output of a file, which is named by its number as the words of its name are not known."""
    return folder / f"{sorted(names).index(name):06d}{Path(name).suffix}"


def read_cells(place: Path) -> dict[str, list[str]]:
    """The output, by column; nothing if the table was refused."""
    if not place.exists():
        return {}
    if place.suffix == ".parquet":
        return {k: [str(c) if c is not None else "" for c in v] for k, v in pq.read_table(place).to_pydict().items()}
    with place.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file, delimiter="\t" if place.suffix == ".tsv" else ","))
    return {name: [r[i] for r in rows] for i, name in enumerate(head)}


def fold(text: str) -> str:
    """Lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


WORDS = re.compile(r"[^\W\d_]{4,}")
ORDINARY = frozenset(
    [
        "strasse",
        "calle",
        "dorf",
        "siehe",
        "wohnt",
        "rucksprache",
        "zugezogen",
        "tochter",
        "anwesend",
        "voir",
        "habite",
        "vient",
        "fille",
        "presente",
        "vive",
        "hablado",
        "viene",
        "hija",
        "abita",
        "parlato",
        "figlia",
        "vedi",
        "mora",
        "falado",
        "filha",
        "lives",
        "spoke",
        "will",
        "call",
        "back",
        "moved",
        "from",
        "daughter",
        "present",
        "dott",
        "surname",
        "born",
        "https",
        "portal",
        "example",
        "mailbox",
        "unknown",
        "unbekannt",
        "inconnu",
        "desconocido",
        "sconosciuto",
        "desconhecido",
        "vem",
        "presente",
    ]
)


def comes_out(kind: str, value: str, header: str, cells: dict[str, list[str]], made: Made) -> bool:
    """Whether an identifier is anywhere in the output, in header or cells, in another case, or as another form of the same day."""
    if kind == "age":
        return float(value) > 90 and value in cells.get(header, [])
    if kind in ("birth", "visit"):
        return date_comes_out(value, cells)
    headers = [h for h in cells if h not in made.columns]  # the table's own headers are no values
    everything = [*headers, *(c for column in cells.values() for c in set(column))]
    if kind in ("lat", "lon"):
        return any(value[:7] in c for c in everything)
    if kind == "zip":
        return any(value in re.findall(r"\d+", c) for c in everything)
    if kind in ("record", "long", "insurance", "phone", "serial", "ip"):
        digits = re.sub(r"\D", "", value)
        return any(digits in re.sub(r"\D", "", c) for c in everything)
    folded = fold("\n".join(everything))
    ordinary = set(
        WORDS.findall(fold("\n".join(c for h in made.clean for c in set(made.columns[h]))))
    )  # such as black, of race
    found = set(WORDS.findall(folded)) - ordinary
    whole = re.search(rf"(?<!\w){re.escape(fold(value))}(?!\w)", folded) is not None and len(value) > 2
    return whole or any(w in found for w in WORDS.findall(fold(value)) if w not in ORDINARY)


def date_comes_out(value: str, cells: dict[str, list[str]]) -> bool:
    """Whether a written day comes out as it was written, or as the same day in another format."""
    if not any(c.isdigit() for c in value):
        return False
    everything = {c for column in cells.values() for c in column}
    days = dates_in(fold(value))[0]
    return any(value in c for c in everything) or bool(days & dates_in(fold("\n".join(sorted(everything))))[0])


if __name__ == "__main__":
    from rows import row

    measure(row)
