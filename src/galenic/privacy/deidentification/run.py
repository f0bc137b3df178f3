"""The state of one de-identification: identifiers stated by patients' records, and counts for the report."""

import hmac
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from galenic.privacy import text
from galenic.privacy.deidentification.options import MINUTES_PER_FILE, RunSettings
from galenic.privacy.deidentification.planted_recall import PlantedRecall

_LETTERS = re.compile(r"[^\W\d_]{3,}")
SEARCHED_KINDS = frozenset({"name", "record", "phone", "ssn", "email", "plan", "account"})  # of identifiers, in the output
MAX_PATIENTS = 200_000  # patients with identifiers held in memory while files are processed


@dataclass(frozen=True)
class ResidualSearch:
    """Result of the search for stated identifiers in the output.

    values: searched values. places: places that still contain one. fields: input fields with identifiers of people.
    is_complete: True if every stated value was searched for.
    """

    values: int = 0
    places: int = 0
    fields: int = 0
    is_complete: bool = True

    def __add__(self, other: "ResidualSearch") -> "ResidualSearch":
        is_complete = self.is_complete and other.is_complete
        return ResidualSearch(self.values + other.values, self.places + other.places, self.fields + other.fields, is_complete)


@dataclass
class DeidentificationReport:
    """Counts and remarks of one de-identification; never a value that was found.

    files: (input name, output name); an output name is a number where the input name contains a person's name. sources: by
    output name, the input name of every file; shown to the user and never written. refusals: (file or line, reason) of refused
    input. findings: identifiers by kind and layer. replacements: by kind and treatment. omissions: left-out elements, by path.
    resources: written resources, by type. detector_accuracy: measured on text that the detector was not trained on. risks:
    re-identification risk of each table. columns: withheld and declared columns of tables.
    """

    policy: text.DeidentificationPolicy
    files: list[tuple[str, str]] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    findings: text.TextFindings = field(default_factory=text.TextFindings)
    replacements: Counter[tuple[str, str]] = field(default_factory=Counter)
    omissions: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    detector_accuracy: dict[str, Any] = field(default_factory=dict)
    residual_search: ResidualSearch = ResidualSearch()
    planted: PlantedRecall | None = None
    risks: list[dict[str, Any]] = field(default_factory=list)
    columns: list[dict[str, Any]] = field(default_factory=list)

    @property
    def expected_missed(self) -> float | None:
        """Expected number of missed identifiers in free text, from the detector's recall; None if that was not measured."""
        recall = self.detector_accuracy.get("recall")
        detected = sum(n for (_, layer), n in self.findings.counts.items() if layer not in ("field", "known"))
        return None if recall is None else detected * (1 - recall) / recall

    def count(self, replacer: text.Replacer, omissions: Counter[str] | None = None) -> None:
        """Add the counts of one patient's replacer, and left-out elements."""
        self.replacements.update(replacer.counts)
        self.omissions.update(omissions or {})


@dataclass
class DeidentificationRun:
    """One de-identification in progress.

    key: 32 bytes; without it no surrogate and no token can be traced back. stated_identifiers: by patient, identifiers by kind.
    reserved_words: names of people in the data, which no surrogate may be. other_languages: refuse or redact notes in them. language: of
    the texts. minutes_per_file: of processor time.
    """

    report: DeidentificationReport
    detector: text.Detector
    key: bytes
    day_first: bool
    stated_identifiers: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    reserved_words: frozenset[str] = frozenset()
    other_languages: str = "refuse"
    language: str = "en"
    minutes_per_file: float = MINUTES_PER_FILE
    layout: object = None  # of a planted copy: the TableLayout of the file it was made of
    stating_records: int = 0  # records that state names or numbers of people, which the output is searched for

    @property
    def token_key(self) -> bytes:
        """The key under which ids and numbers become tokens."""
        return hmac.digest(self.key, b"tokens", "sha256")

    def for_copy(self) -> "DeidentificationRun":
        """Run with the same settings and stated identifiers, for a planted copy; its counts are not reported."""
        report = DeidentificationReport(self.report.policy)
        return replace(self, report=report, stated_identifiers=dict(self.stated_identifiers))

    def replacer(self, patient: str) -> text.Replacer:
        """Replacer of one patient: names have the same surrogates in the whole run; all other surrogates depend on a key of
        that patient."""
        key = hmac.digest(self.key, f"patient\0{patient}".encode(), "sha256")
        return replace(self.replacer_with(key), shared_key=hmac.digest(self.key, b"surrogates", "sha256"))

    def replacer_with(self, key: bytes) -> text.Replacer:
        """A replacer under the given key."""
        return text.Replacer(self.report.policy, key, text.state_names(), self.day_first, self.reserved_words)

    def stated_by(self, patients: list[str]) -> text.StatedIdentifiers | None:
        """Identifiers that the records of these patients state."""
        own = [self.stated_identifiers[p] for p in patients if p in self.stated_identifiers]
        kinds = dict.fromkeys(k for one in own for k in one)
        by_kind = {kind: tuple(v for one in own for v in one.get(kind, ())) for kind in kinds}
        return text.StatedIdentifiers(by_kind, self.detector.common) if by_kind else None

    def learn(self, patient: str, identifiers: dict[str, tuple[str, ...]]) -> None:
        """Add the identifiers that one more record of the patient states."""
        self.stating_records += any(identifiers.get(kind) for kind in SEARCHED_KINDS)
        if patient in self.stated_identifiers:
            before = self.stated_identifiers[patient]
            self.stated_identifiers[patient] = {
                k: tuple(dict.fromkeys((*before.get(k, ()), *identifiers.get(k, ())))) for k in {*before, *identifiers}
            }
        elif len(self.stated_identifiers) < MAX_PATIENTS:
            self.stated_identifiers[patient] = identifiers

    def reserve_names(self) -> None:
        """Reserve the words of all stated names and places. Call it after learning and before the first surrogate."""
        values = (v for one in self.stated_identifiers.values() for kind in ("name", "place") for v in one.get(kind, ()))
        self.reserved_words = frozenset(w.casefold() for v in values for w in _LETTERS.findall(v))


def start_run(settings: RunSettings) -> DeidentificationRun:
    """A run with the detector of its language and the policy's own lists of names."""
    detector = text.load_detector(settings.language, settings.model)
    if settings.policy.lists:
        lists = text.read_gazetteer(settings.policy.lists, text.identifier_kinds(), detector.common)
        detector = detector.with_gazetteer(lists)
    report = DeidentificationReport(settings.policy)
    report.detector_accuracy = {} if settings.model else text.detector_accuracy(settings.language)
    return DeidentificationRun(
        report,
        detector,
        settings.key,
        settings.day_first,
        other_languages=settings.other_languages,
        language=settings.language,
        minutes_per_file=settings.minutes_per_file,
    )
