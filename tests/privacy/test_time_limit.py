"""A file that takes longer than the limit is refused with the reason; the others are written."""

import json
from pathlib import Path

import pytest

from galenic.errors import OptionError
from galenic.privacy.deidentification import DeidentificationOptions, deidentify

SENTENCE = "The patient was seen today with a cough and was discharged in good health. "
LIMIT = 0.002  # minutes: a small file takes less, a large one more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    source.mkdir()
    (source / "small.txt").write_text(SENTENCE, encoding="utf-8")
    (source / "large.txt").write_text(SENTENCE * 12_000, encoding="utf-8")
    one = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": SENTENCE * 3}
    lines = [json.dumps({**one, "note": [{"text": f"{SENTENCE} {i} {SENTENCE}"}]}) for i in range(1_000)]
    (source / "export.ndjson").write_text("\n".join(lines), encoding="utf-8")
    rows = [f"{i},{SENTENCE} {i}" for i in range(4_000)]
    (source / "table.csv").write_text("\n".join(["hemoglobin,comment", *rows]), encoding="utf-8")
    return source


def test_a_file_that_takes_too_long_is_refused_and_the_others_are_written(folder: Path) -> None:
    deidentify(
        [folder / "small.txt"], folder.parent / "warm", DeidentificationOptions(measured=False)
    )  # the detector is loaded
    report = deidentify([folder], folder.parent / "out", DeidentificationOptions(minutes_per_file=LIMIT, measured=False))
    refused = dict(report.refusals)
    assert {name for name, _ in report.files} == {"small.txt"}
    assert set(refused) == {"large.txt", "export.ndjson", "table.csv"}
    for name, why in refused.items():
        assert "minutes of CPU time" in why and "--minutes-per-file" in why
        assert not (folder.parent / "out" / name).exists()


def test_the_limit_holds_in_worker_processes(folder: Path) -> None:
    options = DeidentificationOptions(minutes_per_file=5 * LIMIT, workers=2, measured=False)
    report = deidentify([folder / "small.txt", folder / "large.txt"], folder.parent / "out", options)
    assert [name for name, _ in report.files] == ["small.txt"]
    assert [(name, "minutes of CPU time" in why) for name, why in report.refusals] == [("large.txt", True)]


@pytest.mark.parametrize("minutes", [0, -1])
def test_a_limit_of_nothing_is_an_error_of_the_user(minutes: float) -> None:
    with pytest.raises(OptionError, match="minutes-per-file"):
        DeidentificationOptions(minutes_per_file=minutes)
