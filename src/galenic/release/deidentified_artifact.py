"""Artifact kind "deidentified-copy": a de-identified copy of files as one archive, with its residual risk as evidence."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galenic.privacy import Budget, text
from galenic.privacy.deidentification import DeidentificationReport, deidentification_json
from galenic.release.artifact import Engine, RunOutcome, StoredRun
from galenic.release.residual_risk import residual_risk
from galenic.schema import Report
from galenic.version import __version__

_ENGINE = Engine("deidentify", __version__)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry: the same copy gives the same bytes


@dataclass(frozen=True)
class DeidentifiedContent:
    """Content of a run that makes a de-identified copy. files: folder of the copy. dataset: name of the copied data set, if any."""

    files: Path
    deidentification: DeidentificationReport
    report: Report
    dataset: str = ""
    engine: Engine = _ENGINE
    budget: Budget | None = None

    @classmethod
    def measure(cls, run: str, files: Path, deidentification: DeidentificationReport, dataset: str) -> "DeidentifiedContent":
        """Content with its residual risk as the report."""
        return cls(files, deidentification, Report(run, tuple(residual_risk(deidentification))), dataset)

    @property
    def evidence(self) -> Report:
        """All findings: none of them is computed from one patient's values."""
        return self.report

    @property
    def population(self) -> str:
        """Name of the copied data set."""
        return self.dataset or "none: de-identified records, no formal guarantee"


class DeidentifiedArtifact:
    """The copy as data.zip. A refused copy is not kept; the run holds its report alone."""

    action = "deidentify"
    lineage_kind = "copy"

    def write(self, content: DeidentifiedContent, _outcome: RunOutcome, folder: Path) -> None:
        """Packs the files."""
        with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(p for p in content.files.rglob("*") if p.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(content.files).as_posix(), _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                with file.open("rb") as raw, archive.open(entry, "w") as target:
                    shutil.copyfileobj(raw, target, 1 << 20)

    def save_model(self, _content: DeidentifiedContent, _folder: Path) -> None:
        """Nothing: there is no model."""

    def card(self, content: DeidentifiedContent, _outcome: RunOutcome) -> str:
        """Report of the de-identification."""
        return text.render_report(deidentification_json(content.deidentification))

    def signers_report(self, content: DeidentifiedContent, outcome: RunOutcome) -> str:
        """Report for the signers; the public one is equal, because it contains no values of patients."""
        return self.card(content, outcome)

    def sheet(self, content: DeidentifiedContent) -> dict[str, Any]:
        """Report of the de-identification."""
        return {"deidentification": deidentification_json(content.deidentification)}

    def forget(self, run: StoredRun, _artifact: dict[str, Any]) -> str:
        """Deletes the run with the copy, and what was released of it within the installation."""
        run.discard()
        return "deleted; to have it without the patient, de-identify again"
