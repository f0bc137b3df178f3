"""What somebody wants to import, by the look of it: a table, FHIR, OMOP or MEDS."""

from pathlib import Path

from galenic.errors import DescriptionError

FHIR = (".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz", ".jsonl.gz")


def kind_of(paths: list[Path], patient: str) -> str:
    """table, fhir, omop or meds. DescriptionError where it is none, or where there are several that do not go together."""
    absent = [p for p in paths if not p.exists()]
    if absent:
        raise DescriptionError(f"{absent[0]} is not there. Give the path of a file or folder.")
    if all(_is_fhir(p) or (p.is_dir() and fhir_files([p])) for p in paths):
        return "fhir"
    if len(paths) > 1:
        raise DescriptionError(
            "several files are imported at once only if all are FHIR. Import tables, OMOP and MEDS one by one."
        )
    path = paths[0]
    if path.is_dir() and (path / "data").is_dir() and any((path / "data").rglob("*.parquet")):
        return "meds"
    tables = {p.name.lower().partition(".")[0] for p in path.iterdir()} if path.is_dir() else set()
    if "person" in tables or path.suffix in (".duckdb", ".db"):
        return "omop"
    if path.is_dir():
        raise DescriptionError(
            f"{path} is no folder of FHIR (*.ndjson, *.json), OMOP CDM (person.csv or .parquet) or MEDS (data/*.parquet)."
        )
    if not patient:
        raise DescriptionError(f"{path} is a table. Name the column that tells patients apart: --patient COLUMN")
    return "table"


def fhir_files(paths: list[Path]) -> list[Path]:
    """The files of FHIR among paths and in folders among them; what says that it is a log is none."""
    found = []
    for path in paths:
        found += [p for p in sorted(path.iterdir()) if _is_fhir(p) and p.name != "log.ndjson"] if path.is_dir() else [path]
    return found


def _is_fhir(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(FHIR)
