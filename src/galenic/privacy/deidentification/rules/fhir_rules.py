"""Rules for the FHIR resources of one patient, and the rule file fhir.toml."""

import hmac
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from galenic.privacy.deidentification.rules.coded_words import is_plain
from galenic.privacy.deidentification.rules.joined_identifiers import states_identifier
from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings

Json = Any
OMITTED = object()  # in place of an element that is left out


@cache
def rule_file() -> dict[str, Any]:
    """Treatments by data type and element, and the extensions that are kept."""
    return tomllib.loads(files("galenic.privacy.deidentification.rules").joinpath("fhir.toml").read_text(encoding="utf-8"))


@dataclass
class FhirRules:
    """Rules for the resources of one patient.

    key: 32 bytes; ids become tokens under it. replacer: of the patient of the resource. stated: identifiers in the patient's
    own records. omissions: number of left-out elements and extensions, by path. remember_token: called with (token, kind,
    value) if the vault allows revealing tokens. about_age: True if the current element is a person's age. about_person: True if
    a question asks for a person's name, address or number. replacer_for: of a Bundle about several patients, the replacer of
    the patient of an entry.
    """

    detector: Detector
    replacer: Replacer
    key: bytes
    stated: StatedIdentifiers | None = None
    findings: TextFindings = field(default_factory=TextFindings)
    omissions: Counter[str] = field(default_factory=Counter)
    remember_token: Callable[[str, str, str], None] | None = None
    about_age: bool = False
    about_person: bool = False
    replacer_for: Callable[[dict[str, Any]], Replacer] | None = None

    def token(self, kind: str, text: str) -> str:
        """A keyed token: equal for equal texts; it cannot be traced back without the key or the vault."""
        token = hmac.digest(self.key, f"{kind}\0{text}".encode("utf-8", "surrogatepass"), "sha256")[:16].hex()
        if self.remember_token is not None:
            self.remember_token(token, kind, text)
        return token

    def uuid(self, kind: str, text: str) -> str:
        """The token as a URN."""
        t = self.token(kind, text)
        return f"urn:uuid:{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:32]}"

    def omit(self, path: str) -> object:
        """Count an element that is left out."""
        self.omissions[path] += 1
        return OMITTED

    def is_plain(self, text: str) -> bool:
        """True if a code or label consists of known words and short numbers, and states nothing about the patient."""
        return is_plain(text, self.detector.common) and not states_identifier(text, self.stated)
