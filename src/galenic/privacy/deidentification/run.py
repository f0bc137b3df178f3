"""One run of de-identification: what it knows of patients, and what it did."""

import hmac
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from galenic.privacy import text

_LETTERS = re.compile(r"[^\W\d_]{3,}")
MOST_KNOWN = 200_000  # patients whose own identifiers are held while their records go by


@dataclass
class DeidentificationReport:
    """What a run did. files: in and out; refused: by file or line, why it did not come out; residual: what to expect to be left.
    Files are called as they come out: a number, in the order of the input, where their own name says who somebody is."""

    policy: text.DeidentificationPolicy
    files: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    taken: text.TextFindings = field(default_factory=text.TextFindings)
    treated: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    measured: dict[str, Any] = field(default_factory=dict)
    stated: tuple[int, int] = (0, 0)  # values that patients' records state, searched for in what came out; where one stands
    risks: list[dict[str, Any]] = field(default_factory=list)  # of tables: how likely a person is found in what came out

    @property
    def residual(self) -> float | None:
        """Identifiers to expect unfound in what was scanned as text, from the finder's recall on text it never saw; None where that
        was not measured."""
        recall = self.measured.get("recall")
        scanned = sum(n for (_, layer), n in self.taken.found.items() if layer not in ("field", "known"))
        return None if recall is None else scanned * (1 - recall) / recall


@dataclass
class DeidentificationRun:
    """One run under way. key: 32 bytes; without it no surrogate and no token leads back."""

    done: DeidentificationReport
    detector: text.Detector
    key: bytes
    day_first: bool
    known: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)  # by patient: identifiers, by kind
    avoid: frozenset[str] = frozenset()  # words that are somebody's: no surrogate is one of them

    def replacer(self, patient: str) -> text.Replacer:
        """Of one patient, under a key of their own."""
        key = hmac.digest(self.key, f"patient\0{patient}".encode(), "sha256")
        return text.Replacer(self.done.policy, key, text.state_names(), self.day_first, self.avoid)

    def of(self, patients: list[str]) -> text.StatedIdentifiers | None:
        """What the patients' own records say of them."""
        stated = [self.known[p] for p in patients if p in self.known]
        kinds = dict.fromkeys(k for one in stated for k in one)
        every = {kind: tuple(v for one in stated for v in one.get(kind, ())) for kind in kinds}
        return text.StatedIdentifiers(every, self.detector.common) if every else None

    def learn(self, patient: str, stated: dict[str, tuple[str, ...]]) -> None:
        """What one more record states of a patient."""
        if patient in self.known:
            before = self.known[patient]
            self.known[patient] = {
                k: tuple(dict.fromkeys((*before.get(k, ()), *stated.get(k, ())))) for k in {*before, *stated}
            }
        elif len(self.known) < MOST_KNOWN:
            self.known[patient] = stated

    def learned(self) -> None:
        """After the patients' own records were read, and before the first surrogate is made."""
        stated = (v for one in self.known.values() for kind in ("name", "place") for v in one.get(kind, ()))
        self.avoid = frozenset(w.casefold() for v in stated for w in _LETTERS.findall(v))
