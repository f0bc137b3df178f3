"""Names made of ordinary words in prose, and identifiers that only a heading announces."""

import re
from xml.etree import ElementTree

import pytest

from galenic.privacy import text
from galenic.privacy.deidentification import FhirRules, deidentify_resource
from galenic.privacy.deidentification.rules.ccda import deidentify_ccda
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules

V3 = "urn:hl7-org:v3"


def replacer() -> text.Replacer:
    return text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())


def note(value: str) -> str:
    return text.deidentify_text(value, text.load_detector("en"), replacer())


def ccda_text(body: str) -> str:
    root = ElementTree.fromstring(f'<ClinicalDocument xmlns="{V3}"><text>{body}</text></ClinicalDocument>')
    return " | ".join(deidentify_ccda(root, CcdaRules(text.load_detector("en"), replacer(), b"t" * 32)).itertext())


def fhir_text(body: str) -> str:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "text": {"status": "generated", "div": div}}
    clean = deidentify_resource(resource, FhirRules(text.load_detector("en"), replacer(), b"t" * 32))
    return " | ".join(ElementTree.fromstring(clean["text"]["div"]).itertext())


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Will Young saw the patient.", "Young"),
        ("Nurse Long checked the wound and changed the dressing.", "Long"),
        ("NURSE LONG CHECKED THE WOUND.", "LONG"),
        ("nurse long checked the wound.", "long"),
        ("will young saw the patient today.", "young"),
        ("Patient Hope denies chest pain.", "Hope"),
        ("Long examined the wound. It was clean.", "Long"),
        ("Young, MD reviewed the chart and agreed with the plan.", "Young"),
        ("Her husband Will brought her in.", "Will"),
        ("Will, the son, was present.", "Will"),
        ("The wound was checked by Nurse Long and Young.", "Young"),
        ("Summer was seen today for follow up.", "Summer"),
    ],
)
def test_a_name_of_ordinary_words_is_found_by_what_stands_around_it(value: str, name: str) -> None:
    assert name not in note(value)
    assert "[NAME]" in note(value)


@pytest.mark.parametrize(
    "value",
    [
        "Young adult with a long history of back pain. Will return in a week.",
        "The patient will walk daily and may resume a normal diet. We hope for improvement.",
        "Nurse practitioner visit. Doctor's appointment in one week.",
        "Pain reported in the left hand. Rash noted. Head was normal.",
    ],
)
def test_ordinary_words_in_prose_stay(value: str) -> None:
    assert note(value) == value


HEADED = [
    ("Age", "93"),
    ("Next of kin", "Hope"),
    ("Provider", "Young"),
    ("Town", "Reading"),
    ("Seen by", "Long"),
    ("Birth year", "1931"),
]


@pytest.mark.parametrize(("head", "value"), HEADED)
def test_an_identifier_in_a_table_is_told_by_its_column_or_row_head(head: str, value: str) -> None:
    column = f"<table><thead><tr><th>Test</th><th>{head}</th></tr></thead><tbody><tr><td>normal</td><td>{value}</td></tr></tbody></table>"
    plain = f"<table><tr><td>Test</td><td>{head}</td></tr><tr><td>normal</td><td>{value}</td></tr></table>"
    row = f"<table><tbody><tr><td>Result</td><td>normal</td></tr><tr><td>{head}</td><td>{value}</td></tr></tbody></table>"
    spanned = (
        f'<table><tr><th colspan="2">Test</th><th>{head}</th></tr><tr><td>a</td><td>normal</td><td>{value}</td></tr></table>'
    )
    for table in (column, plain, row, spanned):
        for out in (ccda_text(table), fhir_text(table)):
            assert value not in out
            assert "normal" in out


@pytest.mark.parametrize(("head", "value"), HEADED)
def test_an_identifier_is_told_by_the_label_before_it(head: str, value: str) -> None:
    assert value not in ccda_text(f"<list><item><caption>{head}</caption>{value}</item></list>")
    assert value not in ccda_text(f"<paragraph><content>{head}:</content> {value}</paragraph>")
    assert value not in fhir_text(f"<dl><dt>{head}</dt><dd>{value}</dd></dl><p><b>{head}:</b> {value}</p>")


