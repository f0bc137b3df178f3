"""C-CDA de-identification fails closed: no identifier planted at any element or attribute comes out; clinical values do."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fhir_places_made import GONE, STATED, TEXTS
from galenic.errors import RecordError
from galenic.privacy import deidentification, text
from galenic.privacy.deidentification.rules.ccda import deidentify_ccda
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules
from galenic.records import read_ccda

V3, SDTC = "{urn:hl7-org:v3}", "{urn:hl7-org:sdtc}"
VALUES = (*TEXTS, "219099999", "tel:4155552671", "#qwexibor")
HEAD = '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'


def cleaned(root: ElementTree.Element, policy: str = "safe-harbor") -> str:
    detector = text.load_detector("en")
    replacer = text.Replacer(text.read_policy(policy), b"k" * 32, text.state_names())
    rules = CcdaRules(detector, replacer, b"t" * 32, text.StatedIdentifiers(STATED, detector.common))
    try:
        return ElementTree.tostring(deidentify_ccda(root, rules), encoding="unicode")
    except RecordError:
        return ""  # refused: nothing is written


def found_in(xml: str) -> list[str]:
    xml = re.sub(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", xml)
    plain = "".join(c for c in xml.casefold() if c.isalnum())
    return [one for one in GONE if one in plain]


def planted(node: ElementTree.Element, parent: ElementTree.Element | None, place: str, value: str) -> ElementTree.Element:
    """A document of the element, in its parent, with the value in an attribute, in its text, behind it, or in a child of its own."""
    own = ElementTree.Element(node.tag, dict(node.attrib))
    if place == "text":
        own.text = value
    elif place == "tail" and parent is not None:
        own.tail = value
    elif place == "child":
        for tag in (f"{SDTC}patientID", f"{V3}vendorNote", "{urn:vendor}note"):
            ElementTree.SubElement(own, tag, {"extension": value}).text = value
    else:
        own.set(place, value)
    if parent is None:
        return own
    root = ElementTree.Element(f"{V3}ClinicalDocument")
    outer = root if parent.tag == root.tag else ElementTree.SubElement(root, parent.tag, dict(parent.attrib))
    outer.append(own)
    return root


@pytest.mark.parametrize("policy", ["safe-harbor", "expert"])
def test_no_identifier_planted_at_an_element_or_attribute_comes_out(policy: str, data: Path) -> None:
    seen: set[tuple[str, str, str]] = set()
    leaks: list[tuple[str, str, str]] = []
    for name in ("CCD", "Care_Plan", "Diagnostic_Imaging_Report", "C-CDA_R2-1_CCD.xml"):
        root = read_ccda(data / "ehr" / "ccda" / f"{name}.ccda.gz")
        parents = {child: parent for parent in root.iter() for child in parent}
        for node in root.iter():
            parent = parents.get(node)
            for place in (*node.attrib, "text", "tail", "child", "vendor"):
                key = (parent.tag if parent is not None else "", node.tag, place)
                if key not in seen:
                    seen.add(key)
                    value = VALUES[len(seen) % len(VALUES)]
                    leaks += [key] if found_in(cleaned(planted(node, parent, place, value), policy)) else []
    assert len(seen) > 1_000
    assert leaks == []


def cleaned_file(body: str, folder: Path) -> str:
    (folder / "a.xml").write_text(f"{HEAD}{body}</ClinicalDocument>", encoding="utf-8")
    deidentification.deidentify([folder / "a.xml"], folder / "out")
    return (folder / "out" / "a.xml").read_text(encoding="utf-8")


def test_unknown_elements_ids_styles_and_vendors_words_are_left_out(tmp_path: Path) -> None:
    out = cleaned_file(
        "<!-- QWEXIBOR --><?maker QWEXIBOR?><vendorNote>QWEXIBOR</vendorNote><sdtc:patientID>QWEXIBOR</sdtc:patientID>"
        '<component><section><text><table ID="qwexibor-tab" styleCode="qwexibor Bold"><tbody><tr><td ID="qwexibor">'
        "well<![CDATA[ Qwexibor]]></td>"
        '</tr></tbody></table></text><entry><observationMedia ID="qwexibor"><text><reference value="#qwexibor"/></text></observationMedia>'
        "</entry></section></component>",
        tmp_path,
    )
    assert "qwexibor" not in out.casefold()
    assert "well" in out
    ids = re.findall(r'ID="(t[0-9a-f]{32})"', out)
    assert f'value="#{ids[-1]}"' in out


@pytest.mark.parametrize(("value", "unit"), [("94", "a"), ("1128", "mo"), ("34128", "d"), ("101", "a")])
def test_an_age_above_89_becomes_90_in_every_unit(value: str, unit: str, tmp_path: Path) -> None:
    out = cleaned_file(
        '<component><section><entry><observation classCode="OBS" moodCode="EVN"><code code="30525-0" codeSystem="2.16.840.1.113883.6.1"/>'
        f'<value xsi:type="PQ" value="{value}" unit="{unit}"/></observation></entry></section></component>',
        tmp_path,
    )
    assert f'"{value}"' not in out
    assert 'value="90" unit="a"' in out


def test_a_drugs_name_and_a_cell_count_are_kept(tmp_path: Path) -> None:
    out = cleaned_file(
        "<component><section><text>WBC <content>5.2 10*3/uL</content></text><entry><substanceAdministration><consumable><manufacturedProduct>"
        '<manufacturedMaterial><code code="860975" codeSystem="2.16.840.1.113883.6.88" displayName="Metformin"/><name>Metformin 500 mg</name>'
        "</manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration></entry></section></component>",
        tmp_path,
    )
    for kept in ("Metformin 500 mg", 'code="860975"', "5.2 10*3/uL"):
        assert kept in out
