"""The tutorial runs as it stands: its files are written, its commands end as it says."""

import json
import re
import shlex
from pathlib import Path

import pytest

from galenic.cli import run as galenic

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "extract-to-release.md"


def test_every_command_of_the_tutorial_ends_as_the_page_says(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("statsmodels")
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    for code in re.findall(r"```python run\n(.*?)```", page, re.S):
        exec(code, {})  # the page's own lines
    for name, text in re.findall(r"```toml file=(\S+)\n(.*?)```", page, re.S):
        (tmp_path / name).write_text(text, encoding="utf-8")
    commands = re.findall(r"^    \$ galenic (.*)$", page, re.M)
    assert len(commands) > 8
    run = ""
    for command in commands:
        words, _, ends = command.partition("   # ")
        said = [run if w == "RUN" else w for w in shlex.split(words)]
        as_json = said[:2] == ["table", "synthesize"]
        capsys.readouterr()
        assert galenic([*said, *(["--json"] if as_json else [])]) == int(ends or 0), command
        told = capsys.readouterr().out
        if as_json and told:
            run = json.loads(told)["run"]
    assert (tmp_path / "release" / "data.csv").is_file()
    assert not (tmp_path / "public").exists()
