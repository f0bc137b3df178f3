"""Ages above 89 in every numeric and written form; other numbers stay."""

import pytest

from galenic.privacy import text as deid


def deidentify(text: str) -> str:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32, deid.state_names())
    return deid.deidentify_text(text, deid.load_detector("en"), replacer)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("She is 94 years old.", "She is 90 or older."),
        ("A 94-year-old woman was seen.", "A 90 or older woman was seen."),
        ("94yo man with chest pain", "90 or older man with chest pain"),
        ("98 y/o F with pain", "90 or older F with pain"),
        ("The patient is aged 94.", "The patient is aged 90 or older."),
        ("95M with chest pain", "90 or older M with chest pain"),
        ("101F with cough", "90 or older F with cough"),
        ("98F", "90 or older F"),
        ("She is 94. Her pulse is 95.", "She is 90 or older. Her pulse is 95."),
        ("She is ninety-four.", "She is 90 or older."),
        ("She is ninety four years old and well.", "She is 90 or older and well."),
        ("She is a hundred and one years old.", "She is 90 or older."),
        ("The patient is a nonagenarian.", "The patient is a 90 or older."),
        ("She is in her 90s and well.", "She is in her 90 or older and well."),
        ("The patients were between 92 and 95 years old.", "The patients were between 90 or older and 90 or older."),
        ("The form says age=97.2 and nothing else.", "The form says age=90 or older and nothing else."),
        ("Celebrated his 101st birthday at home.", "Celebrated his 90 or older birthday at home."),
        ("On her hundredth birthday she fell.", "On her 90 or older birthday she fell."),
        ("He is aged four score and seventeen.", "He is aged 90 or older."),
        ("The age is nine-seven.", "The age is 90 or older."),
        ("He is 1 hundred and 2 years old.", "He is 90 or older."),
        ("Seen today. Age: 97", "Seen today. Age: 90 or older"),
        ("Seen today, pt_age 97", "Seen today, pt_age 90 or older"),
        pytest.param("age 89 and age 90", "age 89 and age 90 or older", id="90 is the first that goes"),
    ],
)
def test_an_age_above_89_is_replaced_and_the_sentence_stays_readable(text: str, clean: str) -> None:
    assert deidentify(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Paciente de noventa y cuatro años.",
        "Paciente de 94 años.",
        "Mujer de 94 a. con dolor.",
        "Varón, edad: 97.",
        "Celebró su nonagésimo séptimo cumpleaños.",
    ],
)
def test_a_spanish_age_above_89_is_replaced(text: str) -> None:
    clean = deidentify(text)
    assert (
        "90 or older" in clean and "94" not in clean and "97" not in clean and "cuatro" not in clean and "séptimo" not in clean
    )


def test_a_year_of_birth_more_than_89_years_ago_is_replaced() -> None:
    assert "1921" not in deidentify("She was born in 1921 and lives alone.")


@pytest.mark.parametrize(
    "text",
    [
        "Take 94 mg daily.",
        "Weight at the ninetieth percentile, HR 94.",
        "This was his 91st hemodialysis session.",
        "SpO2 94%, BP 120/94, HR 94.",
        pytest.param("Temp 101F and fever of 102F.", id="degrees Fahrenheit"),
        "Ninety milligrams were given.",
        "The heart rate was ninety-four beats per minute.",
        "The surgery was one hundred minutes long.",
    ],
)
def test_numbers_that_are_no_ages_stay(text: str) -> None:
    assert deidentify(text) == text
