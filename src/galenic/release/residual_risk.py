"""Residual risk of a de-identified copy, as findings that a release policy can hold against thresholds."""

from galenic.privacy.deidentification import DeidentificationReport
from galenic.schema import Finding, NotMeasured

_UNMEASURED = "this finder was not measured on unseen text"


def residual_risk(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """All findings about a copy, in the order of the report."""
    return [*_finder(done), _expected(done), _stated(done), _prosecutor(done)]


def _finder(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """How well the finder of identifiers did on unseen text."""
    sample = str(done.detector_accuracy.get("what", "unseen text"))
    findings: list[Finding | NotMeasured] = []
    for name, key, share in (
        ("deid.recall", "recall", "identifying characters found"),
        ("deid.leakfree", "leakfree", "documents without any left"),
    ):
        value = done.detector_accuracy.get(key)
        if value is None:
            findings.append(NotMeasured(name, _UNMEASURED))
        else:
            findings.append(Finding(name, float(value), f"share of {share} by this finder on {sample}", "higher"))
    return findings


def _expected(done: DeidentificationReport) -> Finding | NotMeasured:
    """Identifiers that are expected to be left."""
    if done.expected_missed is None:
        return NotMeasured("deid.expected", _UNMEASURED)
    per_text = done.expected_missed / max(done.findings.texts, 1)
    return Finding("deid.expected", per_text, f"identifiers expected unfound per text, of {done.findings.texts} texts", "lower")


def _stated(done: DeidentificationReport) -> Finding:
    """Values of patients' own records that are left in the copy."""
    searched, left = done.residual_search.values, done.residual_search.places
    method = f"search of everything that came out for {searched} values that patients' own records state; 0 values where none is known"
    return Finding("deid.stated", float(left), method, "lower")


def _prosecutor(done: DeidentificationReport) -> Finding | NotMeasured:
    """Highest prosecutor risk of all tables."""
    if done.resources["tables"] > len(done.risks):
        return NotMeasured("deid.prosecutor", "of a table nothing is known to others: name what is (--quasi)")
    highest, method = 0.0, "no table came out"
    for risk in done.risks:
        measured = risk["after"] or risk["before"]
        if measured["prosecutor"]["highest"] >= highest:
            highest = measured["prosecutor"]["highest"]
            method = f"1 / smallest group of rows alike in {', '.join(risk['known to others'])}"
    return Finding("deid.prosecutor", highest, method, "lower")
