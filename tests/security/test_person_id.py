"""One person has one id, however it is typed; shown names steer nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.security.people import require_free_name
from galenic.security.person_id import display_name, person_id

PLAIN = "renée.müller@clinic.example"


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(unicodedata.normalize("NFD", PLAIN), id="decomposed accents"),
        pytest.param("ren\u200bée.müller@clinic.example", id="zero-width space"),
        pytest.param("renée.müller@ｃｌｉｎｉｃ.example", id="full-width letters"),
        pytest.param("renée.müller@clinic。example", id="ideographic full stop"),
        pytest.param("renée.müller@clinic｡example", id="half-width ideographic full stop"),
        pytest.param(" renée.müller @clinic.example", id="blanks"),
        pytest.param("RENÉE.MÜLLER@Clinic.Example", id="capitals"),
        pytest.param("renée.mu\u0308ller@clinic.example.", id="full stop at the end of the host"),
        pytest.param("renée.mü\u00adller@clinic.example", id="soft hyphen"),
        pytest.param("renée.müller@clinic\u2060.example", id="word joiner"),
        pytest.param("renée.müller@clinic.example\ufe0f", id="variation selector"),
        pytest.param("renée.müller@clinic.example\U000e0041", id="tag character"),
        pytest.param("renée.müller\u3164@clinic.example", id="Hangul filler"),
        pytest.param("renée.müller\u034f@clinic.example", id="combining grapheme joiner"),
        pytest.param("\u202erenée.müller@clinic.example\u202c", id="bidirectional override"),
        pytest.param("renée.müller@clinic.example\x00\x1b", id="characters that are not allowed"),
        pytest.param("Renée Müller <renée.müller@clinic.example>", id="address with a display name"),
        pytest.param("mailto:renée.müller@clinic.example", id="mailto"),
        pytest.param("renée.müller+ward3@clinic.example", id="tagged address"),
        pytest.param('"renée.müller"@clinic.example', id="quoted local part"),
        pytest.param("renée.müller(ward 3)@clinic.example", id="comment"),
    ],
)  # fmt: skip
def test_variants_of_one_address_are_one_person(variant: str) -> None:
    assert person_id(variant) == PLAIN


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("s-1234", "S\u20111234", id="non-breaking hyphen"),
        pytest.param("s1234", "s１２３４", id="full-width digits"),
        pytest.param("s1234", "s\u0661\u0662\u0663\u0664", id="Arabic-Indic digits"),
        pytest.param("o'neil@clinic.example", "O’Neil@clinic.example", id="typographic apostrophe"),
        pytest.param("anna@bücher.example", "anna@xn--bcher-kva.example", id="Punycode"),
        pytest.param("straße@clinic.example", "STRASSE@clinic.example", id="sharp s"),
        pytest.param("s 12 34", "s\u00a01234", id="no-break space"),
    ],
)
def test_two_ways_to_type_an_id_are_one_person(one: str, other: str) -> None:
    assert person_id(one) == person_id(other)


def test_different_people_stay_different() -> None:
    ids = ["s1234", "s1235", "anna@clinic.example", "ann@clinic.example", "anna@clinic.example.org", "anná@clinic.example"]
    assert len({person_id(i) for i in ids}) == len(ids)


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "\u3164", "\x00", "x" * 121])
def test_an_id_without_a_visible_character_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        person_id(text)


@pytest.mark.parametrize("text", ["аnna@clinic.example", "anna@clinic.exаmple", "αnna", "Ꭰnna"])
def test_an_id_that_mixes_alphabets_is_refused(text: str) -> None:
    """A Cyrillic a looks like a Latin one."""
    with pytest.raises(OptionError, match="alphabets"):
        person_id(text)


@given(st.text(max_size=60))
def test_the_normal_form_is_normal(text: str) -> None:
    try:
        once = person_id(text)
    except OptionError:
        return
    assert person_id(once) == once
    assert not any(unicodedata.category(c)[0] == "C" or c.isspace() for c in once)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Anna\x1b[31m", id="escape"),
        pytest.param("Anna\nApproved", id="new line"),
        pytest.param("Anna\u202egreB", id="right-to-left override"),
        pytest.param("Anna\u2067Berg", id="isolate"),
        pytest.param("Anna\u200f", id="right-to-left mark"),
        pytest.param("Anna\u2028", id="line separator"),
        pytest.param("Anna\x00", id="null"),
        pytest.param("\u200b\u3164", id="nothing visible"),
        pytest.param(" ", id="blank"),
        pytest.param("x" * 121, id="too long"),
    ],
)
def test_a_shown_name_that_steers_the_display_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        display_name(text)


@pytest.mark.parametrize("text", ["Anna Berg", "Zoë O’Neil-Müller", "أحمد", "李 娜", "Nguyễn Thị Hoa", "क्षितिज", "נועה"])
def test_names_of_people_are_shown(text: str) -> None:
    assert display_name(f"  {text} ") == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("name", ["root", "Server", "audit"])
def test_no_account_has_the_name_of_a_part_of_the_system(installation: Installation, name: str) -> None:
    with pytest.raises(OptionError, match="component of the system"):
        require_free_name(installation.facts, name)
