"""Short texts beside codes: numbers of people, postal codes and names made of ordinary words do not come out; clinical forms do."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from galenic.privacy import deidentification, text
from galenic.privacy.deidentification import FhirRules, deidentify_resource
from galenic.privacy.deidentification.rules.ccda import deidentify_ccda
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules

NUMBERS = "555-1234", "555-1234 U", "MR4481", "MR 4481", "SW1A 1AA", "SW1A1AA", "K1A 0B1", "4481/77", "22-1234", "A1234"
NAMES = ("Hope Young", "Young, Hope", "HOPE YOUNG", "hope young", "Spoke with Will Long", "Hope Green visited", "Mr Long")
PLACES = "12 High Street", "Green Street Clinic", "Lives in Reading", "4 Park Road"
CLINICAL = (
    *(
        "BP 120/80",
        "4/4",
        "20/40",
        "EGFR L858R",
        "BRAF V600E",
        "p.Leu858Arg",
        "T2N0M0",
        "pT2 N0 M0",
        "G2",
        "5.2 10*3/uL",
        "150000 /uL",
    ),
    *(
        "NSTEMI",
        "250 mg",
        "1:160",
        "L5-S1",
        "HER2",
        "CA 19-9",
        "q8h",
        "3rd",
        "E11.9",
        "Young adult",
        "White Blood Cell Count",
        "140 mmol/L",
    ),
)


def fhir_value(value: str) -> str:
    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())
    resource = {"resourceType": "Observation", "code": {"text": "Result"}, "valueString": value}
    return str(deidentify_resource(resource, FhirRules(detector, replacer, b"t" * 32)).get("valueString"))


def ccda_paragraph(value: str) -> str:
    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy("safe-harbor"), b"k" * 32, text.state_names())
    root = ElementTree.fromstring(
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><text><paragraph/><table><tbody><tr><td/></tr></tbody></table></text></ClinicalDocument>'
    )
    for node in root.iter():
        if node.tag.endswith(("}paragraph", "}td")):
            node.text = value
    return " ".join(deidentify_ccda(root, CcdaRules(detector, replacer, b"t" * 32)).itertext())


def words(value: str) -> list[str]:
    return [w for w in value.replace(",", " ").split() if w[0].isdigit() or w[0].isupper() or len(value.split()) == 2]


@pytest.mark.parametrize("value", [*NUMBERS, *NAMES, *PLACES])
def test_identifiers_made_of_ordinary_words_or_short_numbers_do_not_come_out(value: str) -> None:
    for out in (fhir_value(value), ccda_paragraph(value)):
        kept = [
            w
            for w in words(value)
            if w in out.replace("]", " ").split() and w not in ("Spoke", "Lives", "Mr", "MR", "Clinic", "U")
        ]
        assert kept == []


@pytest.mark.parametrize("value", CLINICAL)
def test_clinical_forms_come_out(value: str) -> None:
    assert fhir_value(value) == value
    assert value in ccda_paragraph(value)


def test_a_file_named_after_a_person_of_ordinary_words_is_renamed(tmp_path: Path) -> None:
    for name in ("Hope Young.txt", "hope_young.txt", "discharge note.txt"):
        (tmp_path / name).write_text("She felt well today.", encoding="utf-8")
    deidentification.deidentify([tmp_path], tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").glob("*.txt")} == {"000000.txt", "discharge note.txt", "000002.txt"}
