"""De-identification from custody: under patients' own keys, so that erasing one ends what leads back to them."""

import hashlib
import hmac
import secrets
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from galenic import __version__, store
from galenic.errors import AccessDeniedError, DescriptionError
from galenic.installation import Installation
from galenic.privacy import TokenVault, deidentification, reveal, text
from galenic.privacy.deidentification import (
    DeidentificationReport,
    DeidentificationRun,
    identifiers_of_patient,
    search_residuals,
)
from galenic.release import DeidentifiedRun, deidentify_run
from galenic.schema import Progress, no_progress
from galenic.security import Grant, Session

TARGETS = 1_000  # of one Provenance


def deidentify_stored(
    installation: Installation, session: Session, name: str, *, policy: str = "safe-harbor", release_policy: str = "deidentified",
    purpose: str = "de-identification", language: str = "en", vault: bool = False, by: str = "",
    progress: Progress = no_progress,
) -> DeidentifiedRun:  # fmt: skip
    """A copy of a FHIR data set in custody, as a run to be signed. vault: tokens lead back, past the gate (`reveal_token`).

    AccessDenied, and no run, where a right ends, a consent is withdrawn or a patient is erased meanwhile.
    """
    known = store.dataset(installation.db, name, session.tenant)
    if known["kind"] != "fhir":
        raise DescriptionError(
            f"{name!r} holds {known['kind']}. From custody FHIR is de-identified; export others, and de-identify the files."
        )
    with installation.gate.open(session, "train", store.resource(name), purpose) as grant:

        def make(place: Path) -> DeidentificationReport:
            detector = text.load_detector(language)
            run = DeidentificationRun(
                DeidentificationReport(text.read_policy(policy)), detector, secrets.token_bytes(32), day_first=False
            )
            run.done.measured = text.detector_accuracy(language)
            place.mkdir()
            _Stored(installation, grant, known, run, vault).write(place, progress)
            run.done.stated = search_residuals([place], run)
            return run.done

        copy = deidentify_run(installation, make, policy=release_policy, population=name, source=f"store/{name}", by=by)
        try:
            grant.require_active()
            row = {"id": f"model/{copy.run}", "kind": "copy", "made_from": f"table/{name}"}
            store.add_artefact(installation.db, row, store.subjects_of(installation.db, grant, name))
        except AccessDeniedError:
            shutil.rmtree(copy.folder, ignore_errors=True)
            raise
    return copy


class _Stored:
    """One data set's documents, patient by patient."""

    def __init__(
        self, installation: Installation, grant: Grant, known: store.Dataset, run: DeidentificationRun, vault: bool
    ) -> None:
        self.installation, self.grant, self.known, self.run = installation, grant, known, run
        self.tokens = run.key if not vault else grant.token("deidentify", str(known["name"])) * 2
        self.vault = TokenVault(installation.db, grant, known) if vault else None

    def write(self, place: Path, progress: Progress) -> None:
        from galenic.records.fhir import FhirWriter, restore_resource, write_json  # noqa: PLC0415  # its definitions load when they are needed

        patients: dict[int, str] = {}
        for batch in store.read_documents(self.installation.db, self.grant, self.known):
            for kept in batch:
                if kept.type == "Patient":
                    patients[kept.subject] = kept.id
                    self.run.learn(str(kept.subject), identifiers_of_patient(restore_resource(kept.document, kept.about)))
        self.run.learned()
        seen, made = 0, list[str]()
        with ExitStack() as stack:
            out = stack.enter_context(FhirWriter(place, self.run.done.resources))
            for batch in store.read_documents(self.installation.db, self.grant, self.known):
                keys = self.grant.keys(sorted({k.subject for k in batch}))
                for kept in batch:
                    if kept.type == "Bundle" or kept.subject not in keys:
                        continue
                    clean = self._one(kept, keys[kept.subject], patients, restore_resource(kept.document, kept.about))
                    out.put(clean["resourceType"], str(clean.get("id", "")), write_json(clean))
                    seen += 1
                    if "id" in clean:
                        made.append(f"{clean['resourceType']}/{clean['id']}")
                while made:
                    whence = self._provenance(made[:TARGETS])
                    out.put("Provenance", whence["id"], write_json(whence))
                    del made[:TARGETS]
                progress(f"de-identifying, {seen:,} resources", 0.5)
        if self.vault:
            self.vault.flush()

    def _provenance(self, made: list[str]) -> dict[str, Any]:
        """That these resources were derived, by what, and of what; the original is named by nothing that leads to it."""
        own = hashlib.sha256(" ".join(made).encode()).hexdigest()[:32]
        policy = f"Galenic {__version__}, de-identification by policy {self.run.done.policy.name}"
        return {
            "resourceType": "Provenance", "id": own, "target": [{"reference": r} for r in made],
            "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
            "agent": [{"type": {"text": "assembler"}, "who": {"display": policy}}],
            "entity": [{"role": "source", "what": {"display": "records in custody, under keys of their own"}}],
        }  # fmt: skip

    def _one(
        self, kept: store.StoredDocument, key: bytes, patients: dict[int, str], resource: dict[str, Any]
    ) -> dict[str, Any]:
        done = self.run.done
        own = hmac.digest(key, b"de-identification", "sha256")  # the patient's: gone when the patient is erased
        replacer = text.Replacer(done.policy, own, text.state_names(), self.run.day_first, self.run.avoid)
        keep = None
        if self.vault is not None:
            of = self.vault.of(kept.subject)
            mine = patients.get(kept.subject)

            def keep(token: str, kind: str, value: str) -> None:
                if kind != "id" or value == mine:  # of ids the patient's leads back; the others name things
                    of(token, "patient" if kind == "id" else kind, value)

        rules = deidentification.FhirRules(
            self.run.detector, replacer, self.tokens, self.run.of([str(kept.subject)]), done.taken, keep=keep
        )
        clean = deidentification.deidentify_resource(resource, rules)
        done.treated.update(replacer.counted)
        done.dropped.update(rules.dropped)
        return clean


def reveal_token(installation: Installation, session: Session, name: str, token: str, purpose: str) -> tuple[str, str]:
    """(kind, value) that a token of a de-identified copy stands for; each is a decision of its own, and on the audit chain."""
    known = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "reveal", store.resource(name), purpose) as grant:
        kind, value = reveal(installation.db, grant, known, token)
        installation.audit.append("token.revealed", store.resource(name), actor=session.who, decision=grant.decision, kind=kind)
    return kind, value
