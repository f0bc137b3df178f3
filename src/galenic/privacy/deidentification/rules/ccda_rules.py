"""State of the rules for C-CDA elements and attributes: the detector, the key and the counts of one document."""

import hmac
from collections import Counter
from dataclasses import dataclass, field

from galenic.privacy.deidentification.rules.announcements import search_announced
from galenic.privacy.deidentification.rules.coded_words import is_plain
from galenic.privacy.deidentification.rules.joined_identifiers import states_identifier
from galenic.privacy.deidentification.rules.labels import Announced
from galenic.privacy.text import Detector, Replacer, StatedIdentifiers, TextFindings


@dataclass
class CcdaRules:
    """Rules for one document. key: 32 bytes of the run; numbers become tokens under it. replacer: of the document's patient.

    headings: kinds stated by headings and labels. announced: kind for the current element.
    """

    detector: Detector
    replacer: Replacer
    key: bytes
    stated: StatedIdentifiers | None = None
    findings: TextFindings = field(default_factory=TextFindings)
    omissions: Counter[str] = field(default_factory=Counter)
    about_age: bool = False
    about_person: bool = False
    headings: Announced = field(default_factory=Announced)
    announced: str = ""

    def token(self, kind: str, text: str) -> str:
        """A keyed token: equal for equal texts; it cannot be traced back without the key."""
        return hmac.digest(self.key, f"{kind}\0{text}".encode(), "sha256")[:16].hex()

    def scan(self, text: str | None, kind: str | None = None) -> str | None:
        """Text without identifiers; white space is unchanged. kind: kind that a label states; by default that of the current
        element."""
        return (
            text if text is None or not text.strip() else search_announced(text, self.announced if kind is None else kind, self)
        )

    def is_plain(self, text: str) -> bool:
        """True if a code consists of known words and short numbers, and states nothing about the patient."""
        return is_plain(text, self.detector.common) and not states_identifier(text, self.stated)

    def count_field(self, kind: str, treatment: str = "") -> str:
        """Count a field that is an identifier; returns its treatment, by default the policy's."""
        self.findings.counts[kind, "field"] += 1
        treatment = treatment or self.replacer.policy[kind]
        self.replacer.count(kind, treatment)
        return treatment
