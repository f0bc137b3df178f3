"""Residual risk of a de-identified copy: measured on its input and output; figures of the model card are marked as expected."""

from galenic.privacy.deidentification import DeidentificationReport, PlantedRecall, PlantedStratum
from galenic.schema import Finding, NotMeasured

_NO_CARD = "this detector has no model card: it was not measured on unseen text"


def residual_risk(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """All findings about a copy, in the order of the report."""
    return [_planted_recall(done), *_stated(done), *_prosecutor(done), *_expected(done)]


def _planted_recall(done: DeidentificationReport) -> Finding | NotMeasured:
    """Lower bound of the recall on planted identifiers in the worst column, element or type of text."""
    name, planted = "deid.planted.recall", done.planted
    if planted is None:
        return NotMeasured(name, "no identifiers were planted into copies of the input")
    if not done.files and not done.resources:
        return NotMeasured(name, "no file came out; the report says what was refused and why")
    if planted.unmeasured:
        where, why = min(planted.unmeasured.items())
        return NotMeasured(
            name, f"{where}: {why}" + f" (and {len(planted.unmeasured) - 1} more)" * (len(planted.unmeasured) > 1)
        )
    worst = planted.worst
    if worst is None:
        return NotMeasured(name, "nothing came out in which an identifier can be planted")
    return Finding(name, worst.interval[0], _method(worst, planted), "higher", worst.interval, detail=planted.to_json())


def _method(worst: PlantedStratum, planted: PlantedRecall) -> str:
    total, removed = sum(s.count for s in planted.strata), sum(s.removed_count for s in planted.strata)
    return (
        f"lower 95 % bound for {worst.name}, the worst of {len(planted.strata)}: {worst.removed_count:,} of {worst.count:,} planted "
        f"identifiers removed; in all {removed:,} of {total:,}, planted into {planted.copies:,} copies of samples of this input"
    )


def _stated(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """Fields in which the input states identifiers, and places of the output that still hold one of their values."""
    search = done.residual_search
    method = "columns, elements and headers of this input that state identifiers of people"
    fields = Finding("deid.stated.fields", float(search.fields), method, "fact")
    if not search.values:
        return [NotMeasured("deid.stated", "the input states no name or number that can be searched for"), fields]
    if not search.is_complete and not search.places:
        why = f"the input states more names and numbers than the {search.values:,} that were searched for. Divide the input"
        return [NotMeasured("deid.stated", why), fields]
    method = f"places in the output with one of {search.values:,} names and numbers that the records of this input state"
    return [Finding("deid.stated", float(search.places), method, "lower"), fields]


def _prosecutor(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """Highest prosecutor risk of all tables in the output, and their number."""
    name, tables = "deid.prosecutor", done.resources["tables"]
    count = Finding("deid.tables", float(tables), "tables in the output", "fact")
    if not tables:
        return [NotMeasured(name, "no table came out"), count]
    if tables > len(done.risks):
        return [NotMeasured(name, "of a table nothing is known to others: name what is (--quasi)"), count]
    highest, method = 0.0, ""
    for risk in done.risks:
        measured = risk["after"] or risk["before"]
        if measured["prosecutor"]["highest"] >= highest:
            highest = measured["prosecutor"]["highest"]
            method = f"1 / smallest group of rows of {risk['file']} with equal {', '.join(risk['known to others'])}"
    return [Finding(name, highest, method, "lower"), count]


def _expected(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """Figures of the detector's model card: expected on other text, not measured on this input."""
    card = done.detector_accuracy
    corpus = f"expected from the model card: on {card.get('what', 'unseen text')}; not measured on this input"
    findings: list[Finding | NotMeasured] = []
    for name, key, share in (
        ("deid.expected.recall", "recall", "share of identifying characters found"),
        ("deid.expected.leakfree", "leakfree", "share of documents without any left"),
    ):
        value = card.get(key)
        found = NotMeasured(name, _NO_CARD) if value is None else Finding(name, float(value), f"{share}, {corpus}", "fact")
        findings.append(found)
    if done.expected_missed is None:
        return [*findings, NotMeasured("deid.expected.missed", _NO_CARD)]
    per_text = done.expected_missed / max(done.findings.texts, 1)
    method = f"identifiers missed per text, of {done.findings.texts:,} texts, {corpus}"
    return [*findings, Finding("deid.expected.missed", per_text, method, "fact")]
