"""DICOM files: header by PS3.15, burned-in text masked or the file refused."""

import hmac
from pathlib import Path
from typing import Any

from galenic.errors import DescriptionError, MissingExtraError, RecordError
from galenic.privacy.deidentification.rules import dicom as rules_of
from galenic.privacy.deidentification.rules.dicom import DicomRules, deidentify_dicom
from galenic.privacy.deidentification.rules.pixels import PixelMask
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import DeidentificationPolicy
from galenic.records import dicom


def write_dicom(file: Path, out: Path, run: DeidentificationRun) -> None:
    """One object without what identifies."""
    try:
        ds = dicom.read(file, whole=False)
    except MissingExtraError as error:  # the other files need it not
        raise RecordError(str(error)) from None
    with dicom.understood():
        patient = str(ds.get("PatientID", "") or file.stem)
        run.learn(patient, rules_of.dicom_identity(ds))
        replacer = run.replacer(patient)
        options, masks, strict = plan(run.done.policy)
        key = hmac.digest(run.key, b"tokens", "sha256")
        rules = DicomRules(run.detector, replacer, key, options, masks, strict, run.of([patient]), run.done.taken)
        deidentify_dicom(ds, rules)
    dicom.write(ds, out)
    run.done.treated.update(replacer.counted)
    run.done.dropped.update(rules.dropped)
    run.done.remarks += [(out.name, remark) for remark in rules.remarks]
    run.done.resources[f"DICOM {ds.get('Modality', '') or 'object'}"] += 1


def plan(policy: DeidentificationPolicy) -> tuple[frozenset[str], tuple[PixelMask, ...], bool]:
    """What a policy's [dicom] says: options, masks, strictness. DescriptionError where it says something else."""
    said: dict[str, Any] = policy.dicom
    wrong = sorted(set(said) - {"options", "mask", "strict"})
    if wrong:
        raise DescriptionError(f"policy {policy.name!r}: [dicom] says {', '.join(wrong)}. Expected options, mask, strict.")
    masks = []
    for one in said.get("mask", ()):
        try:
            boxes = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in one["boxes"])
            rows, columns = one.get("size", (0, 0))
            named = {k: str(one[k]) for k in ("modality", "manufacturer", "model") if k in one}
            masks.append(PixelMask(boxes, size=(int(rows), int(columns)), **named))
        except (KeyError, TypeError, ValueError):
            raise DescriptionError(
                f"policy {policy.name!r}: a mask can not be read. Expected boxes = [[left, top, right, bottom], ...], and of whom: "
                "modality, manufacturer, model, size = [rows, columns]."
            ) from None
    return frozenset(map(str, said.get("options", ()))), tuple(masks), bool(said.get("strict", False))
