"""De-identified copies of FHIR data sets, made with the patients' own keys. Erasing a patient makes the copy untraceable for
that patient."""

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galenic import store
from galenic.errors import OptionError
from galenic.installation import Installation
from galenic.privacy import TokenVault, patient_of_token, reveal
from galenic.privacy.deidentification import (
    MOST_RESOURCES,
    DeidentificationOptions,
    DeidentificationReport,
    DeidentificationRun,
    FhirRules,
    deidentify_resource,
    identifiers_of_patient,
    measure_planted_resources,
    search_residuals,
    start_run,
)
from galenic.schema import Progress
from galenic.security import Grant, Session
from galenic.version import __version__

if TYPE_CHECKING:
    from galenic.records.fhir import FhirWriter

PROVENANCE_TARGETS = 1_000  # resources that one Provenance resource names


@dataclass(frozen=True)
class CopySource:
    """A FHIR data set under a grant that allows copying it."""

    installation: Installation
    grant: Grant
    dataset: store.Dataset

    @property
    def name(self) -> str:
        """Name of the data set."""
        return str(self.dataset["name"])

    def write(
        self, folder: Path, options: DeidentificationOptions, progress: Progress, *, vault: bool
    ) -> DeidentificationReport:
        """Writes the data set without identifiers to a new folder. vault: True if tokens can be revealed later by
        `reveal_token`."""
        run = start_run(options.settings(secrets.token_bytes(32)))
        folder.mkdir()
        writer = _CopyWriter(self, run, TokenVault(self.installation.db, self.grant, self.dataset) if vault else None)
        writer.write(folder, progress)
        run.report.residual_search = search_residuals([folder], run)
        run.report.planted = measure_planted_resources([resource for _, resource in writer.sample], writer.planted, run)
        return run.report

    def record(self, run: str) -> None:
        """Records the patients that a copy was made from. Raise AccessDeniedError if the grant has ended in the meantime."""
        self.grant.require_active()
        row = {"id": f"model/{run}", "kind": "copy", "made_from": f"table/{self.name}"}
        store.add_artefact(self.installation.db, row, store.subjects_of(self.installation.db, self.grant, self.name))


@contextmanager
def open_copy_source(installation: Installation, session: Session, name: str, purpose: str) -> Iterator[CopySource]:
    """FHIR data set with that name. Raise OptionError if it has another kind, and AccessDeniedError if the session may not copy
    it."""
    dataset = store.dataset(installation.db, name, session.tenant)
    if dataset["kind"] != "fhir":
        raise OptionError(
            f"{name!r} holds {dataset['kind']}. Only FHIR data sets can be de-identified in the record store. Export this "
            "one, then de-identify the files."
        )
    with installation.gate.open(session, "train", store.resource(name), purpose) as grant:
        yield CopySource(installation, grant, dataset)


def reveal_token(installation: Installation, session: Session, name: str, token: str, purpose: str) -> tuple[str, str]:
    """(kind, value) that a token of a de-identified copy replaced. Each call is an access decision and is recorded."""
    dataset = store.dataset(installation.db, name, session.tenant)
    with installation.gate.open(session, "reveal", store.resource(name), purpose) as grant:
        kind, value = reveal(installation.db, grant, dataset, token)
        subject = patient_of_token(installation.db, grant, dataset, token)
        copy: store.Row = {"id": f"reveal/{grant.decision}", "kind": "reveal", "made_from": f"table/{name}", "place": "outside"}
        store.add_artefact(installation.db, copy, [] if subject is None else [subject])
        installation.audit.append("token.revealed", store.resource(name), actor=session.who, decision=grant.decision, kind=kind)
    return kind, value


