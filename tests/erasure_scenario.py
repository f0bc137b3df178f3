"""An installation in which one patient's planted values went through every kind of derivation, its erasure, and the checks of the
receipt from outside."""

import csv
import json
import os
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from canary_search import EXTREME, TEXTS
from galenic import cli, custody, flows, jobs, release, store
from galenic.custody import ImportRequest
from galenic.generators import SynthesisRequest
from galenic.installation import Installation, open_installation
from galenic.privacy import ColumnOptions
from galenic.records import fhir
from galenic.schema import ErasureResult
from galenic.security import opens, require_subject, verify_receipt
from made import made_patients
from server_made import Fhir, a_server

PEOPLE = {
    "inge": "integration-engineer", "paul": "privacy-officer", "sven": "security-officer", "ada": "clinician", "rosa": "researcher",
    "dora": "data-scientist", "eli": "ethics-board",
}  # fmt: skip
LEFT_OF = {  # kinds of files that left with each planted patient
    TEXTS["identifier"]: ("page", "access", "export"),
    "hospital|f0": ("release",),
    "records|s0": ("download",),
}
STRICT = (
    'name = "strict"\nversion = 1\npurpose = "A test."\nroles = ["clinician", "privacy-officer"]\nidentity = "unverified"\n\n'
    '[[rule]]\nfinding = "fidelity.tvd1.excess"\nat_most = -1.0\nreason = "never met"\n'
)


