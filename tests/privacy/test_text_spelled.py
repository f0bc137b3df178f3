"""Spelled numbers, days and names, and lines in capitals."""

import pytest

from galenic.privacy import text as deid


def deidentify(text: str) -> str:
    replacer = deid.Replacer(deid.read_policy("safe-harbor"), b"k" * 32, deid.state_names())
    return deid.deidentify_text(text, deid.load_detector("en"), replacer)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("The number is four one five, five five five, zero one seven three today.", "four five zero seven three"),
        ("The record is two one nine oh nine one thousand.", "two nine oh thousand"),
        ("The number is four one five double seven three two.", "four five double seven three two"),
        ("She was seen on 14|02|2021 for pain.", "14|02 |02|"),
        ("She was seen on the twenty-first of March for pain.", "twenty-first March"),
        ("She was seen on February the fourteenth for pain.", "fourteenth February"),
        ("She was seen on day 45 of 2021 for pain.", "45"),
        ("Patient name: V e n d r u l o   M a k s i l.\nSeen for pain.", "V"),
        ("VENDRULO MAKSIL K 4.1 NA 140 ADMITTED WITH PNEUMONIA", "VENDRULO MAKSIL"),
    ],
)
def test_a_spelled_identifier_is_replaced_whole(text: str, gone: str) -> None:
    clean = deidentify(text)
    for part in gone.split(" "):
        assert part not in clean, clean


@pytest.mark.parametrize(
    "text",
    [
        "Take one or two tablets three to four times for five days.",
        "The third of four doses was given and she may first need rest.",
        "PATIENT ADMITTED WITH PNEUMONIA AND TREATED WITH ANTIBIOTICS.",
    ],
)
def test_ordinary_numbers_and_sentences_in_capitals_stay(text: str) -> None:
    assert deidentify(text) == text


def test_letters_of_mathematics_are_read_as_plain_ones_before_the_language_is_told() -> None:
    letters = deid.unsupported_languages(
        "".join(chr(0x1D41A + ord(c) - 97) if c.isalpha() else c for c in "the patient was seen")
    )
    del letters[""]
    assert not letters
