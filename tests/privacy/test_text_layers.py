"""Identifiers in text: forms with check digits, the patient's own record, letters that only look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galenic.privacy import text as deid
from galenic.privacy.text.detector import merge_spans
from galenic.privacy.text.normalization import normalize
from galenic.privacy.text.patterns import PATTERNS, find_patterns
from galenic.schema import TextSpan


def kinds_of(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for s in find_patterns(text):
        found.setdefault(s.kind, set()).add(text[s.start : s.end])
    return found


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("mail jo.doe+x@clinic.example.org.", "email", "jo.doe+x@clinic.example.org"),
        ("see https://clinic.example/p/1?x=2, please", "url", "https://clinic.example/p/1?x=2"),
        ("from 10.11.12.13 at noon", "ip", "10.11.12.13"),
        ("SSN 219-09-9999", "ssn", "219-09-9999"),
        ("social security number: 219 09 9999", "ssn", "219 09 9999"),
        pytest.param("2 1 9 0 9 9 9 9 9", "ssn", "2 1 9 0 9 9 9 9 9", id="spaced out"),
        pytest.param("NHS 943 476 5919", "ssn", "943 476 5919", id="NHS Data Dictionary's own example"),
        pytest.param("DNI 12345678Z", "ssn", "12345678Z", id="modulus 23"),
        pytest.param("4539 1488 0343 6467", "account", "4539 1488 0343 6467", id="Luhn"),
        pytest.param("GB82 WEST 1234 5698 7654 32", "account", "GB82 WEST 1234 5698 7654 32", id="ISO 13616's own example"),
        pytest.param("provider 1234567893", "licence", "1234567893", id="CMS's own example of an NPI"),
        pytest.param("VIN 1M8GDM9AXKP042788", "vehicle", "1M8GDM9AXKP042788", id="the usual example of 49 CFR 565"),
        ("MRN: 00482913", "record", "00482913"),
        ("Member ID: XQ12345678", "plan", "XQ12345678"),
        ("pacemaker, serial number PJN123456", "device", "PJN123456"),
        ("driver's license no. D1234567", "licence", "D1234567"),
        ("Fax: (415) 555-0199", "fax", "(415) 555-0199"),
        ("call 415-555-2671 x12", "phone", "415-555-2671 x12"),
        ("ring +44 20 7946 0958", "phone", "+44 20 7946 0958"),
        ("seen 03/04/2021 again", "date", "03/04/2021"),
        ("on 12 March 2023", "date", "12 March 2023"),
        ("on the 12th of March", "date", "12th of March"),
        ("since May 2019", "date", "May 2019"),
        ("a 93-year-old", "age", "93"),
        ("Oakland, CA 94612", "place", "94612"),
    ],
)
def test_a_form_of_its_own_is_found(text: str, kind: str, value: str) -> None:
    assert value in kinds_of(text).get(kind, set()), kinds_of(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("4539 1488 0343 6468", id="Luhn does not fit"),
        pytest.param("6 6 6 0 9 9 9 9 9", id="SSA never issues 666"),
        pytest.param("GB83WEST12345698765432", id="modulus 97 does not fit"),
        "BP 120/80, pulse 72, SpO2 98%",
        "Hgb 12.5, WBC 7.3, Na 140, K 4.1",
        "metformin 500 mg twice a day",
        "T4 N1 M0, L4-L5, C5-C6",
        "Glasgow 15, Gleason 3+4",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert kinds_of(text) == {}


PIECES = (
    *(
        "mail ana@clinic.example.org",
        "SSN 219-09-9999",
        "MRN: 00482913",
        "on 12 March 2023",
        "a 93-year-old",
        "see www.example.org/x",
    ),
    *("Oakland, CA 94612", "Fax: (415) 555-0199", "driver's license number is D1234567", "4539 1488 0343 6467", "10.11.12.13"),
    *("the wound is dry and clean", "she walks well", "\n", "\n\n", "x" * 60),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_reading_only_what_is_near_digits_misses_nothing(text: str) -> None:
    whole = set()
    for rule in PATTERNS:
        for m in rule.pattern.finditer(text):
            a, b = m.span("v") if "v" in rule.pattern.groupindex else m.span()
            if rule.check is None or rule.check(text[a:b]):
                whole.add((a, b, rule.kind))
    assert whole <= {(s.start, s.end, s.kind) for s in find_patterns(text)}


KNOWN = deid.StatedIdentifiers(
    {"name": ("María López-García", "Lee"), "record": ("00482913",), "phone": ("+1 (415) 555-2671",)},
    frozenset({"lee", "garden"}),
)


@pytest.mark.parametrize(
    "said",
    [
        "María",
        "MARIA",
        "maria",
        "Lopez",
        "lópez",
        "García-López",
        "Lopes",
        "Lpoez",
        "Garcá",
        "Garciia",
        "Lopez-Garcia",
        "00482913",
        "MRN00482913",
        "1-415-555-2671",
    ],
)
def test_the_patients_own_identifiers_are_found_with_variants_and_typing_errors(said: str) -> None:
    text = f"today {said} was seen"
    found = list(KNOWN.find(text))
    assert any(s.end == 6 + len(said) for s in found), found
    assert min(s.start for s in found) <= 9, found


@pytest.mark.parametrize("said", ["lee", "garden", "garcon", "marimba", "the garage", "482914"])
def test_words_that_are_not_the_patients_are_not_taken_for_theirs(said: str) -> None:
    assert list(KNOWN.find(f"in {said} side")) == []


def test_a_name_that_is_a_word_counts_where_it_is_written_as_a_name() -> None:
    assert [s.kind for s in KNOWN.find("Lee was seen on the lee side")] == ["name"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("M\u200bar\u200dia", "Maria"),
        ("\u041c\u0430ri\u0430", "Maria"),  # Cyrillic capital em, a
        ("ﬁne", "ﬁne"),  # one sign that stands for two is left: places must stay places
        ("Ｍaria", "Maria"),
        ("Мария", "Мария"),  # a word of another alphabet stays one
    ],
)
def test_unseen_and_alike_signs_are_read_through(written: str, read: str) -> None:
    assert normalize(written).text == read


def test_a_place_in_what_is_read_is_a_place_in_the_original() -> None:
    text = "seen: M\u200bar\u200dia L\u043epez today"
    read = normalize(text)
    start = read.text.index("Maria")
    a, b = read.original(start, start + len("Maria Lopez"))
    assert text[a:b] == "M\u200bar\u200dia L\u043epez"


def test_spans_that_overlap_become_one_of_the_strongest_kind() -> None:
    text = "write to ana.lopez@gmail.com now"
    found = merge_spans(
        text, [TextSpan(13, 18, "name", "known"), TextSpan(9, 28, "email", "rule"), TextSpan(9, 12, "name", "tagger")]
    )
    assert [(s.kind, text[s.start : s.end]) for s in found] == [("email", "ana.lopez@gmail.com")]


def test_a_span_takes_the_whole_word() -> None:
    assert merge_spans("xx Maria yy", [TextSpan(4, 6, "name", "tagger")])[0].start == 3
