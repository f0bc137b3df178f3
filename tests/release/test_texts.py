"""Texts of findings, the glossary, and the summary of a run in plain sentences."""

import ast
import re
from pathlib import Path

import pytest

from galenic import release
from galenic.evidence.tables import ATTACKS, RISKS
from galenic.evidence.tables.utility import FAMILIES
from galenic.installation import Installation
from galenic.release import Decision, finding_text, glossary
from galenic.release.finding_text import entry_of, finding_entries
from galenic.release.glossary_terms import TermLinks
from galenic.release.policy import DecisionItem
from galenic.release.summary import decision_sentence, list_cautions, list_criteria, summarize
from galenic.schema import Finding, NotMeasured, Report
from toy_made import ToyArtifact, toy_run

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"(fidelity|plausibility|fairness|utility|privacy|engine|deid|quality)(\.[a-z0-9_*]+)+")
# beginnings of names that the code completes by these parts
COMPLETED = {
    "fidelity.tvd": [f"{way}{part}" for way in (1, 2, 3) for part in ("", ".floor", ".excess")],
    "privacy.": [*ATTACKS, *RISKS],
    "utility.tstr.": FAMILIES,
    "utility.gap.": FAMILIES,
    "utility.r2.": ["linear", "boosting"],
    "plausibility.": ["a declared rule"],
}


def names_in_the_source() -> set[str]:
    """Names of findings as literals; a part that the code fills in is written as *."""
    names = set()
    for file in (ROOT / "src" / "galenic").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
            else:
                text = str(node.value) if isinstance(node, ast.Constant) else ""
            if NAME.fullmatch(text):
                names.add(text)
    return names - {"fidelity.tvd"}  # two parts of this name are literals of their own


def test_each_finding_of_any_evaluator_has_a_text() -> None:
    names = names_in_the_source()
    assert len(names) > 50
    for name in names:
        begins, star, rest = name.partition("*")
        assert not rest
        for whole in [begins + str(part) for part in COMPLETED[begins]] if star else [name]:
            assert entry_of(whole) is not None, f"{whole} has no entry in src/galenic/release/findings.toml"


@pytest.mark.parametrize("name", finding_entries())
def test_the_text_of_a_finding_is_whole_and_plain(name: str) -> None:
    text, anchors = finding_text(name.replace("*", "x")), {t.anchor for t in glossary()}
    assert text.label[0].isupper()
    assert not text.label.startswith(("What", "How", "Which", "Whose", "Who", "The same"))
    assert text.sentence.endswith(".")
    assert text.limit_of_method.endswith(".")
    assert text.direction in ("lower", "higher", "fact")
    assert text.unit in ("distance", "auc", "share", "count", "correlation", "number", "epsilon", "probability")
    assert set(text.terms) <= anchors
    assert bool(text.watch) <= ("{value}" in text.warning)


def test_labels_of_findings_are_different() -> None:
    labels = [entry["label"] for entry in finding_entries().values()]
    assert len(labels) == len(set(labels))


def test_a_finding_from_outside_is_called_by_its_name() -> None:
    assert finding_text("toy.score").label == "toy.score"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("plausibility.range", 0.0912, "9.1%"),
        ("privacy.exact", 0.0004, "0.04%"),
        ("privacy.exact", 0.0, "0%"),
        ("privacy.alarms", 2.0, "2"),
        ("fidelity.tvd2.excess", 0.17512, "0.175"),
        ("privacy.epsilon", 1.0, "1"),
        ("privacy.delta", 1e-9, "1e-09"),
        ("plausibility.discharge.after", 0.5, "50.0%"),
    ],
)
def test_values_are_shown_in_the_unit_of_their_finding(name: str, value: float, shown: str) -> None:
    assert finding_text(name).format_value(value) == shown


def test_a_limit_on_a_share_is_shown_in_percent() -> None:
    assert finding_text("deid.planted.recall").format_limit("at least 0.95") == "at least 95%"
    assert finding_text("fidelity.tvd2.excess").format_limit("at most 0.15") == "at most 0.15"


def test_the_glossary_explains_the_terms_that_readers_asked_for() -> None:
    terms = glossary()
    assert len(terms) >= 40
    assert len({t.anchor for t in terms}) == len(terms)
    assert all(t.text.endswith(".") for t in terms)
    spelled = {s.casefold() for t in terms for s in (t.term, t.symbol, *t.names)}
    asked = (
        "ε, δ, ρ, μ, zCDP, Gaussian DP, total variation, excess, noise floor, held-out, AUC, AUROC, membership attack, "
        "attribute inference, singling out, linkability, quasi-identifier, k-anonymity, l-diversity, prosecutor risk, attestation, "
        "digest, DSSE, Merkle root, witness, escrow, root key, canary, confidence interval, Cramér's V, correlation, fidelity, "
        "utility, subgroup, fairness gap, provenance, budget population, reservation, charge, consent, purpose, care relation, "
        "emergency access, recall notice, Safe Harbor, expert determination, tokens, token vault"
    )
    assert {a.casefold() for a in asked.split(", ")} <= spelled


