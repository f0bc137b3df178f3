"""Structured formats in files that are named as notes are refused with advice, never read as prose."""

from pathlib import Path

import pytest

from galenic.privacy import deidentification
from galenic.privacy.deidentification import note

MESSAGE = "MSH|^~\\&|LAB|HOSP|||202401011200||ADT^A01|1|P|2.5\rPID|1||00482913^^^HOSP||FAMILY^GIVEN||19580304|F\r"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(MESSAGE, "HL7 v2", id="carriage returns only"),
        pytest.param("\ufeff\n\n" + MESSAGE, "HL7 v2", id="byte order mark and blank lines"),
        pytest.param("\v" + MESSAGE, "HL7 v2", id="start of an MLLP frame"),
        pytest.param("MSH#*~\\&#LAB#HOSP#\rPID#1##00482913##FAMILY*GIVEN\r", "HL7 v2", id="other delimiters"),
        pytest.param("FHS|^~\\&|A\rBHS|^~\\&|A\r" + MESSAGE, "HL7 v2", id="batch"),
        pytest.param("Dear all,\nsee this message:\n" + MESSAGE.replace("\r", "\n"), "HL7 v2", id="in a letter"),
        pytest.param("2024-01-01 12:00:00 INFO received " + MESSAGE, "HL7 v2", id="in a log"),
        pytest.param("PID|1||00482913||FAMILY^GIVEN\nPV1|1|I|WARD\n", "HL7 v2", id="segments without a header"),
        pytest.param("H|\\^&|||LAB\rP|1||00482913||FAMILY^GIVEN\rL|1|N\r", "ASTM", id="ASTM"),
        pytest.param("1H|\\^&|||LAB\r\n2P|1||00482913||FAMILY^GIVEN\r\n", "ASTM", id="numbered frames"),
        pytest.param("see below\nP|1||00482913||FAMILY^GIVEN\nR|1|^^^GLU|5.4\n", "ASTM", id="records without a header"),
        pytest.param("ISA*00*          *00*          *ZZ*A*ZZ*B*240101*1200*^*00501*1*0*P*:~", "X12", id="X12"),
        pytest.param("UNB+UNOA:1+A+B+240101:1200+1'UNH+1+MEDREF:1'", "EDIFACT", id="EDIFACT"),
        pytest.param('{"resourceType": "Patient", "name": [{"family": "FAMILY"}]}', "JSON", id="FHIR"),
        pytest.param('<?xml version="1.0"?><ClinicalDocument><id/></ClinicalDocument>', "XML", id="C-CDA"),
        pytest.param("<html><body>FAMILY</body></html>", "XML or HTML", id="HTML"),
        pytest.param("{\\rtf1 FAMILY}", "RTF", id="RTF"),
        pytest.param("BEGIN:VCARD\nFN:GIVEN FAMILY\nEND:VCARD\n", "vCard", id="vCard"),
        pytest.param("Message-ID: <1@x>\nFrom: GIVEN\nSubject: x\n\nhello", "e-mail", id="e-mail"),
        pytest.param("id,family,born\n1,FAMILY,1958\n2,FAMILY,1959\n", "table", id="CSV"),
        pytest.param("id\tfamily\tborn\n1\tFAMILY\t1958\n2\tFAMILY\t1959\n", "table", id="TSV"),
    ],
)
def test_a_structured_format_is_refused_whatever_the_file_is_called(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / "a.txt").write_bytes(content.encode())
    report = deidentification.deidentify([tmp_path / "a.txt"], tmp_path / "out")
    [(_, why)] = report.refusals
    assert name in why and "FAMILY" not in why
    assert not list((tmp_path / "out").iterdir())


PROSE = "The patient was seen for chest pain today.\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param("vendrulo;maksil;14.02.1931;m\ntobrena;kuls;11.01.1930;f", "rows of a table", id="rows"),
        pytest.param("will;young;14.02.1931;m\nhope;long;11.01.1930;f", "rows of a table", id="rows of ordinary words"),
        pytest.param('{"n":"vendrulo","g":"maksil"}', "JSON", id="JSON"),
        pytest.param('[patient]\ngiven = "vendrulo"', "fields with keys", id="TOML"),
        pytest.param("family=vendrulo\n", "fields with keys", id="properties"),
        pytest.param("given: vendrulo\nfamily: maksil\n", "fields with keys", id="YAML"),
        pytest.param("{\\rtf1 vendrulo}", "RTF", id="RTF"),
        pytest.param("<b>Ven</b><b>drulo</b> was here.", "XML or HTML", id="tags in a word"),
        pytest.param("V&#101;ndrulo was here.", "XML or HTML", id="character reference"),
        pytest.param("<subject>vendrulo</subject>", "XML or HTML", id="XML"),
    ],
)
def test_a_structured_format_behind_prose_is_refused(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / "a.txt").write_text(PROSE + content, encoding="utf-8")
    report = deidentification.deidentify([tmp_path / "a.txt"], tmp_path / "out")
    [(_, why)] = report.refusals
    assert name in why and "vendrulo" not in why and not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "content",
    [
        "Hemoglobin\t13.2\tg/dL\t(12-16)\nSodium\t140\tmmol/L\t(135-145)\nSeen for pain.",
        "| Test | Value | Unit |\n| Sodium | 140 | mmol/L |\n| Potassium | 4.1 | mmol/L |\nSeen for chest pain.",
        "HR = 94\nBP = 120/80\nThe patient&#39;s SpO2 &gt; 92% and EF <40% with pH <7.35 or > 7.45 &amp; stable.",
        "Family: no diabetes.\nName: seen in clinic.\nMeds: aspirin; lisinopril; metformin; statin\nLabs: Na; K; Cl; urea",
        "[doctor] hi, how are you today?\n[patient] not too bad, some chest pain.\n[doctor] since when?",
        "Vital signs: BP 120/80, HR 72, RR 16\nLabs: Na 140, K 4.0, Cl 100\nMeds: aspirin, lisinopril, metformin",
        "<unclear> the patient was seen for chest pain. The murmur (MSH) is unchanged.",
        "H**** was seen in bed 3.\nP: 1 | 2 | 3 puffs\nO: alert\nR 1|2 as before",
        "From: ward\nTo: clinic\nSubject: transfer of a patient with chest pain\nThe patient was seen for chest pain.",
    ],
)
def test_prose_with_lists_brackets_and_headings_is_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    assert not deidentification.deidentify([tmp_path / "a.txt"], tmp_path / "out").refusals


def test_a_note_over_the_limit_of_size_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(note, "MAX_BYTES", 1_000)
    (tmp_path / "a.txt").write_text("pain " * 1_000, encoding="utf-8")
    report = deidentification.deidentify([tmp_path / "a.txt"], tmp_path / "out")
    assert "Expected at most 1,000" in report.refusals[0][1] and not list((tmp_path / "out").iterdir())
