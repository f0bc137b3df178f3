"""C-CDA of several makers, by two policies: an independent search finds nothing of the header's people; what is no safe XML is refused."""

import base64
import gzip
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from galenic.errors import RecordError
from galenic.privacy import deidentification
from galenic.records import ccda

Q = "{urn:hl7-org:v3}"


def words(file: Path) -> tuple[ElementTree.Element, str]:
    root = ElementTree.fromstring(gzip.decompress(file.read_bytes()))
    every = [t for e in root.iter() for t in (e.text, e.tail, *e.attrib.values()) if t and t.strip()]
    return root, "\n".join(every)


@pytest.mark.parametrize("policy", ["safe-harbor", "expert"])
def test_nobody_of_the_header_is_left_in_any_element(policy: str, data: Path, tmp_path: Path) -> None:
    done = deidentification.deidentify(
        [data / "ehr" / "ccda"], tmp_path / "out", deidentification.DeidentificationOptions(policy=policy, measured=False)
    )
    assert len(done.files) == 18
    assert {name for name, why in done.refusals if "body" in why} == {name for name, _ in done.refusals}
    told = 0
    for source in sorted((data / "ehr" / "ccda").glob("*.gz")):
        if not (tmp_path / "out" / source.name).exists():
            continue
        before, said = words(source)
        ordinary = set(re.findall(r"\b[a-z]+\b", said))  # a name that is a word of the same document, such as Nurse
        after, everything = words(tmp_path / "out" / source.name)
        spoken = set(re.findall(r"[^\W\d_]+", everything))
        now = set(everything.split("\n"))
        for tag in ("given", "family"):
            for part in before.iter(Q + tag):
                word = (part.text or "").strip()
                if len(word) >= 4 and word.isascii() and word.isalpha() and word.casefold() not in ordinary:
                    told += 1
                    assert policy == "expert" or word not in spoken, (source.name, tag)
        exact = [e.get("extension") for e in before.iter(f"{Q}id")] + [e.get("value") for e in before.iter(f"{Q}telecom")]
        exact += [(e.text or "").strip() for tag in ("streetAddressLine",) for e in before.iter(Q + tag)]
        exact += [e.get("value") for e in before.iter(f"{Q}birthTime") if len(e.get("value") or "") > 4]
        for value in exact:
            if value and len(value) >= 5:
                told += 1
                assert value not in now, source.name
        assert [e.tag for e in before.iter(f"{Q}code")] == [e.tag for e in after.iter(f"{Q}code")]
        assert len(list(after.iter(f"{Q}entry"))) == len(list(before.iter(f"{Q}entry")))
        times = [e.get("value") or "" for e in after.iter(f"{Q}effectiveTime")]
        assert policy == "expert" or all(len(t) <= 4 for t in times)
    assert told > 1_000


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ClinicalDocument xmlns="urn:hl7-org:v3">&b;</ClinicalDocument>'
OUTSIDE = (
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><ClinicalDocument xmlns="urn:hl7-org:v3">&a;</ClinicalDocument>'
)


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "<ClinicalDocument/>", "<a><b></a>", "", "no xml", "\x00\x01"])
def test_what_is_no_safe_ccda_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(RecordError):
        ccda.read_ccda(tmp_path / "a.xml")


def document(body: str, header: str = "") -> str:
    return (
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:x="urn:maker"><recordTarget><patientRole><id root="1.2.3" extension="77120001"/>'
        "<patient><name><given>Agathe</given><family>Zwingli</family></name></patient></patientRole></recordTarget>"
        f"{header}<component>{body}</component></ClinicalDocument>"
    )


def cleaned(text: str, tmp_path: Path) -> str:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    done = deidentification.deidentify([tmp_path / "a.xml"], tmp_path / "out")
    return (tmp_path / "out" / "a.xml").read_text(encoding="utf-8") if done.files else done.refusals[0][1]


def test_names_hide_nowhere(tmp_path: Path) -> None:
    hidden = (
        "<!-- Agathe Zwingli --><?maker Agathe Zwingli?><x:own>Agathe Zwingli</x:own>"
        '<section><text maker="Agathe">Seen <content>Mrs. Agathe <br/>Zwingli</content> again, no. 77120001<br/>and Zwingli</text>'
        '<entry><observation classCode="OBS" moodCode="EVN"><code code="1" displayName="of Agathe Zwingli"/>'
        '<effectiveTime value="20200304"/><value value="12" unit="mg"/></observation></entry></section>'
    )
    out = cleaned(document(f"<structuredBody>{hidden}</structuredBody>"), tmp_path)
    for gone in ("Agathe", "Zwingli", "77120001", "20200304", "maker"):
        assert gone not in out
    assert 'value="12" unit="mg"' in out
    assert 'value="2020"' in out


def test_text_that_is_encoded_is_searched_and_a_picture_is_not_let_out(tmp_path: Path) -> None:
    body = "<nonXMLBody><text mediaType='{}' representation='B64'>{}</text></nonXMLBody>"
    inner = base64.b64encode(b"Agathe Zwingli has asthma").decode()
    out = cleaned(document(body.format("text/plain", inner)), tmp_path)
    text = base64.b64decode(re.search(r'B64">([^<]+)<', out)[1]).decode()  # type: ignore[index]
    assert "asthma" in text
    assert "Zwingli" not in text
    (tmp_path / "out").rename(tmp_path / "before")
    assert "cannot be searched" in cleaned(document(body.format("application/pdf", inner)), tmp_path)
