"""C-CDA documents (HL7 CDA R2) as XML elements and text, without clinical meaning: read safely, written again."""

import gzip
from pathlib import Path
from xml.etree import ElementTree  # what is built here; what comes in is parsed by defusedxml

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from galenic.errors import RecordError

HL7, SDTC, XSI = "urn:hl7-org:v3", "urn:hl7-org:sdtc", "http://www.w3.org/2001/XMLSchema-instance"
MOST = 256 << 20  # bytes: a document is held whole
ENDINGS = (".xml", ".cda", ".ccda")

for _prefix, _name in (("", HL7), ("sdtc", SDTC), ("xsi", XSI)):
    ElementTree.register_namespace(_prefix, _name)


def is_ccda(file: Path) -> bool:
    """By its ending."""
    return file.name.casefold().removesuffix(".gz").endswith(ENDINGS)


def read(file: Path) -> ElementTree.Element:
    """A document's root. RecordError: no XML, no ClinicalDocument, one with a document type or entities, one beyond 256 MB."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as raw:
            whole = raw.read(MOST + 1)
        if len(whole) > MOST:
            raise RecordError("is larger than 256 MB. Split it.")
        root = fromstring(whole, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, OSError, EOFError, ValueError) as error:
        raise RecordError(
            f"is no XML that can be read safely ({error.__class__.__name__}). Expected a C-CDA document."
        ) from None
    if root.tag != f"{{{HL7}}}ClinicalDocument":
        raise RecordError("is XML, but no ClinicalDocument of urn:hl7-org:v3. Expected C-CDA.")
    return root


def write(root: ElementTree.Element, file: Path) -> None:
    """UTF-8, by the file's ending plain or gzip."""
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    file.write_bytes(gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)
