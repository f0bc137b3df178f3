"""The registries of custody are complete, and an importer from outside the package can be added with one line."""

from pathlib import Path

import pyarrow as pa
import pytest

from galenic import cli, custody, records, store
from galenic.custody import EVENT_READERS, EXPORTERS, IMPORTERS, ImportPlan, ImportRequest, ImportResult, RowRange
from galenic.custody.erasure import FORGET
from galenic.errors import OptionError, UnknownNameError
from galenic.installation import Installation
from galenic.records import FORMATS
from galenic.release import ARTIFACTS
from galenic.schema import Progress, no_progress
from galenic.security import Session
from galenic.store.lineage import KINDS


@pytest.mark.parametrize("kind", IMPORTERS)
def test_every_kind_that_is_imported_has_a_format_timelines_and_a_default_form(kind: str) -> None:
    assert kind in FORMATS
    assert kind in EVENT_READERS
    assert custody.default_form({"kind": kind}) in EXPORTERS
    assert all(callable(getattr(IMPORTERS[kind], name)) for name in ("plan", "run", "resume"))


@pytest.mark.parametrize("form", EXPORTERS)
def test_every_exporter_can_be_planned_run_and_summarized(form: str) -> None:
    assert all(callable(getattr(EXPORTERS[form], name)) for name in ("plan", "run", "summary"))


def test_every_kind_of_artifact_has_an_effect_of_erasure() -> None:
    elsewhere = {"export", "release", "backup"} | {kind.lineage_kind for kind in ARTIFACTS.values()}
    assert set(KINDS) <= set(FORGET) | elsewhere


def test_a_format_without_an_importer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "letter.xml").write_text("<ClinicalDocument/>")
    with pytest.raises(UnknownNameError, match="ccda cannot be imported"):
        custody.importer_for(records.kind_of([tmp_path / "letter.xml"]))


def test_a_table_without_a_patient_column_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--patient"):
        IMPORTERS["table"].plan([tmp_path / "absent.csv"], ImportRequest("x"))


class ToyImporter:
    """Lines of text as a table with one patient per line."""

    def plan(self, paths: list[Path], request: ImportRequest) -> ImportPlan:
        return ImportPlan(request, tuple(paths))

    def run(
        self, installation: Installation, session: Session, plan: ImportPlan, progress: Progress = no_progress
    ) -> ImportResult:
        lines = plan.files[0].read_text().split()
        source = records.in_memory(pa.table({"patient_id": lines, "word": lines}))
        request = ImportRequest(plan.request.dataset, patient="patient_id")
        return custody.import_table(installation, session, source, request, progress=progress)

    def resume(self, installation: Installation, session: Session, plan: ImportPlan, _rows: RowRange) -> ImportResult:
        return self.run(installation, session, plan)


class ToyFormat(type(FORMATS["note"])):
    """Lines of text."""

    def recognize(self, path: Path) -> bool:
        return path.suffix == ".toy"


def test_a_new_kind_of_data_is_one_line_in_each_registry(
    custody: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    others = dict(FORMATS)
    FORMATS.clear()
    FORMATS.update({"toy": ToyFormat(), **others})  # asked first: a table would recognize any file
    monkeypatch.setitem(IMPORTERS, "toy", ToyImporter())
    (tmp_path / "words.toy").write_text("anna\nbert\n")
    custody.close()
    try:
        assert cli.run(["records", "import", str(tmp_path / "words.toy"), "--dataset", "toys", "--key", "inge"]) == 0
    finally:
        FORMATS.clear()
        FORMATS.update(others)
    assert "of 2 people" in capsys.readouterr().out
    assert store.dataset(custody.db, "toys")["kind"] == "table"
