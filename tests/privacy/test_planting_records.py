"""Recall on identifiers planted into C-CDA, DICOM and MEDS: a rule that is switched off makes it fall, and the gate refuses."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from galenic.privacy.deidentification import DeidentificationOptions, deidentify
from galenic.privacy.deidentification.planting.identifiers import IdentifierMaker
from galenic.privacy.deidentification.planting.names import is_part_of_others
from galenic.privacy.deidentification.rules import announcements, coded_text
from galenic.privacy.deidentification.rules import ccda as ccda_rules
from galenic.privacy.deidentification.rules import dicom as dicom_rules
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules
from galenic.privacy.deidentification.rules.labels import Announced
from galenic.release import decide, load_policy, residual_risk
from galenic.schema import Finding, NotMeasured, Report

CCDA = """<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="2.16.840.1.113883.19.5" extension="4481207"/><title>Summary of care</title>
<effectiveTime value="20200311"/><recordTarget><patientRole><id root="2.16.840.1.113883.19.5" extension="7712034"/>
<addr><streetAddressLine>12 Road</streetAddressLine><city>Town</city></addr><telecom value="tel:415-555-2671"/>
<patient><name><given>Given</given><family>Family</family></name><birthTime value="19600403"/></patient></patientRole></recordTarget>
<component><structuredBody><component><section><title>Results</title><text>
<paragraph>The patient was seen for a cough. The lungs are clear and she is well.</paragraph>
<table><tbody><tr><td>She takes metformin twice a day.</td></tr></tbody></table></text>
<entry><observation><code code="2823-3" codeSystem="2.16.840.1.113883.6.1" displayName="Potassium"/></observation></entry>
</section></component></structuredBody></component></ClinicalDocument>"""


def gate(files: list[Path], out: Path) -> tuple[bool, Finding | NotMeasured, Any]:
    """(whether the shipped rule on planted identifiers is met, the finding, the report)."""
    report = deidentify(files, out)
    findings = residual_risk(report)
    items = decide(Report("copy", tuple(findings)), load_policy("deidentified")).items
    recall = next(f for f in findings if f.name == "deid.planted.recall")
    return next(i for i in items if i.finding == "deid.planted.recall").outcome == "met", recall, report


def document(place: Path) -> Path:
    (place / "summary.xml").write_text(CCDA, encoding="utf-8")
    return place / "summary.xml"


def picture(place: Path) -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.777.1", "1.2.3.777.100"
    ds.Modality, ds.PatientName, ds.PatientID, ds.StudyDate = "MR", "Family^Given", "P-0815-77", "20200229"
    ds.save_as(place / "image.dcm", enforce_file_format=True)
    return place / "image.dcm"


def timeline(place: Path) -> Path:
    root = place / "timelines"
    (root / "data").mkdir(parents=True)
    (root / "metadata").mkdir()
    note = "The patient was seen for a cough. The lungs are clear and she is well."
    rows: list[tuple[int, datetime | None, str, str | None, str | None]] = []
    for subject in range(100, 125):
        rows.append((subject, None, "SEX//F", None, None))
        rows += [
            (subject, datetime(2020, 3, 1, 8), "NOTE", note, None),
            (subject, datetime(2020, 3, 2), "LAB//K", None, "mmol/L"),
        ]
    subjects, times, codes, texts, units = zip(*rows, strict=True)
    columns = {"subject_id": pa.array(subjects, pa.int64()), "time": pa.array(times, pa.timestamp("us")), "code": list(codes)}
    columns |= {"numeric_value": pa.nulls(len(rows), pa.float32()), "text_value": pa.array(texts, pa.large_string())}
    pq.write_table(pa.table({**columns, "unit": pa.array(units, pa.string())}), root / "data" / "0.parquet")
    (root / "metadata" / "dataset.json").write_text('{"dataset_name": "x"}')
    return root


@pytest.mark.parametrize("make", [document, picture, pytest.param(timeline, marks=pytest.mark.slow)])
def test_the_gate_measures_records_of_every_format(make: Any, tmp_path: Path) -> None:
    met, recall, report = gate([make(tmp_path)], tmp_path / "out")
    assert isinstance(recall, Finding)
    assert not report.planted.unmeasured
    assert met == (recall.value >= 0.95)
    assert met or make is not picture
    assert min(s.removed_count / s.count for s in report.planted.strata) >= 0.93
    assert len(report.planted.strata) >= 6
    assert {p.name for p in tmp_path.iterdir()} == {report.files[0][0], "out"}


def worst(recall: Finding | NotMeasured, report: Any) -> str:
    assert isinstance(recall, Finding)
    return str(report.planted.worst.name)


def test_a_document_whose_contact_points_stay_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ccda_rules._TREATMENTS, "telecom", lambda _node, _rules, _parent: None)
    met, recall, report = gate([document(tmp_path)], tmp_path / "out")
    assert not met
    assert worst(recall, report) == "C-CDA contact points"
    assert report.planted.worst.removed_count == 0


def test_labels_of_a_narrative_that_announce_nothing_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "announced_by_labels", lambda _: Announced())
    met, _, report = gate([document(tmp_path)], tmp_path / "out")
    assert not met
    assert report.planted is not None
    assert report.planted.worst is not None and report.planted.worst.name == "C-CDA text behind labels"


def test_an_image_whose_names_stay_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = dicom_rules._removed

    def all_but_names(ds: Any, element: Any, *more: Any) -> None:
        if element.VR != "PN":
            removed(ds, element, *more)

    monkeypatch.setattr(dicom_rules, "_removed", all_but_names)
    met, recall, report = gate([picture(tmp_path)], tmp_path / "out")
    assert not met
    assert worst(recall, report) == "DICOM names"


@pytest.mark.slow
def test_a_data_set_with_names_in_codes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galenic.privacy.deidentification.meds.search_coded", lambda text, _rules: text)
    met, recall, report = gate([timeline(tmp_path)], tmp_path / "out")
    assert not met
    assert worst(recall, report) == "MEDS codes"


def test_a_policy_that_keeps_dates_and_uids_is_not_measured_on_them(tmp_path: Path) -> None:
    policy = tmp_path / "site.toml"
    policy.write_text('like = "safe-harbor"\n[dicom]\noptions = ["full-dates", "uids"]\n', encoding="utf-8")
    done = deidentify([picture(tmp_path)], tmp_path / "out", DeidentificationOptions(policy=str(policy)))
    strata = {s.name for s in done.planted.strata}  # type: ignore[union-attr]
    assert "DICOM names" in strata
    assert not strata & {"DICOM dates", "DICOM UIDs"}


def test_names_and_units_that_are_not_known_leave_meds(tmp_path: Path) -> None:
    root = timeline(tmp_path)
    table = pq.read_table(root / "data" / "0.parquet")
    name = IdentifierMaker().name("Two Words")
    table = table.set_column(2, "code", pa.array([f"SEEN BY {name}"] * table.num_rows))
    table = table.set_column(5, "unit", pa.array([name] * table.num_rows)).append_column(
        "code_system", pa.array([name] * len(table))
    )
    pq.write_table(table, root / "data" / "0.parquet")
    done = deidentify([root], tmp_path / "out", DeidentificationOptions(measured=False))
    written = str(pq.read_table(tmp_path / "out" / "timelines" / "data" / "0.parquet").to_pylist())
    assert not any(word in written for word in name.split())
    assert done.omissions["MEDS unit (unknown)"] == table.num_rows


def test_a_telephone_number_behind_a_code_is_withheld() -> None:
    from galenic.privacy import text

    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())
    rules = CcdaRules(detector, replacer, b"t" * 32)
    clean = coded_text.search_coded("LOINC//2823-3 364 315 8972", rules)
    assert "8972" not in clean


def test_no_planted_name_is_part_of_a_listed_one_or_made_of_digits_of_tokens() -> None:
    names = [IdentifierMaker().name("Word") for _ in range(40)]
    assert sum(is_part_of_others(name) for name in names) <= 1
    assert is_part_of_others("Ada")
