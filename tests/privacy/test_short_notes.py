"""Short texts: in English and Spanish they keep their clinical content, in other languages and scripts no name stays."""

import re
import tomllib
from pathlib import Path

import pytest

from galenic.privacy import text
from galenic.privacy.deidentification import FhirRules, deidentify_resource
from galenic.privacy.deidentification.rules.coded_text import search_text
from galenic.privacy.text.vocabulary import is_clinical

TEXTS = tomllib.loads((Path(__file__).parent / "short_texts.toml").read_text(encoding="utf-8"))


def replacer() -> text.Replacer:
    return text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())


def as_note(value: str) -> str:
    return text.deidentify_text(value, text.load_detector("en"), replacer())


def as_element(value: str) -> str:
    return search_text(value, FhirRules(text.load_detector("en"), replacer(), b"t" * 32))


def plain(marked: str) -> str:
    return re.sub(r"[\[\]{}]", "", marked)


def identifiers(marked: str) -> list[str]:
    return re.findall(r"\[([^\]]+)\]", marked)


def contents(marked: str) -> list[str]:
    return re.findall(r"\{([^}]+)\}", marked)


@pytest.mark.parametrize("clean", [as_note, as_element])
@pytest.mark.parametrize("marked", [*TEXTS["own"], *TEXTS["other"]])
def test_no_identifier_of_a_short_text_stays(marked: str, clean: object) -> None:
    assert callable(clean)
    out = clean(plain(marked))
    assert [one for one in identifiers(marked) if one in out] == []


@pytest.mark.parametrize("clean", [as_note, as_element])
def test_short_texts_in_english_and_spanish_keep_their_clinical_content(clean: object) -> None:
    assert callable(clean)
    kept = [one in clean(plain(marked)) for marked in TEXTS["own"] for one in contents(marked)]
    assert len(kept) > 150
    assert sum(kept) / len(kept) > 0.95


@pytest.mark.parametrize(
    "value", ["q8h", "BID", "SNF", "none", "NKDA", "Lasix 40 mg", "Befund", "Continue Coumadin", "INR 3.4"]
)
def test_a_single_clean_word_is_not_withheld(value: str) -> None:
    assert as_element(value) == value


@pytest.mark.parametrize("value", ["Ivan", "ROSA", "Clara", "Anna, Hoffmann", "KLAUS", "Lone Garcia"])
def test_a_name_alone_is_no_abbreviation_and_no_ordinary_word(value: str) -> None:
    assert [w for w in re.findall(r"\w+", value) if w in as_element(value)] == []


def test_words_of_notes_hold_no_listed_name() -> None:
    for name in ("abbreviations", "brand_names", "note_words"):
        place = Path(text.__file__).parent / "data" / f"{name}.txt"
        words = [
            w for line in place.read_text(encoding="utf-8").splitlines() if line[:1] != "#" for w in line.split() if w.isalpha()
        ]
        assert [w for w in words if len(w) > 2 and text.may_be_name(w)] == []
        assert all(is_clinical(w) for w in words)


@pytest.mark.parametrize("code", ["Hope Young", "HOPE YOUNG", "Young, Hope", "hope-young", "hopeYoung"])
def test_a_code_of_ordinary_words_that_may_be_a_name_becomes_a_token(code: str) -> None:
    resource = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "category": [{"coding": [{"code": code}]}]}
    assert code not in str(deidentify_resource(resource, FhirRules(text.load_detector("en"), replacer(), b"t" * 32)))