@dataclass
class Scenario:
    """folder: of everything; home, temporary, backups and outside lie in it. patients: whom to erase; left: kinds of files that left."""

    folder: Path
    rows: int = 400
    patients: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    run_of_copy: str = ""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    def open(self) -> Installation:
        return open_installation(self.home)

    def command(self, *words: object, ends: tuple[int, ...] = (0,)) -> None:
        before = os.environ.get("GALENIC_HOME")
        os.environ["GALENIC_HOME"] = str(self.home)
        try:
            assert cli.run([str(w) for w in words]) in ends, words
        finally:
            if before is None:
                del os.environ["GALENIC_HOME"]
            else:
                os.environ["GALENIC_HOME"] = before

    def prepare(self) -> None:
        """Folders, keys of people, and the temporary files of this process within the scenario."""
        for name in ("temporary", "outside", "incoming", "backups"):
            (self.folder / name).mkdir(parents=True)
        tempfile.tempdir = str(self.folder / "temporary")
        installation = self.open()
        custody.initialize(installation)
        for name, role in PEOPLE.items():
            for key in (name, f"{name}2"):
                custody.make_key(installation, key, role, person=name)
        installation.close()

    def import_table(self) -> None:
        """A table with the planted patient, whose consents are given."""
        frame = made_patients(self.rows, 1)
        who = frame["patient_id"].to_pylist()
        who[0] = TEXTS["identifier"]
        numbers = frame["sbp_mmhg"].to_pylist()
        numbers[0] = EXTREME
        frame = frame.set_column(0, "patient_id", pa.array(who))
        frame = frame.set_column(frame.column_names.index("sbp_mmhg"), "sbp_mmhg", pa.array(numbers))
        for column, value in (
            ("name", TEXTS["name"]),
            ("phone", TEXTS["phone"]),
            ("note", TEXTS["note"]),
            ("site", TEXTS["code"]),
        ):
            frame = frame.append_column(column, pa.array([value, *["other"] * (self.rows - 1)]))
        pacsv.write_csv(frame, self.folder / "incoming" / "table.csv")
        self.command(
            "records",
            "import",
            self.folder / "incoming" / "table.csv",
            "--as",
            "clinic",
            "--patient",
            "patient_id",
            "--key",
            "inge",
        )
        (self.folder / "incoming" / "ids.txt").write_text("\n".join(who), encoding="utf-8")
        for purpose in ("synthetic-data", "research"):
            self.command(
                "patient", "consent", "clinic", self.folder / "incoming" / "ids.txt", "--purpose", purpose, "--key", "inge"
            )
        for patient in (TEXTS["identifier"], "P000001"):
            self.command("patient", "care-relation", "clinic", patient, "--who", "ada", "--key", "inge")
        self.patients.append(TEXTS["identifier"])

    def import_fhir(self) -> None:
        """FHIR resources of the planted patient and of three others."""
        lines = []
        for n in range(4):
            planted = n == 0
            name = TEXTS["name"] if planted else f"Other{n}"
            lines += [
                {"resourceType": "Patient", "id": f"f{n}", "gender": "female", "birthDate": "1950-02-03",
                 "identifier": [{"system": "http://hospital.example/mrn", "value": TEXTS["identifier"] if planted else f"MRN-{n}"}],
                 "name": [{"family": name}], "telecom": [{"system": "phone", "value": TEXTS["phone"] if planted else "1"}]},
                {"resourceType": "Observation", "id": f"v{n}", "status": "final", "subject": {"reference": f"Patient/f{n}"},
                 "code": {"coding": [{"system": "http://hospital.example/codes", "code": TEXTS["code"] if planted else f"C{n}"}]},
                 "effectiveDateTime": "2020-03-01", "note": [{"text": f"{name}: {TEXTS['note']}" if planted else "well"}],
                 "valueQuantity": {"value": EXTREME if planted else 5.5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}},
            ]  # fmt: skip
        place = self.folder / "incoming" / "in.ndjson"
        place.write_bytes(b"".join(fhir.write_json(r) + b"\n" for r in lines))
        installation = self.open()
        custody.import_fhir(installation, installation.sign_in("inge"), [place], ImportRequest("hospital"))
        installation.close()
        self.patients.append("hospital|f0")

    def import_omop(self) -> None:
        """Simulated OMOP tables with planted values of person 1."""
        folder = self.folder / "incoming" / "omop"
        self.command(
            "records",
            "simulate",
            "8",
            "--out",
            folder,
            "--format",
            "omop",
            "--seed",
            "3",
            "--until",
            "2026-01-01",
            "--years",
            "2",
        )
        _plant(folder / "person.csv", {"person_source_value": TEXTS["identifier"]})
        _plant(folder / "measurement.csv", {"value_as_number": str(EXTREME), "measurement_source_value": TEXTS["code"]})
        self.command("records", "import", folder, "--dataset", "omopset", "--key", "inge", ends=(0, 2))
        self.patients.append("omopset|1")

    @contextmanager
    def serving(self) -> Iterator[Fhir]:
        """A served FHIR repository: the planted patient is written, searched for, exported in bulk and downloaded. It serves on while the
        block lasts."""
        with a_server(self.home) as client:
            ehr = client("ehr")
            with jobs.worker_process(ehr.installation):
                for n, name in enumerate((TEXTS["name"], "Other")):
                    person = {"resourceType": "Patient", "id": f"s{n}", "name": [{"family": name}], "gender": "female"}
                    seen = {
                        "resourceType": "Observation", "id": f"t{n}", "status": "final", "subject": {"reference": f"Patient/s{n}"},
                        "code": {"text": TEXTS["note"] if n == 0 else "well"}, "effectiveDateTime": "2020-03-01",
                        "valueQuantity": {"value": EXTREME if n == 0 else 5.5, "unit": "mg"},
                    }  # fmt: skip
                    for resource in (person, seen):
                        answer = ehr("PUT", f"/{resource['resourceType']}/{resource['id']}", resource)
                        assert answer.status_code == 201, answer.text
                assert ehr.found(f"Patient?name={TEXTS['name']}") == ["s0"]
                assert ehr("GET", f"/Patient?nothing={TEXTS['name']}").status_code == 400  # an error names what it was about
                self._export(ehr, f"/Patient/$export?_typeFilter=Patient%3Fname%3D{TEXTS['name']}")
                self.patients.append("records|s0")
                yield ehr

    def _export(self, ehr: Fhir, place: str) -> None:
        """Exports in bulk and downloads every file into the folder outside."""
        answer = ehr("GET", place, Prefer="respond-async")
        if answer.status_code != 202:
            answer = ehr("GET", place.partition("?")[0], Prefer="respond-async")
        status, deadline = str(answer.headers["content-location"]).partition("/fhir")[2], time.monotonic() + 120
        while (done := ehr("GET", status)).status_code in (202, 429) and time.monotonic() < deadline:
            time.sleep(1.2)
        for number, file in enumerate(done.json()["output"]):
            content = ehr("GET", file["url"].partition("/fhir")[2]).content
            (self.outside / f"bulk{number}.ndjson").write_bytes(content)
        self.left["download"] += 1

    def derive(self) -> None:
        """Everything that is derived from the table and the FHIR data set."""
        self.command("records", "index", "clinic", "--purpose", "quality", "--key", "paul", "--codes", "sex,smoker,site")
        self.command(
            "records", "index", "clinic", "--purpose", "quality", "--key", "paul", "--codes", "sex,smoker"
        )  # replaces the first
        self.command("records", "quality", "clinic", "--key", "paul", "--report", self.outside / "page.html", ends=(0, 1))
        self.command("patient", "access", TEXTS["identifier"], "--key", "paul", "--out", self.outside / "record.json")
        self.left.update(["page", "access"])
        installation = self.open()
        for name in ("clinic", "hospital"):
            _measured(installation, name)
        custody.record_approval(installation, installation.sign_in("eli", "eli2"), "clinic", "rosa", "research")
        target = self.outside / "export.csv"
        custody.export_records(installation, installation.sign_in("rosa", "rosa2"), "clinic", "research", target)
        self.left["export"] += 1
        self._synthesize(installation)
        self._copy(installation)
        installation.close()
        for number in range(2):
            self.command("backup", "create", self.folder / "backups" / f"{number}", "--key", "sven", "--second", "sven2")

    def _synthesize(self, installation: Installation) -> None:
        policy = self.folder / "incoming" / "strict.toml"
        policy.write_text(STRICT, encoding="utf-8")
        installation.ledger.declare("clinic", epsilon=10.0, delta=1e-6, actor="dora")
        session = installation.sign_in("dora")
        leave_out = ColumnOptions(drop=("name", "phone"))
        refused = SynthesisRequest(
            epsilon=8, population="clinic", target="smoker", policy=str(policy), column_options=leave_out
        )
        for request in (
            refused,
            SynthesisRequest(population="none: open", target="smoker", private=False, seed=1, column_options=leave_out),
        ):
            flows.synthesize_stored(installation, session, "clinic", request)

    def _copy(self, installation: Installation) -> None:
        paul = installation.sign_in("paul", "paul2")
        copy = flows.deidentify_stored(installation, paul, flows.StoredCopyRequest("hospital", policy="expert", vault=True))
        self.run_of_copy = copy.run
        if copy.decision.accepted:
            for key in ("ada", "paul"):
                release.sign_with_key(installation, copy.run, key)
            release.write_release(installation, copy.run, installation.home / "released" / copy.run)
            self.left["release"] += 1

    def subjects(self) -> dict[str, int]:
        """Subject ids of the planted patients."""
        installation = self.open()
        try:
            session = installation.sign_in("paul")
            return {p: custody.find_patient(installation, session, p) for p in self.patients}
        finally:
            installation.close()

    def erase(self) -> list[tuple[str, int, ErasureResult]]:
        """(patient, subject, receipt) of each planted patient."""
        found = []
        for patient, subject in self.subjects().items():
            installation = self.open()
            found.append((patient, subject, flows.erase(installation, installation.sign_in("paul", "paul2"), patient)))
            installation.close()
        return found


