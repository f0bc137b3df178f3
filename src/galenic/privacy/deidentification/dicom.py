"""De-identification of DICOM files: header by PS3.15 Annex E; burned-in text is masked, or the file is refused."""

from pathlib import Path
from typing import Any

from galenic.errors import ConfigurationError, MissingExtraError, RecordError
from galenic.privacy.deidentification.rules.dicom import DicomRules, deidentify_dicom, identifiers_of_header
from galenic.privacy.deidentification.rules.dicom_profile import ProfileOptions
from galenic.privacy.deidentification.rules.pixels import PixelMask
from galenic.privacy.deidentification.run import DeidentificationRun
from galenic.privacy.text import DeidentificationPolicy
from galenic.records import dicom


class DicomDeidentifier:
    """One object per file."""

    def recognizes(self, path: Path) -> bool:
        """By the file name, or by the four letters after the preamble."""
        return dicom.is_dicom(path)

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        """Does nothing: an object's header is read when the object is de-identified."""

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        """Write one object without identifiers."""
        try:
            ds = dicom.read(file, whole=False)
        except MissingExtraError as error:  # files of other formats do not need the extra
            raise RecordError(str(error)) from None
        with dicom.strict_decoding():
            patient = str(ds.get("PatientID", "") or file.stem)
            run.learn(patient, identifiers_of_header(ds))
            replacer = run.replacer(patient)
            rules = DicomRules(
                run.detector,
                replacer,
                run.token_key,
                profile_options(run.report.policy),
                run.stated_by([patient]),
                run.report.findings,
            )
            deidentify_dicom(ds, rules)
        dicom.write(ds, out)
        run.report.count(replacer, rules.omissions)
        run.report.remarks += [(out.name, remark) for remark in rules.remarks]
        run.report.resources[f"DICOM {ds.get('Modality', '') or 'object'}"] += 1


def profile_options(policy: DeidentificationPolicy) -> ProfileOptions:
    """Policy's [dicom] section. Raise ConfigurationError if it has keys other than options, mask and strict."""
    section: dict[str, Any] = policy.dicom
    unknown = sorted(set(section) - {"options", "mask", "strict"})
    if unknown:
        raise ConfigurationError(
            f"policy {policy.name!r}: [dicom] has unknown keys {', '.join(unknown)}. Expected options, mask, strict."
        )
    masks = tuple(_mask(policy.name, entry) for entry in section.get("mask", ()))
    return ProfileOptions(frozenset(map(str, section.get("options", ()))), masks, bool(section.get("strict", False)))


def _mask(policy: str, entry: Any) -> PixelMask:
    try:
        boxes = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in entry["boxes"])
        rows, columns = entry.get("size", (0, 0))
        device = {k: str(entry[k]) for k in ("modality", "manufacturer", "model") if k in entry}
        return PixelMask(boxes, size=(int(rows), int(columns)), **device)
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"policy {policy!r}: a mask cannot be read. Expected boxes = [[left, top, right, bottom], ...], and optionally the device: "
            "modality, manufacturer, model, size = [rows, columns]."
        ) from None
