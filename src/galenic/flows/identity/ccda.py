"""C-CDA documents, plain or gzip."""

import hmac
from pathlib import Path

from galenic.flows.identity.run import Run
from galenic.privacy.structured.ccda import CcdaRules, deidentify_ccda, identity
from galenic.records import ccda


def write_ccda(file: Path, out: Path, run: Run) -> None:
    """One document without what identifies."""
    root = ccda.read(file)
    number, stated = identity(root)
    patient = number or file.stem
    run.learn(patient, stated)
    replacer = run.replacer(patient)
    rules = CcdaRules(run.finder, replacer, hmac.digest(run.key, b"tokens", "sha256"), run.of([patient]), run.done.taken)
    ccda.write(deidentify_ccda(root, rules), out)
    run.done.treated.update(replacer.counted)
    run.done.dropped.update(rules.dropped)
    run.done.resources["C-CDA documents"] += 1
