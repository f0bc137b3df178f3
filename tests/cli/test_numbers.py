"""Numbers and days of options are checked where they are typed."""

import pytest

from galenic import cli
from galenic.installation import Installation


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("1,5", "Write a point: 1.5"),
        ("0", "above 0"),
        ("-1", "above 0"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("one", "not a number"),
    ],
)
@pytest.mark.parametrize(
    "words",
    [["budget", "declare", "clinic"], ["table", "synthesize", "absent.csv"], ["table", "synthesize-related", "absent.toml"]],
)
def test_an_epsilon_that_is_no_positive_number_is_refused(
    words: list[str], typed: str, advice: str, home: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words, f"--epsilon={typed}"]) == 2
    assert advice in " ".join(capsys.readouterr().err.split())


def test_an_epsilon_with_a_point_is_taken(installation: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["budget", "declare", "clinic", "--epsilon", "1.5"]) == 0
    assert "1.5" in capsys.readouterr().out
