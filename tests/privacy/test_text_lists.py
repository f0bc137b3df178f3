"""A site's own names are found as they are written; a library's where two stand together; Presidio gets what our finder finds."""

from pathlib import Path

import pytest

from galenic.errors import ConfigurationError
from galenic.privacy import deidentification, text
from galenic.privacy.text import presidio

COMMON = frozenset(("rose", "may", "ward"))


def found(gazetteer: text.Gazetteer, said: str) -> list[tuple[str, str]]:
    return [(said[s.start : s.end], s.kind) for s in gazetteer.find(said)]


def test_a_sites_own_names_are_found_as_whole_words() -> None:
    lists = text.Gazetteer({"name": ["Oyelaran", "Rose"], "place": ["Ward 7B north"]}, COMMON)
    assert found(lists, "seen by OYELARAN on ward 7b North, not by Oyelarans") == [
        ("OYELARAN", "name"),
        ("ward 7b North", "place"),
    ]
    assert found(lists, "the rose garden; Rose came") == [("Rose", "name")]
    assert found(lists, "İ Oyelaran") == []  # a letter whose small form is two: no place would be right


def test_names_of_the_library_count_where_two_stand_together() -> None:
    lists = text.Gazetteer({}, COMMON, names=True)
    assert found(lists, "told Jennifer Gonzalez about it") == [("Jennifer Gonzalez", "name")]
    assert found(lists, "Jennifer came. Gonzalez went. may Rose") == []


def test_a_policy_names_its_lists(tmp_path: Path) -> None:
    (tmp_path / "wards.txt").write_text("# wards\nQuillhaven\n", encoding="utf-8")
    (tmp_path / "site.toml").write_text(f'like = "safe-harbor"\n[lists]\nplace = "{tmp_path / "wards.txt"}"\n')
    (tmp_path / "a.txt").write_text("moved to quillhaven for the night, feels better")
    deidentification.deidentify(
        [tmp_path / "a.txt"], tmp_path / "out", deidentification.DeidentificationOptions(policy=str(tmp_path / "site.toml"))
    )
    assert (tmp_path / "out" / "a.txt").read_text() == "moved to [PLACE] for the night, feels better"
    (tmp_path / "bad.toml").write_text('like = "safe-harbor"\n[lists]\nshoe = "x.txt"\n')
    with pytest.raises(ConfigurationError, match="not a kind"):
        deidentification.deidentify(
            [tmp_path / "a.txt"], tmp_path / "out2", deidentification.DeidentificationOptions(policy=str(tmp_path / "bad.toml"))
        )
    (tmp_path / "bad.toml").write_text('like = "safe-harbor"\n[lists]\nname = "nowhere.txt"\n')
    with pytest.raises(ConfigurationError, match="cannot be read"):
        deidentification.deidentify(
            [tmp_path / "a.txt"], tmp_path / "out2", deidentification.DeidentificationOptions(policy=str(tmp_path / "bad.toml"))
        )


def test_presidio_gets_what_the_finder_finds() -> None:
    pytest.importorskip("presidio_analyzer", reason="presidio-analyzer is not installed")
    said = "Seen by Dr. Whitfield, MRN 00482913, on 12 March 2023; metformin 500 mg."
    results = presidio.recognizer().analyze(said, [])
    assert {(said[r.start : r.end], r.entity_type) for r in results} >= {
        ("Whitfield", "PERSON"),
        ("00482913", "RECORD"),
        ("12 March 2023", "DATE_TIME"),
    }
    assert [r.entity_type for r in presidio.recognizer().analyze(said, ["PERSON"])] == ["PERSON"]
