"""C-CDA documents, plain or gzip."""

import hmac
from pathlib import Path

from galenic.privacy.deidentification.rules.ccda import CcdaRules, ccda_identity, deidentify_ccda
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.records import ccda


def write_ccda(file: Path, out: Path, run: DeidentificationRun) -> None:
    """One document without what identifies."""
    root = ccda.read(file)
    number, stated = ccda_identity(root)
    patient = number or file.stem
    run.learn(patient, stated)
    replacer = run.replacer(patient)
    rules = CcdaRules(run.detector, replacer, hmac.digest(run.key, b"tokens", "sha256"), run.of([patient]), run.done.taken)
    ccda.write(deidentify_ccda(root, rules), out)
    run.done.treated.update(replacer.counted)
    run.done.dropped.update(rules.dropped)
    run.done.resources["C-CDA documents"] += 1
