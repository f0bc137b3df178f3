"""Laboratory lines, scores and numbers after a laboratory word stay; dates and names beside them go."""

import pytest

from galenic.privacy import text as deid


def deidentify(text: str) -> str:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32, deid.state_names())
    return deid.deidentify_text(text, deid.load_detector("en"), replacer)


@pytest.mark.parametrize(
    "text",
    [
        "The patient's sugar is 340 today.",
        "Patient's glucose was 410 this morning.",
        "pain 7/10",
        "Reports pain 8/10 at rest, 3/10 after morphine.",
        "Refiere dolor 7/10 en la rodilla.",
        "visual acuity 20/40",
        "Visual acuity 20/40 OD and 20/25 OS.",
        "Apgar 8/9",
        "4/5 LE",
        "3/6 systolic murmur",
        "Strength 4/5 LE, 5/5 UE, reflexes 2/4.",
        "Na 134 K 4.8 Cl 101 HCO3 24 BUN 32 Cr 1.7 Glu 101",
        "AST 22 ALT 31 ALP 88 Tbili 0.6",
        "WBC 8.2 Hgb 11.2 Plt 234",
        "Gleason 3+4=7, PSA 4.8. Child-Pugh B, MELD 14. TIMI 3. NYHA III.",
    ],
)
def test_a_measurement_is_no_date_age_or_place(text: str) -> None:
    assert deidentify(text) == text


def test_scores_and_abbreviations_have_no_language() -> None:
    found = deid.unsupported_languages("Gleason 3+4=7, PSA 4.8, pT2c N0 Mx. Child-Pugh B, MELD 14. TIMI 3. NYHA III.")
    assert set(found) == {""}


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Seen on 7/10 with pain.", "7/10"),
        ("Pain since 7/10.", "7/10"),
        ("Follow up pain 5/6.", "5/6"),
        ("Seen with pain on 9/10, improved.", "9/10"),
        ("Seen on 3/10 pain was worse.", "3/10"),
        ("Dr. Bishop 8 am. Mr. Wells 12 pm.", "Wells"),
        ("Rosa 12 Lopez 14 Maria 9", "Lopez"),
    ],
)
def test_a_date_or_name_beside_numbers_goes(text: str, gone: str) -> None:
    assert gone not in deidentify(text)
