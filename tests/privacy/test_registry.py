"""The registry of de-identifiers: complete, consistent in recognition, and open to formats from outside."""

from pathlib import Path

import pytest

from galenic.privacy import deidentification
from galenic.privacy.deidentification import DEIDENTIFIERS, DeidentificationRun, Deidentifier


def test_every_format_has_a_deidentifier() -> None:
    assert set(DEIDENTIFIERS) == {"fhir", "meds", "ccda", "note", "table", "dicom"}
    for one in DEIDENTIFIERS.values():
        assert {m for m in ("recognizes", "learn", "deidentify") if callable(getattr(one, m))} == {
            "recognizes",
            "learn",
            "deidentify",
        }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.json", "fhir"),
        ("a.ndjson.gz", "fhir"),
        ("a.xml", "ccda"),
        ("a.txt", "note"),
        ("a.csv", "table"),
        ("a.xlsx", "table"),
        ("a.dcm", "dicom"),
    ],
)
def test_a_file_is_recognized_by_one_deidentifier(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert [n for n, one in DEIDENTIFIERS.items() if one.recognizes(tmp_path / name)] == [expected]


class ToyDeidentifier:
    """A format of lines "name: ..." in files named .toy."""

    def recognizes(self, path: Path) -> bool:
        return path.suffix == ".toy"

    def learn(self, file: Path, run: DeidentificationRun) -> None:
        run.learn(file.stem, {"name": (file.read_text().partition(": ")[2].strip(),)})

    def deidentify(self, file: Path, out: Path, run: DeidentificationRun) -> None:
        stated = run.stated_by([file.stem])
        assert stated is not None
        spans = list(stated.find(text := file.read_text()))
        out.write_text(run.replacer(file.stem).replace(text, spans))


def test_a_format_from_outside_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy: Deidentifier = ToyDeidentifier()
    monkeypatch.setitem(DEIDENTIFIERS, "toy", toy)
    (tmp_path / "a.toy").write_text("name: Qwexley")
    report = deidentification.deidentify([tmp_path / "a.toy"], tmp_path / "out")
    assert (tmp_path / "out" / "a.toy").read_text() == "name: [NAME]"
    assert report.refusals == []
    assert report.residual_search.places == 0


def test_a_file_of_unknown_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toy").write_text("name: Qwexley")
    report = deidentification.deidentify([tmp_path / "a.toy"], tmp_path / "out")
    assert report.refusals == [("a.toy", "has an unsupported format: .toy")]
