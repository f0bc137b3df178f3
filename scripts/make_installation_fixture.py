"""Build the installation that tests/stories/test_previous_installation.py opens, by the command line of a source tree.

    git worktree add ../galenic-0.1.0 15b757e
    python scripts/make_installation_fixture.py ../galenic-0.1.0 tests/installations/installation-0.1.0.tar.gz

Keys, noise and times differ each time, so two archives are never equal, and a synthesis that the policy refuses by chance
(now and then, on so small a table) ends the script: run it again. The packing itself adds nothing that differs
(sorted names, no owner, no times). Only the standard library, numpy and pyarrow are used here, so that the script works
with any version. No passphrase is set: key files are not encrypted. All patients are simulated.

The archive holds one folder, installation-VERSION:

    home/           GALENIC_HOME: database, root key, escrow, people's keys, witness, search index, runs
    backup/         a backup, made before a patient was erased
    release/        a released run; keys.json: the keys that a recipient trusts
    receipt.json    the receipt of the erasure; gate.pub: the key that it is verified with
    budget.json     the budget statement as it was then
    clinic.csv      the imported table, with the patient who was erased later
    expected.json   names of runs and people, for the test
"""

import argparse
import gzip
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

# key, role, person; two keys of one person are one person who confirms with the second
KEYS = (
    ("ada", "clinician", "ada"),
    ("paul", "privacy-officer", "paul"),
    ("paul2", "privacy-officer", "paul"),
    ("sven", "security-officer", "sven"),
    ("sven2", "security-officer", "sven"),
    ("inge", "integration-engineer", "inge"),
    ("dora", "data-scientist", "dora"),
)
ERASED, TREATED = "P000007", "P000003"
CENTURY = 36_500  # days: the care relation must not end before the test is deleted
FHIR_LINES = {"Patient": 5, "Encounter": 3, "Condition": 3, "Immunization": 2, "Observation": 5}


