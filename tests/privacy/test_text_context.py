"""Identifiers that only their context tells, and clinical words in the same places, which stay."""

import pytest

from galenic.privacy import text as deid


def deidentify(text: str) -> str:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32, deid.state_names())
    return deid.deidentify_text(text, deid.load_detector("en"), replacer)


@pytest.mark.parametrize(
    "given", ["Lorena", "Luz", "Amparo", "Pilar", "Ángel", "Rosario", "Modesto", "Consuelo", "Socorro", "Dolores", "Domingo"]
)
@pytest.mark.parametrize(
    "sentence",
    [
        "Acude a consulta con su {}, que refiere dolor desde ayer.",
        "Vive en el domicilio con su {} y la cuida a diario.",
        "La {} avisa por caída en domicilio y fiebre.",
    ],
)
def test_the_name_of_a_relative_goes_in_spanish(sentence: str, given: str) -> None:
    for kin in ("hija", "mujer", "vecina", "madre"):
        assert given not in deidentify(sentence.format(f"{kin} {given}"))


def test_both_names_of_a_relative_go_in_spanish() -> None:
    clean = deidentify("Acude con su hijo Javier Martínez, que refiere caídas. Vecino Modesto avisa por fiebre.")
    assert [name for name in ("Javier", "Martínez", "Modesto") if name in clean] == []


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("revisión el 17-3", "17-3"),
        ("Se cita el 12/5 para control.", "12/5"),
        ("Ingreso del 3/5 al 7/5 por neumonía.", "7/5"),
        ("Dr. Lung saw the patient.", "Lung"),
        ("Dr. Heart saw the patient.", "Heart"),
        ("Dr. Fever reviewed the chart.", "Fever"),
        ("Dr. Stroke was called.", "Stroke"),
        ("Mr. Cold has a cold.", "Cold"),
        ("Father died at 91 of MI.", "91"),
        ("Dad is now 91", "91"),
        ("Mother had MI at 93.", "93"),
        ("Grandmother had a stroke at 94, alive at 96.", "96"),
        ("His grandmother is now in her ninety-sixth year.", "ninety-sixth"),
        ("Abuela falleció a los 93.", "93"),
        ("Call ext 2217", "2217"),
        ("Pager 33812", "33812"),
        ("extension 4471", "4471"),
        ("page 33812", "338"),
        ("Beeper 10442", "104"),
        ("SSN ending 4471", "4471"),
        ("Last four of SSN 4471.", "4471"),
        ("pt stone npo", "stone"),
        ("ask hope re meds", "hope"),
        ("little, j: cough x3d", "little"),
        ("J o h n  M i l l e r", "M i l l e r"),
        ("He came from Reading and drives to Bath.", "Reading"),
        ("He came from Reading and drives to Bath.", "Bath"),
        ("She moved here from Hope in the spring.", "Hope"),
    ],
)
def test_an_identifier_is_told_by_its_context(text: str, gone: str) -> None:
    assert gone not in deidentify(text)


@pytest.mark.parametrize(
    "text",
    [
        "Padre con diabetes y madre con asma. Su hijo está bien.",
        "Tomar el 1/2 comprimido cada 8 horas.",
        "Mother checks his sugars at 95 and the HR was at 93.",
        "Her brother died at 64 of a stroke.",
        "Knee extension 120, flexion 30.",
        "pt stable npo",
        "She has arthritis, and G E R D, and had L I M A bypass.",
        "tell patient about the results",
        "Doctor's appointment in one week. Dr. Appointment was made.",
        "She came from home and drives to dialysis.",
    ],
)
def test_clinical_words_in_the_same_places_stay(text: str) -> None:
    assert deidentify(text) == text
