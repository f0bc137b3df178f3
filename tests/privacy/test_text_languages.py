"""Text in a language or script without a validated detector never leaves as it is, wherever it stands."""

import json
from pathlib import Path

import pytest

from galenic.privacy import deidentification
from galenic.privacy import text as deid

# by language: a text with planted words that identify
FOREIGN = {
    "Japanese": ("患者の名前は山田花子です。1958年3月4日に東京で生まれました。", ("山田", "花子", "東京", "1958")),
    "Chinese": ("患者王秀英，身份证号 110101195803041234，住在北京市朝阳区。", ("王秀英", "110101195803041234", "北京")),
    "Korean": ("환자 김영희는 서울에 살고 있으며 1958년 3월 4일에 태어났습니다.", ("김영희", "서울", "1958")),
    "Russian": ("Пациентка Иванова Мария живёт в Москве, родилась 4 марта 1958 года.", ("Иванова", "Мария", "Москве", "1958")),
    "Greek": ("Η ασθενής Μαρία Παπαδοπούλου μένει στην Αθήνα.", ("Μαρία", "Παπαδοπούλου", "Αθήνα")),
    "Arabic": ("المريضة فاطمة محمد تسكن في القاهرة، هاتف ٠١٢٣٤٥٦٧٨٩.", ("فاطمة", "محمد", "القاهرة", "٠١٢٣")),
    "Hebrew": ("המטופלת מרים כהן גרה בחיפה.", ("מרים", "כהן", "חיפה")),
    "Hindi": ("रोगी सुनीता शर्मा दिल्ली में रहती हैं।", ("सुनीता", "शर्मा", "दिल्ली")),
    "Thai": ("ผู้ป่วยชื่อสมศรีอาศัยอยู่ที่เชียงใหม่", ("สมศรี", "เชียงใหม่")),
    "German": ("Die Patientin Frau Krause wohnt mit ihrer Tochter in Augsburg.", ("Krause", "Augsburg")),
    "French": (
        "La patiente habite à Grenoble avec son fils Mathieu Lefèvre depuis dix ans.",
        ("Grenoble", "Mathieu", "Lefèvre"),
    ),
    "Turkish": ("Hasta Ayşe Yılmaz kızıyla birlikte Ankara'da yaşıyor.", ("Ayşe", "Yılmaz", "Ankara")),
    "Vietnamese": ("Bệnh nhân Nguyễn Thị Hoa sống ở Hà Nội với con gái.", ("Nguyễn", "Hoa", "Hà Nội")),
    "Polish": ("Pacjentka Kowalczyk mieszka z córką w Gdańsku i pracuje w szkole.", ("Kowalczyk", "Gdańsku")),
    "romanized Japanese": (
        "Kanja no namae wa Takahashi Hiroshi desu, Osaka ni sunde imasu.",
        ("Takahashi", "Hiroshi", "Osaka"),
    ),
    "romanized Russian": ("Patsientka zhivet s docheryu v Novosibirske na ulitse Kirova.", ("Novosibirske", "Kirova")),
}
CASES = [pytest.param(*texts, id=name) for name, texts in FOREIGN.items()]
ENGLISH = "The patient was seen for chest pain and shortness of breath. Aspirin 81 mg was started."


def deidentify(text: str, language: str = "en") -> tuple[str, deid.TextFindings]:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32, deid.state_names())
    findings = deid.TextFindings()
    return deid.deidentify_text(text, deid.load_detector(language), replacer, None, findings), findings


@pytest.mark.parametrize(("text", "planted"), CASES)
def test_a_text_without_a_validated_detector_is_reduced_and_the_reason_is_counted(text: str, planted: tuple[str, ...]) -> None:
    clean, findings = deidentify(text)
    assert not [word for word in planted if word in clean], clean
    assert any(reason.startswith("text in") for reason in findings.unreadable)


@pytest.mark.parametrize(("text", "planted"), CASES)
def test_a_paragraph_of_another_language_in_an_english_note_is_reduced(text: str, planted: tuple[str, ...]) -> None:
    clean, _ = deidentify(f"{ENGLISH}\n{text}\n{ENGLISH}")
    assert not [word for word in planted if word in clean], clean
    assert clean.startswith(ENGLISH) and clean.endswith(ENGLISH)


def test_a_run_of_words_of_another_language_in_an_english_sentence_is_reduced() -> None:
    text = "She was found at home and said that her daughter wohnt bei der Familie Krause in Augsburg and was brought in by ambulance today."
    clean, _ = deidentify(text)
    assert "Krause" not in clean and "Augsburg" not in clean


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param("ヘモグロビン 9.8 g/dL、山田", "9.8 g/dL", id="a measurement with its unit"),
        pytest.param("Пациент Иванов, аспирин 81 mg", "81 mg", id="a dose"),
    ],
)
def test_measurements_with_units_are_left_of_a_text_in_another_language(text: str, left: str) -> None:
    clean, _ = deidentify(text)
    assert left in clean
    assert clean.replace(left, "").replace("[TEXT]", "").strip() == ""