def _plant(place: Path, values: dict[str, str]) -> None:
    with place.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = next(r for r in rows if r["person_id"] == "1")
    first.update(values)
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _measured(installation: Installation, name: str) -> None:
    """The page of a data set as the console's job writes it."""
    from galenic.jobs import quality

    result = flows.quality_of_stored(installation, installation.sign_in("paul"), name, "quality", page="inside")
    quality._store(installation, {"dataset": name, "by": "paul"}, result)


def false_statements(scenario: Scenario, patient: str, subject: int, result: ErasureResult) -> list[str]:
    """Statements of a receipt that do not hold, each checked on the disk, in the database or through a public function."""
    installation = scenario.open()
    try:
        facts = verify_receipt(result.envelope, installation.keys.gate().public)
        wrong = _wrong_keys(installation, facts, subject) + _wrong_rows(installation, facts, subject)
        wrong += [f"{a['id']}: {a['fate']}" for a in facts["artefacts"] if not _holds(installation, a, subject)]
        said = Counter(str(name).partition("/")[0] for name in facts["outside"])
        kinds = LEFT_OF.get(patient, ())
        expected = Counter({k: n for k, n in scenario.left.items() if k in kinds})
        if said != expected:
            wrong.append(f"outside: {dict(said)}, but {dict(expected)} left")
        require_subject(facts, patient, result.salt)
        return wrong
    finally:
        installation.close()


