"""Values of an erased patient that are left, and false lines of receipts, after every kind of derivation.

The installation is made by the command line and the public functions; the search reads files (tests/canary_search.py), and each line
of a receipt is checked on the disk, in the database or by a public function (tests/erasure_scenario.py).
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from canary_search import FORMS, found_in, plant_controls
from erasure_scenario import Scenario, false_statements, still_served

ROWS = 2_000  # of the table, one a patient


def measure(row: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """The two figures. RuntimeError if the search misses a control, since it would then prove nothing."""
    folder, before = Path(tempfile.mkdtemp()), tempfile.tempdir
    try:
        scenario = Scenario(folder, rows=ROWS)
        scenario.prepare()
        scenario.import_table()
        scenario.import_fhir()
        scenario.import_omop()
        with scenario.serving() as ehr:
            scenario.derive()
            receipts = scenario.erase()
            wrong = [
                line for patient, subject, result in receipts for line in false_statements(scenario, patient, subject, result)
            ]
            wrong += still_served(ehr)
            left = found_in(scenario.home, folder / "temporary", folder / "backups")
        planted = plant_controls(folder / "controls")
        if len(found_in(folder / "controls")) != planted or not found_in(scenario.outside):
            raise RuntimeError("the search misses a planted control")
        lines = sum(len(result.facts["artefacts"]) + len(result.facts["backups"]) + 6 for _, _, result in receipts)
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
    where = (
        f"{len(receipts)} patients erased beside a running server (table of {ROWS:,}, FHIR, OMOP, served FHIR), "
        f"{len(FORMS)} byte patterns; index, quality pages, "
        f"access, export, refused and non-private runs, released de-identified copy, token vault, bulk export, "
        f"2 backups; {planted} controls found"
    )
    places = sum(len(what) for what in left.values())
    return [
        row("faults.erasure.left", f"planted values of erased patients left in home, temporary files and backups; {where}", "values",
            places, 0, places == 0),
        row("faults.erasure.receipt", f"false lines of {lines} on their receipts", "lines", len(wrong), 0, not wrong),
    ]  # fmt: skip
