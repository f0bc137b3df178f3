"""De-identification of C-CDA documents, plain or compressed with gzip."""

from pathlib import Path

from galenic.privacy.deidentification.rules.ccda import deidentify_ccda
from galenic.privacy.deidentification.rules.ccda_identity import identifiers_of_document
from galenic.privacy.deidentification.rules.ccda_rules import CcdaRules
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.records import is_ccda, read_ccda, write_ccda


class CcdaDeidentifier:
    """One document per file."""

    def recognizes(self, path: Path) -> bool:
        """By the file name."""
        return is_ccda(path)

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Does nothing: a document's header is read when the document is de-identified."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write one document without identifiers."""
        root = read_ccda(file)
        number, identifiers = identifiers_of_document(root)
        patient = number or file.stem
        run.learn(patient, identifiers)
        replacer = run.replacer(patient)
        rules = CcdaRules(run.detector, replacer, run.token_key, run.stated_by([patient]), run.report.findings)
        write_ccda(deidentify_ccda(root, rules), out)
        run.report.count(replacer, rules.omissions)
        run.report.resources["C-CDA documents"] += 1