def still_served(ehr: Fhir) -> list[str]:
    """Responses about the planted patient of a server that ran during the erasure."""
    wrong = [
        f"{place} is served" for place in ("/Patient/s0", "/Observation/t0") if ehr("GET", place).status_code not in (404, 410)
    ]
    wrong += [
        f"{query} finds" for query in (f"Patient?name={TEXTS['name']}", "Observation?subject=Patient/s0") if ehr.found(query)
    ]
    return wrong if ehr.found("Patient?name=Other") == ["s1"] else [*wrong, "the other patient is not found"]


def _wrong_keys(installation: Installation, facts: dict[str, Any], subject: int) -> list[str]:
    wrong = []
    if facts["key"]["destroyed"] == opens(store.read_all_nodes(installation.db), installation.tree.root(), subject):
        wrong.append("key destroyed")
    for backup in facts["backups"]:
        folder = Path(backup["folder"])
        if backup["reached"] != (folder / "keys.json").is_file():
            wrong.append(f"{folder} reached")
        there = (folder / "keys.json").is_file()
        alive = opens(store.read_keys(folder).nodes, installation.tree.root(), subject) if there else None
        if alive != backup["opens_with_todays_root"]:
            wrong.append(f"{folder} opens")
    if facts["last_escrowed_older_root_dies"] is None and len(installation.escrow.copies()) > 1:
        wrong.append("no older root")
    return wrong


def _wrong_rows(installation: Installation, facts: dict[str, Any], subject: int) -> list[str]:
    with sqlite3.connect(f"file:{installation.home / 'galenic.db'}?mode=ro", uri=True) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (subject,)).fetchone()[0]
            for table, column in (("originals", "subject"), ("documents", "subject"), ("vault", "subject"), ("subjects", "id"))
        }
    wrong = [f"{table}: {n} rows left" for table, n in counts.items() if n or facts["rows_left"][table]]
    return wrong + ([] if facts["rows"] else ["no row was deleted"])


def _holds(installation: Installation, said: dict[str, Any], subject: int) -> bool:
    """Whether one line about an artifact holds."""
    kind, _, name = str(said["id"]).partition("/")
    fate, home = str(said["fate"]), installation.home
    places = {
        "quality": [home / "quality" / f"{name}.html", home / "quality" / f"{name}.json"],
        "bulk": [home / "builds" / name],
        "model": [home / "runs" / name / "artefact", home / "released" / name],
    }.get(kind, [home / "builds" / f"{said['id']}.db"])
    if fate.startswith("outside"):
        return said["place"] == "outside"
    if fate == "rows deleted":
        return _wrong_rows(installation, {"rows": 1, "rows_left": Counter()}, subject) == []
    if fate.startswith("kept: made within a privacy budget"):
        row = store.artefact(installation.db, str(said["id"]))
        return bool(row and row["private"])
    if fate.startswith("marked for retraining"):
        there = (home / "runs" / name / "model").exists()
        return not there and any(r["id"] == said["id"] for r in release.retrain_tasks(installation))
    gone = fate.startswith("deleted") and not any(p.exists() for p in places)
    if "searches use" in fate:
        copy = fate.partition("searches use ")[2].partition(",")[0]
        return gone and _search_is_right(installation, copy)
    if "replaced by a copy" in fate:
        return gone and bool(list((home / "builds").glob("resources-*.db")))
    return gone


def _search_is_right(installation: Installation, copy: str) -> bool:
    """Whether search works on the copy, finds somebody else, and does not find the erased patient."""
    if [b["id"] for b in store.list_builds(installation.db, "clinic", "index")] != [copy]:
        return False
    session = installation.sign_in("ada")  # she treated the erased patient and one other
    treated = custody.search_rows(installation, session, "clinic", "treatment", [("age_years", ">=", "0")])
    return [r["patient_id"] for r in treated] == ["P000001"]


def report(path: Path, result: dict[str, Any]) -> None:
    """Writes a result for a person to look at."""
    path.write_text(json.dumps(result, indent=1, default=sorted), encoding="utf-8")