class _CopyWriter:
    """Writes a data set's documents, patient by patient."""

    def __init__(self, source: CopySource, run: DeidentificationRun, vault: TokenVault | None) -> None:
        self.source, self.run, self.vault = source, run, vault
        self.db, self.grant, self.dataset = source.installation.db, source.grant, source.dataset
        self.token_key = run.key if vault is None else self.grant.token("deidentify", source.name) * 2
        self.patient_ids: dict[int, str] = {}
        self.sample: list[
            tuple[int, dict[str, Any]]
        ] = []  # (subject, resource) of the sample into which identifiers are planted
        self.seen = 0

    def write(self, folder: Path, progress: Progress) -> None:
        """Writes one NDJSON file per resource type, with the Provenance of the resources."""
        from galenic.records.fhir import FhirWriter  # noqa: PLC0415  # its definitions are loaded on first use

        self._learn()
        count, references = 0, list[str]()
        with FhirWriter(folder, self.run.report.resources) as out:
            for batch in store.read_documents(self.db, self.grant, self.dataset):
                for clean in self._deidentified_batch(batch):
                    _put(out, clean)
                    count += 1
                    if "id" in clean:
                        references.append(f"{clean['resourceType']}/{clean['id']}")
                while references:
                    _put(out, self._provenance(references[:PROVENANCE_TARGETS]))
                    del references[:PROVENANCE_TARGETS]
                progress(f"de-identifying {count:,} resources", 0.5)
        if self.vault:
            self.vault.flush()

    def _learn(self) -> None:
        """Reads identifiers that the patients' own records state."""
        from galenic.records.fhir import restore_resource  # noqa: PLC0415  # its definitions are loaded on first use

        for batch in store.read_documents(self.db, self.grant, self.dataset):
            for document in batch:
                if document.type == "Patient":
                    self.patient_ids[document.subject] = document.id
                    patient = restore_resource(document.document, document.about)
                    self.run.learn(str(document.subject), identifiers_of_patient(patient))
        self.run.reserve_names()

    def _deidentified_batch(self, batch: list[store.StoredDocument]) -> Iterator[dict[str, Any]]:
        """The batch without Bundles, and without documents of patients that were erased."""
        keys = self.grant.keys(sorted({d.subject for d in batch}))
        for document in batch:
            if document.type != "Bundle" and document.subject in keys:
                yield self._deidentified(document, keys[document.subject])

    def _deidentified(self, document: store.StoredDocument, key: bytes) -> dict[str, Any]:
        from galenic.records.fhir import restore_resource  # noqa: PLC0415

        resource = restore_resource(document.document, document.about)
        self._sample(document.subject, resource)
        report = self.run.report
        # derived from the patient's key, which is destroyed when the patient is erased
        replacer = self.run.replacer_with(hmac.digest(key, b"de-identification", "sha256"))
        omissions: Counter[str] = Counter()
        rules = FhirRules(
            self.run.detector,
            replacer,
            self.token_key,
            self.run.stated_by([str(document.subject)]),
            report.findings,
            omissions,
            self._remember_token(document.subject),
        )
        clean = deidentify_resource(resource, rules)
        report.count(replacer, omissions)
        return clean

    def _sample(self, subject: int, resource: dict[str, Any]) -> None:
        """Keeps a random sample of the resources in memory (Vitter 1985, algorithm R)."""
        self.seen += 1
        if len(self.sample) < MOST_RESOURCES:
            self.sample.append((subject, resource))
        elif (place := secrets.randbelow(self.seen)) < MOST_RESOURCES:
            self.sample[place] = (subject, resource)

    def planted(self, resources: list[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
        """De-identified copies of sampled resources with planted identifiers, each with its position in the sample. Nothing is
        counted or stored."""
        run, subjects = self.run.for_copy(), [self.sample[place][0] for place, _ in resources]
        keys = self.grant.keys(sorted(set(subjects)))
        for subject, (_, resource) in zip(subjects, resources, strict=True):
            if resource["resourceType"] == "Patient":
                run.learn(str(subject), identifiers_of_patient(resource))
        run.reserve_names()
        return [self._copy_of(run, r, s, keys[s]) for s, (_, r) in zip(subjects, resources, strict=True) if s in keys]

    def _copy_of(self, run: DeidentificationRun, resource: dict[str, Any], subject: int, key: bytes) -> dict[str, Any]:
        replacer = run.replacer_with(hmac.digest(key, b"de-identification", "sha256"))
        rules = FhirRules(run.detector, replacer, self.token_key, run.stated_by([str(subject)]), run.report.findings)
        return deidentify_resource(resource, rules)

    def _remember_token(self, subject: int) -> Callable[[str, str, str], None] | None:
        """Function that stores a token in the vault. Of resource ids, only the patient's own can be revealed."""
        if self.vault is None:
            return None
        remember, patient_id = self.vault.of(subject), self.patient_ids.get(subject)

        def remember_token(token: str, kind: str, value: str) -> None:
            if kind != "id" or value == patient_id:
                remember(token, "patient" if kind == "id" else kind, value)

        return remember_token

    def _provenance(self, references: list[str]) -> dict[str, Any]:
        """Provenance of derived resources: the agent and its policy. It does not identify the originals."""
        policy = f"Galenic {__version__}, de-identification by policy {self.run.report.policy.name}"
        return {
            "resourceType": "Provenance",
            "id": hashlib.sha256(" ".join(references).encode()).hexdigest()[:32],
            "target": [{"reference": r} for r in references],
            "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
            "agent": [{"type": {"text": "assembler"}, "who": {"display": policy}}],
            "entity": [{"role": "source", "what": {"display": "records in the record store, encrypted with separate keys"}}],
        }


def _put(out: "FhirWriter", resource: dict[str, Any]) -> None:
    from galenic.records.fhir import write_json  # noqa: PLC0415

    out.put(resource["resourceType"], str(resource.get("id", "")), write_json(resource))