@pytest.mark.parametrize("text", ["Herr Krause", "Lefèvre", "Pani Kowalczyk", "Sn. Yılmaz", "Takahashi-san", "u Ivanovoy"])
def test_a_short_text_whose_language_cannot_be_told_keeps_no_unknown_word(text: str) -> None:
    clean, _ = deidentify(text)
    assert not {"Krause", "Lefèvre", "Kowalczyk", "Yılmaz", "Takahashi", "Ivanovoy"} & set(clean.replace("-", " ").split())


@pytest.mark.parametrize(
    "text",
    [
        "Type 2 diabetes mellitus",
        "Atorvastatin 20 MG Oral Tablet",
        "Follow-up encounter (procedure)",
        "BP 120/80 HR 72 RR 16 SpO2 98% RA",
        "PMH: HTN, DM2, hypothyroidism. Denies fever, chills, nausea.",
        "Δ wave; started on an α-blocker",
    ],
)
def test_short_english_of_clinicians_is_kept(text: str) -> None:
    assert deidentify(text)[0] == text


def test_spanish_is_read_by_its_own_detector_whatever_the_language_of_the_run() -> None:
    clean, findings = deidentify("Paciente con dolor torácico de dos horas de evolución, sin fiebre. Vive en Burgos.")
    assert "Burgos" not in clean and not findings.unreadable
    assert clean.startswith("Paciente con dolor torácico de dos horas de evolución, sin fiebre.")


@pytest.mark.parametrize(
    ("text", "planted"),
    [
        pytest.param("The patient was seen on ٠٣/٠٤/٢٠٢١ for pain.", "٠٣", id="Arabic-Indic digits"),
        pytest.param("The patient was seen on 03/04/2021 for pain.", "03", id="full-width digits"),
        pytest.param("Call the patient at ४१५-५५५-२६७१ for results.", "५५५", id="Devanagari digits"),
        pytest.param("The social security number is 219-0\u200b9-9999 today.", "219-0", id="zero-width space"),
        pytest.param("Seen by Dr. Whit\u0301field for chest pain today.", "field", id="combining mark within a word"),
        pytest.param("\u202eThe patient is gnikeR rD .", "gnikeR", id="shown in reversed order"),
        pytest.param("The patient is well." + "".join(chr(0xE0000 + ord(c)) for c in "Reker"), "\U000e0052", id="Unicode tags"),
        pytest.param("The patient Ивaнoвa was seen for pain.", "Ив", id="letters of two alphabets"),
    ],
)
def test_other_digits_and_hidden_letters_hide_nothing(text: str, planted: str) -> None:
    clean, _ = deidentify(text)
    assert planted not in clean, clean


def run_of(tmp_path: Path, name: str, content: str, **options: str) -> tuple[deidentification.DeidentificationReport, str]:
    (tmp_path / name).write_text(content, encoding="utf-8")
    out = tmp_path / "out"
    report = deidentification.deidentify([tmp_path / name], out, deidentification.DeidentificationOptions(**options))
    return report, "".join(p.read_text(encoding="utf-8") for p in out.iterdir())


def test_a_note_in_another_language_is_refused_with_advice(tmp_path: Path) -> None:
    report, written = run_of(tmp_path, "a.txt", FOREIGN["Japanese"][0])
    assert written == "" and not report.files
    [(name, why)] = report.refusals
    assert name == "a.txt" and "Japanese" in why and "--other-languages redact" in why


def test_a_note_in_another_language_is_reduced_if_asked(tmp_path: Path) -> None:
    report, written = run_of(tmp_path, "a.txt", FOREIGN["German"][0], other_languages="redact")
    assert written == "[TEXT]" and not report.refusals
    assert any("German" in what for _, what in report.remarks)


def test_a_note_with_a_paragraph_of_another_language_is_written_and_the_report_says_what_was_reduced(tmp_path: Path) -> None:
    report, written = run_of(tmp_path, "a.txt", f"{ENGLISH}\n{FOREIGN['French'][0]}\n{ENGLISH}")
    assert "Grenoble" not in written and written.count(ENGLISH) == 2
    assert [name for name, what in report.remarks if "French" in what] == ["a.txt"]
    assert any("French" in one["what"] for one in deidentification.deidentification_json(report)["left out"])


def test_a_narrative_and_a_comment_in_fhir_are_reduced(tmp_path: Path) -> None:
    text, planted = FOREIGN["Korean"]
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'
    one = {
        "resourceType": "Observation",
        "status": "final",
        "text": {"status": "generated", "div": narrative},
        "code": {"text": "Body weight"},
        "note": [{"text": text}],
        "valueString": text,
    }
    _, written = run_of(tmp_path, "a.json", json.dumps(one, ensure_ascii=False))
    assert not [word for word in planted if word in written]
    assert "Body weight" in written


def test_a_year_in_a_short_japanese_value_of_fhir_is_reduced(tmp_path: Path) -> None:
    text = "東京に住んでおり、1961年7月9日に生まれました。"
    one = {"resourceType": "Observation", "status": "final", "code": {"text": "Body weight"}, "valueString": text}
    _, written = run_of(tmp_path, "a.json", json.dumps(one, ensure_ascii=False))
    assert "1961" not in written and "東京" not in written