LABELLED = [
    "<paragraph>{head}: <content>{value}</content></paragraph>",
    "<paragraph>{head} <content>{value}</content></paragraph>",
    "<paragraph><content>Sex:</content> male <content>{head}:</content> {value}</paragraph>",
    "<paragraph><content>Sex</content> male <content>{head}</content> <content>{value}</content></paragraph>",
    "<paragraph><content><content>{head}:</content></content> <content>{value}</content></paragraph>",
    "<paragraph><content>{head}: <content>{value}</content></content></paragraph>",
    "<paragraph>Sex: male, {head}: <content>{value}</content></paragraph>",
    "<paragraph>{head}:<br/>{value}</paragraph>",
    "<paragraph><content>{head}</content><br/>{value}</paragraph>",
    "<list><item>{head}: <content>{value}</content></item></list>",
    "<list><caption>{head}</caption><item>{value}</item></list>",
    "<table><tbody><tr><td><content>{head}:</content> {value}</td></tr></tbody></table>",
    "{head}: <content>{value}</content>",
    "{head}: <paragraph>{value}</paragraph>",
    "{head}<br/>{value}",
    "<paragraph>{head}</paragraph><paragraph>{value}</paragraph>",
    "<list><item>{head}</item><item>{value}</item></list>",
    "<paragraph><content>{head}</content></paragraph><list><item>{value}</item></list>",
]
XHTML = {"paragraph": "p", "content": "b", "list": "ul", "item": "li", "caption": "p"}


@pytest.mark.parametrize("form", LABELLED)
@pytest.mark.parametrize(("head", "value"), HEADED)
def test_a_label_anywhere_in_a_block_or_a_short_heading_announces_what_follows(head: str, value: str, form: str) -> None:
    body = form.format(head=head, value=value)
    assert value not in ccda_text(body)
    body = re.sub(r"(?<=[</])[a-z]{4,}", lambda m: XHTML.get(m[0], m[0]), body)
    for tag in ("b", "span", "i", "em"):
        assert value not in fhir_text(body.replace("<b>", f"<{tag}>").replace("</b>", f"</{tag}>"))


@pytest.mark.parametrize("form", ["<p>Age at visit:<br/>94</p>", "<h3>Age</h3><p>94</p>", "<div>Age</div><div>94</div>"])
def test_a_line_or_heading_announces_an_age_in_a_narrative(form: str) -> None:
    assert "94" not in fhir_text(form)


@pytest.mark.parametrize(
    "form",
    [
        "<p><b>Age:</b> 93 <b>Weight:</b> 71 kg</p>",
        "<p><b>Next of kin:</b> Hope <b>Heart rate:</b> 71, normal</p>",
        "<p>Provider: <b>Young</b></p><p>Heart rate 71, normal, metformin twice a day</p>",
        "<h3>Provider</h3><p>Young</p><p>Heart rate: <b>71</b></p>",
        "<h3>Vital signs</h3><p>Heart rate 71</p>",
    ],
)
def test_what_another_label_announces_stays(form: str) -> None:
    assert "71" in fhir_text(form)
    assert not any(value in fhir_text(form) for value in ("93", "Hope", "Young"))


def test_clinical_cells_under_other_heads_stay() -> None:
    table = "<table><thead><tr><th>Test name</th><th>Heart rate</th></tr></thead><tbody><tr><td>metformin</td><td>93</td></tr></tbody></table>"
    for out in (ccda_text(table), fhir_text(table)):
        assert "metformin" in out
        assert "93" in out


@pytest.mark.parametrize("value", ["219.099999", "2190.99999", "21909.9999", "4155.552671", "0.219099999"])
def test_an_identifier_with_a_decimal_point_is_rounded_as_a_measurement(value: str) -> None:
    gone = value.replace(".", "").lstrip("0")
    one = ElementTree.fromstring(
        f'<ClinicalDocument xmlns="{V3}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><observation>'
        f'<value xsi:type="REAL" value="{value}"/><value xsi:type="PQ" value="{value}" unit="mg"/></observation></ClinicalDocument>'
    )
    clean = ElementTree.tostring(
        deidentify_ccda(one, CcdaRules(text.load_detector("en"), replacer(), b"t" * 32)), encoding="unicode"
    )
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "valueQuantity": {"value": float(value), "unit": "mg"},
    }
    fhir = str(deidentify_resource(resource, FhirRules(text.load_detector("en"), replacer(), b"t" * 32)))
    assert gone not in clean.replace(".", "")
    assert gone not in fhir.replace(".", "")


@pytest.mark.parametrize(
    "value", ["She left 810 106 285 as her number.", "The number is 810 106 2851, she said.", "It was 810 106 28 51 then."]
)
def test_a_number_in_groups_is_a_telephone_number(value: str) -> None:
    assert "810 106" not in note(value)


@pytest.mark.parametrize("day", ["1931-045", "2019-366", "1987-200"])
def test_a_day_of_the_year_is_a_date(day: str) -> None:
    assert day not in note(f"Born {day} in town. Seen today with cough.")


@pytest.mark.parametrize("value", ["T 98.6F, pulse 72, saturation 93 %", "Weight 96.4 kg and pulse 93 bpm at rest."])
def test_a_number_with_a_unit_is_no_age(value: str) -> None:
    assert note(value) == value