def main() -> None:
    """Build the installation in a temporary folder, pack it, and remove the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, help="Source tree whose version makes the installation.")
    parser.add_argument("archive", type=Path, help="The .tar.gz to write.")
    words = parser.parse_args()
    name = words.archive.name.removesuffix(".tar.gz")
    place = Path(tempfile.gettempdir()) / f"galenic-{name}"  # backups keep their absolute folder: not a developer's own
    place.mkdir(mode=0o700)
    try:
        build(Installation(place, words.source.resolve() / "src"))
        pack(place, name, words.archive)
    finally:
        shutil.rmtree(place)
    print(f"{words.archive}: {words.archive.stat().st_size:,} bytes")


class Installation:
    """An installation in a folder, used through the command line of one source tree."""

    def __init__(self, place: Path, source: Path) -> None:
        self.place = place
        self.scratch = place / "scratch"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GALENIC_")}
        self.env = clean | {"GALENIC_HOME": str(place / "home"), "PYTHONPATH": str(source), "LOGNAME": "operator"}

    def run(self, *words: object, code: int = 0) -> str:
        """The standard output of one command, which must end with this exit code."""
        command = [sys.executable, "-m", "galenic", *map(str, words)]
        done = subprocess.run(  # noqa: S603  (the words are this script's own)
            command, cwd=self.place, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}, expected {code}:\n{done.stderr[-2000:]}")
        return done.stdout


def build(made: Installation) -> None:
    """Fill the installation: custody, records, runs, a release, a backup, and after it an erasure."""
    made.scratch.mkdir()
    made.run("init")
    for key, role, person in KEYS:
        made.run("key", key, "--role", role, "--person", person)
    import_records(made)
    expected = make_runs(made)
    made.run("backup", "backup", "--key", "sven", "--second", "sven2")
    made.run("erase", ERASED, "--key", "paul", "--second", "paul2", "--receipt", "receipt.json")
    index_table(made)  # the erasure dropped the first one
    made.run("client", "add", "lab", "--role", "service")
    (made.place / "gate.pub").write_text(made.run("audit", "public-key"), encoding="ascii")
    (made.place / "budget.json").write_text(made.run("budget", "--json"), encoding="utf-8")
    expected |= {"erased": ERASED, "treated": TREATED, "version": made.run("version").strip()}
    expected["audit_rows"] = json.loads(made.run("audit", "verify", "--json"))["rows"]
    (made.place / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(made.scratch)
    with sqlite3.connect(made.place / "home" / "galenic.db") as c:
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.execute("VACUUM")
    c.close()


def import_records(made: Installation) -> None:
    """A table of 30 patients and FHIR records of 5, with consents, a care relation and a search index."""
    pacsv.write_csv(simulated_visits(30, 3), made.place / "clinic.csv")
    made.run("import", "clinic.csv", "--as", "clinic", "--patient", "patient_id", "--key", "inge")
    ids = made.scratch / "ids.txt"
    ids.write_text("".join(f"P{i:06d}\n" for i in range(28)), encoding="ascii")
    made.run("consent", "clinic", ids, "--purpose", "synthetic-data", "--key", "inge")
    for patient in (TREATED, ERASED):
        made.run("relate", "clinic", patient, "--who", "ada", "--key", "inge", "--days", CENTURY)
    index_table(made)
    made.run("simulate", 5, "--out", made.scratch / "all", "--as", "fhir", "--seed", 11, "--until", "2026-01-01")
    some = made.scratch / "hospital"
    some.mkdir()
    for kind, most in FHIR_LINES.items():  # a part: every sealed resource takes a kilobyte that cannot be compressed
        lines = (made.scratch / "all" / f"{kind}.ndjson").read_text(encoding="utf-8").splitlines(keepends=True)
        (some / f"{kind}.ndjson").write_text("".join(lines[:most]), encoding="utf-8")
    made.run("import", some, "--as", "hospital", "--key", "inge")


def index_table(made: Installation) -> None:
    """Build the search index of the table from the rows that are there now."""
    made.run("index", "clinic", "--purpose", "quality", "--key", "paul", "--codes", "sex")


def make_runs(made: Installation) -> dict[str, object]:
    """Names of a run that was released, of one that one person signed, and of one that was refused."""
    table = made.scratch / "registry.csv"
    pacsv.write_csv(simulated_visits(600, 5).drop_columns(["age_years", "sex", "smoker"]), table)
    made.run("budget", "registry", "--epsilon", 20)
    private = ["--population", "registry", "--epsilon", 8, "--rows", 2800, "--target", "diabetes", "--policy", "internal"]
    released = json.loads(made.run("synthesize", table, *private, "--json"))["run"]
    for key in ("paul", "ada"):
        made.run("sign", released, "--key", key)
    made.run("release", released, "release", "--trust", "keys.json")
    stored = ["--from", "store", "--key", "dora", "--patient", "patient_id", "--no-privacy"]
    refused = json.loads(made.run("synthesize", "clinic", *stored, "--drop", "admitted", "--json", code=1))["run"]
    before = set((made.place / "home" / "runs").iterdir())
    made.run("deidentify", "hospital", "--from", "store", "--key", "paul", "--vault")
    (copy,) = set((made.place / "home" / "runs").iterdir()) - before
    made.run("sign", copy.name, "--key", "ada")
    with zipfile.ZipFile(copy / "artefact" / "data.zip") as packed:
        token = json.loads(packed.read("Patient.ndjson").splitlines()[0])["id"]
    return {"released": released, "refused": refused, "signed_once": copy.name, "token": token}


def simulated_visits(patients: int, seed: int) -> pa.Table:
    """One visit of each simulated patient, with dependence between the columns and some missing values."""
    rng = np.random.default_rng(seed)
    age = np.clip(rng.normal(55, 18, patients), 18, 95).round().astype(int)
    smoker = rng.random(patients) < 0.25
    sbp = np.round(100 + 0.5 * age + 8 * smoker + rng.normal(0, 10, patients), 1)
    diabetes = rng.random(patients) < 1 / (1 + np.exp(-(sbp - 135) / 8))
    admitted = np.datetime64("2020-01-01") + rng.integers(0, 700, patients)
    return pa.table(
        {
            "patient_id": [f"P{i:06d}" for i in range(patients)],
            "age_years": age,
            "sex": np.where(rng.random(patients) < 0.52, "female", "male"),
            "smoker": np.where(smoker, "yes", "no"),
            "sbp_mmhg": pa.array(np.where(rng.random(patients) < 0.08, np.nan, sbp), from_pandas=True),
            "diabetes": np.where(diabetes, "yes", "no"),
            "admitted": admitted.astype("datetime64[D]"),
        }
    )


def pack(place: Path, name: str, archive: Path) -> None:
    """Write the folder as a .tar.gz without owners and times; everything is for its owner alone."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(place.rglob("*")):
            if path.is_file() and not re.search(r"\.lock$", path.name):
                entry = tarfile.TarInfo(f"{name}/{path.relative_to(place).as_posix()}")
                entry.size, entry.mode = path.stat().st_size, 0o600
                with path.open("rb") as file:
                    tar.addfile(entry, file)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with archive.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(raw.getvalue())


if __name__ == "__main__":
    main()