def test_a_page_links_the_first_use_of_a_term_and_escapes_the_rest() -> None:
    links = TermLinks()
    assert links("<b>AUC</b> and AUROC") == '&lt;b&gt;<a class="term" href="#term-auc">AUC</a>&lt;/b&gt; and AUROC'
    assert links("AUC again") == "AUC again"
    assert [t.anchor for t in links.used] == ["term-auc"]


def test_the_glossary_of_the_documentation_is_the_one_of_the_program() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert page == release.glossary_markdown(), "write docs/glossary.md again: it is the output of release.glossary_markdown()"


def test_the_reference_lists_every_finding() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    table = page.split("<!-- findings -->\n")[1].split("\n<!-- /findings -->")[0]
    assert table == release.findings_markdown(), "write the table again: it is the output of release.findings_markdown()"


def internal_decision(*items: DecisionItem) -> Decision:
    return Decision("internal", "0" * 64, all(i.outcome == "met" for i in items), items)


MET = DecisionItem("fidelity.tvd2.excess", "met", "at most 0.15", "Why.", "internal", "measured 0.064")
POOR = Report(
    "run",
    (
        Finding("fidelity.tvd1.excess", 0.041, "m"),
        Finding("fidelity.tvd2.excess", 0.064, "m"),
        Finding("fidelity.subgroup", 0.08, "m", detail={"beyond_band": 31, "groups": {str(k): {} for k in range(31)}}),
        Finding("fidelity.discriminator", 0.999, "m", interval=(0.998, 1.0)),
        Finding("plausibility.range", 0.09, "m", detail={"held_out": 0.01}),
        NotMeasured("privacy.shadow", "too few shadow models"),
    ),
)


def test_poor_values_are_told_although_every_limit_is_met() -> None:
    sentences = [c.sentence for c in list_cautions(POOR, internal_decision(MET))]
    assert "AUC 0.999" in sentences[1]
    assert sentences[2].startswith("9.0% of the synthetic rows hold a value that no training patient has.")
    assert sentences[3].startswith("31 of 31 subgroups of patients differ")
    watch = summarize(POOR, internal_decision(MET), "Verdict.")[4]
    assert watch.startswith("Watch: ")
    assert "3 more warnings" in watch


def test_a_value_that_real_patients_show_as_well_is_no_warning() -> None:
    report = Report("run", (Finding("plausibility.range", 0.05, "m", detail={"held_out": 0.04}),))
    assert list_cautions(report, internal_decision(MET)) == ()


def test_missed_limits_come_first_with_value_and_limit() -> None:
    missed = DecisionItem("fidelity.tvd2.excess", "not met", "at most 0.05", "Why.", "internal", "measured 0.064")
    decision = internal_decision(missed)
    assert (
        list_cautions(POOR, decision)[0].sentence
        == "Extra difference between pairs of columns: 0.064, but the limit is at most 0.05."
    )
    assert decision_sentence(decision) == "Refused: 1 of 1 limits of the policy “internal” is not met."


def test_a_reader_outside_sees_no_value_that_was_measured_on_patients() -> None:
    public, decision = POOR.only("public"), internal_decision(MET)
    (criterion,) = list_criteria(public, decision, inside=False)
    assert criterion.value == "on the signers' report only"
    text = " ".join(summarize(public, decision, "Verdict.", inside=False))
    assert "0.06" not in text
    assert "0.041" not in text


def test_five_sentences_explain_a_run_with_a_guarantee() -> None:
    report = POOR.plus(
        Finding("privacy.nearest", 0.503, "m", detail={"alarm": False}),
        Finding("privacy.alarms", 0.0, "m"),
        Finding("privacy.controls", 3.0, "m"),
        Finding("privacy.epsilon", 1.0, "m"),
        Finding("privacy.delta", 1e-9, "m"),
    )
    lines = summarize(report, internal_decision(MET), "Verdict.")
    assert len(lines) == 5
    assert "single columns differ from held-out patients by 0.041 and pairs of columns by 0.064" in lines[1]
    assert lines[2] == "None of 1 privacy attacks found a leak; the attacks found 3 of 3 planted leaks, so they work."
    assert "factor of at most 2.7" in lines[3]
    assert "1 in 1,000,000,000" in lines[3]


def test_the_summary_of_a_run_follows_its_state(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(release.ARTIFACTS, "toy", ToyArtifact())
    run, _decision = toy_run(installation, 0.9)
    assert "It waits for a signature as privacy officer and clinician." in release.plain_summary(run)[0]
    for name, role in (("ada", "privacy-officer"), ("bea", "clinician")):
        installation.keys.create(name, role)
        release.sign_with_key(installation, run.id, name)
    assert "Signed by bea (clinician), ada (privacy officer). It can be released." in release.plain_summary(run)[0]
    release.write_release(installation, run.id, tmp_path / "out")
    assert "It was released on 20" in release.plain_summary(run)[0]
    release.recall_release(installation, run.id, "it broke", tmp_path / "notice.json")
    assert release.plain_summary(run)[0].endswith("recalled: it broke. Do not use it.")
    refused, _decision = toy_run(installation, 0.4)
    assert release.plain_summary(refused)[0].startswith("Refused: 1 of 1 limits of the policy “toy” is not met.")
    assert release.run_criteria(refused)[0].value == "0.400"
    assert release.run_cautions(refused)[0].name == "toy.score"
