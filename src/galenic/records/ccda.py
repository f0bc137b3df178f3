"""C-CDA documents (HL7 CDA R2) as XML elements: safe reader and writer, without clinical interpretation."""

import gzip
import zlib
from pathlib import Path
from xml.etree import ElementTree  # to build and write; input is parsed by defusedxml

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from galenic.errors import RecordError

HL7, SDTC, XSI = "urn:hl7-org:v3", "urn:hl7-org:sdtc", "http://www.w3.org/2001/XMLSchema-instance"
MAX_BYTES = 256 << 20  # a document is held in memory
MOST_TAGS, DEEPEST = 10_000_000, 200
EXTENSIONS = (".xml", ".cda", ".ccda")

for _prefix, _name in (("", HL7), ("sdtc", SDTC), ("xsi", XSI)):
    ElementTree.register_namespace(_prefix, _name)


def is_ccda(file: Path) -> bool:
    """True if the file is a C-CDA document, by its name."""
    return file.name.casefold().removesuffix(".gz").endswith(EXTENSIONS)


def read_ccda(file: Path) -> ElementTree.Element:
    """Root element of a document. Raise RecordError if it is not XML, is not a ClinicalDocument, has a document type or
    entities, or has more than 256 MB."""
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as raw:
            content = raw.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise RecordError("is larger than 256 MB. Split it into smaller documents.")
        if content.count(b"<") > MOST_TAGS:
            raise RecordError(f"has more than {MOST_TAGS:,} tags. Split it into smaller documents.")
        root = fromstring(content, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, OSError, EOFError, ValueError, zlib.error) as error:
        raise RecordError(
            f"is not XML that can be read safely ({error.__class__.__name__}). Expected a C-CDA document."
        ) from None
    if root.tag != f"{{{HL7}}}ClinicalDocument":
        raise RecordError("is XML, but not a ClinicalDocument (urn:hl7-org:v3). Expected a C-CDA document.")
    _require_flat(root)
    return root


def _require_flat(root: ElementTree.Element) -> None:
    """Raise RecordError for elements that are nested too deep: code that visits them recursively would overflow the stack."""
    level = [root]
    for _ in range(DEEPEST):
        level = [child for element in level for child in element]
        if not level:
            return
    raise RecordError(f"is nested more than {DEEPEST} levels deep, which no valid C-CDA document is. Export it again.")


def write_ccda(root: ElementTree.Element, file: Path) -> None:
    """Write a document in UTF-8, compressed with gzip if the file name ends in .gz."""
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    file.write_bytes(gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)
