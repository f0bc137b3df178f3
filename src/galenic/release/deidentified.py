"""A de-identified copy on its way out: an artefact with its residual risk as evidence, decided by a policy, signed by people."""

import hashlib
import json
import secrets
import shutil
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import galenic
from galenic import store
from galenic.errors import GalenicError
from galenic.installation import Installation
from galenic.privacy import text
from galenic.privacy.deidentification import DeidentificationReport, deidentification_json
from galenic.release.attestation import attest
from galenic.release.card import decision_json
from galenic.release.policy import Decision, decide, load_policy
from galenic.schema import Finding, NotMeasured, Report, to_json
from galenic.security import Fact

_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry: the same copy gives the same bytes


@dataclass(frozen=True)
class DeidentifiedRun:
    """How a run ended. It leaves by `sign` and `release`, if the decision was to accept it."""

    run: str
    folder: Path
    decision: Decision
    report: Report
    done: DeidentificationReport


def deidentify_run(
    installation: Installation, make: Callable[[Path], DeidentificationReport], *,
    policy: str = "deidentified", population: str = "", source: str = "files",
    by: str = "",
) -> DeidentifiedRun:  # fmt: skip
    """Makes the copy in a run of the house and decides by its residual risk. make: writes it into a new folder; by: who asks for it,
    where somebody is signed in.

    A copy that is refused does not stay: the run keeps the report alone.
    """
    rules = load_policy(policy)
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    row = installation.audit.append("deidentify.requested", run, actor=by or None, policy=rules.digest, source=source)
    if by:
        installation.facts.put(
            Fact("job", f"run/{run}", "requested", by, body=(("policy", rules.digest), ("row", row))), quiet=True
        )
    folder = installation.runs / run
    try:
        with store.folder_aside(folder) as aside:
            done = make(aside / "copy")
            report = Report(run, tuple(findings(done)))
            decision = decide(report, rules)
            sheet = _internal(aside / "internal", done, report, decision)
            if decision.accepted:
                _artefact(aside, done, report, decision, rules.text)
                predicate = {
                    "release": run, "policy": {"name": rules.name, "version": rules.version, "digest": rules.digest},
                    "engine": {"name": "deidentify", "version": galenic.__version__, "galenic": galenic.__version__},
                    "population": population or "none: de-identified records, no formal guarantee", "internal_sheet": sheet,
                }  # fmt: skip
                envelope = attest(aside / "artefact", predicate, installation.keys.gate())
                (aside / "attestation.json").write_text(json.dumps(envelope), encoding="utf-8")
                (aside / "signoffs").mkdir()
            shutil.rmtree(aside / "copy", ignore_errors=True)
    except GalenicError as error:
        installation.audit.append("deidentify.ended", run, outcome=type(error).__name__)
        raise
    outcome = "accepted" if decision.accepted else "refused"
    installation.audit.append(
        "decision", run, outcome=outcome, policy=rules.digest, refused=[i.finding for i in decision.refusals]
    )
    return DeidentifiedRun(run, folder, decision, report, done)


def findings(done: DeidentificationReport) -> list[Finding | NotMeasured]:
    """The residual risk, finding by finding."""
    what = str(done.measured.get("what", "unseen text"))
    found: list[Finding | NotMeasured] = []
    for name, key, told in (
        ("deid.recall", "recall", "identifying characters found"),
        ("deid.leakfree", "leakfree", "documents without any left"),
    ):
        value = done.measured.get(key)
        if value is None:
            found.append(NotMeasured(name, "this finder was not measured on unseen text"))
        else:
            found.append(Finding(name, float(value), f"share of {told} by this finder on {what}", "higher"))
    if done.residual is None:
        found.append(NotMeasured("deid.expected", "this finder was not measured on unseen text"))
    else:
        each = done.residual / max(done.taken.texts, 1)
        found.append(
            Finding("deid.expected", each, f"identifiers expected unfound per text, of {done.taken.texts} texts", "lower")
        )
    searched, left = done.stated
    method = f"search of everything that came out for {searched} values that patients' own records state; 0 values where none is known"
    found.append(Finding("deid.stated", float(left), method, "lower"))
    highest, method = 0.0, "no table came out"
    for one in done.risks:
        now = one["after"] or one["before"]
        if now["prosecutor"]["highest"] >= highest:
            highest = now["prosecutor"]["highest"]
            method = f"1 / smallest group of rows alike in {', '.join(one['known to others'])}"
    if done.resources["tables"] > len(done.risks):
        found.append(NotMeasured("deid.prosecutor", "of a table nothing is known to others: name what is (--quasi)"))
    else:
        found.append(Finding("deid.prosecutor", highest, method, "lower"))
    return found


def _internal(folder: Path, done: DeidentificationReport, report: Report, decision: Decision) -> str:
    folder.mkdir()
    said = deidentification_json(done)
    data = {
        "salt": secrets.token_hex(32),
        "report": to_json(report),
        "decision": decision_json(decision, inside=True),
        "deidentification": said,
    }
    sheet = json.dumps(data, indent=1)
    (folder / "sheet.json").write_text(sheet, encoding="utf-8")
    (folder / "report.html").write_text(text.render_report(said), encoding="utf-8")
    return hashlib.sha256(sheet.encode()).hexdigest()


def _artefact(aside: Path, done: DeidentificationReport, report: Report, decision: Decision, policy: str) -> None:
    folder = aside / "artefact"
    folder.mkdir()
    with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(p for p in (aside / "copy").rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(aside / "copy").as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as raw, packed.open(entry, "w") as target:
                shutil.copyfileobj(raw, target, 1 << 20)
    (folder / "evidence.json").write_text(json.dumps(to_json(report), indent=1), encoding="utf-8")
    (folder / "decision.json").write_text(json.dumps(decision_json(decision, inside=False), indent=1), encoding="utf-8")
    (folder / "policy.toml").write_text(policy, encoding="utf-8")
    (folder / "card.html").write_text(text.render_report(deidentification_json(done)), encoding="utf-8")
    verifier = Path(__file__).parent.parent / "release" / "verify_release.py"
    (folder / "verify_release.py").write_bytes(verifier.read_bytes())
