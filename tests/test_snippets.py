"""Every code block of the pages is run or parsed, or says here why it cannot."""

import ast
import re
import textwrap
import tomllib
from pathlib import Path

import pytest

from galenic.cli import run as galenic

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDS = ("docs/decisions/", "docs/log.md", "docs/faults-repaired.md")  # what was tried once
FENCED = {  # language: how its blocks are checked
    "console": "compared with the command tree by tests/cli/test_texts.py",
    "python": "run here, by tests/test_docs.py, tests/stories/test_tutorial.py or tests/server/test_client_examples.py",
    "toml": "parsed here; the tutorial's is used by tests/stories/test_tutorial.py",
    "bash": "run by tests/server/test_client_examples.py",
    "text": "output",
    "sql": "tests/test_deployment.py reads the file",
    "ini": "tests/test_deployment.py reads the file",
    "nginx": "tests/test_deployment.py reads the file",
    "yaml": "tests/test_deployment.py reads the file",
    "dockerfile": "tests/test_deployment.py reads the file",
    "caddyfile": "tests/test_deployment.py reads the file",
}
PROGRAMS = {  # first word of a command on a page: how it is checked, or why it is not run
    "galenic": "parsed by tests/test_docs.py",
    "make": "a target, checked here",
    "pip": "run by CI when it sets up",
    "python": "run by tests that name the script",
    "sudo": "not run: it changes the machine; the files it copies are checked by tests/test_deployment.py",
    "podman": "not run: this machine cannot start containers",
    "cp": "not run: it belongs to the containers",
    ".venv/bin/python": "run by CI",
    "/opt/galenic/bin/pip": "not run: it changes the machine",
}


def texts() -> list[tuple[str, str]]:
    found = [(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")) for page in PAGES]
    return [(name, text) for name, text in found if not name.startswith(RECORDS)]


def fenced() -> list[tuple[str, str, str]]:
    """(page, language, code) of each fenced block."""
    pattern = r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$"
    return [
        (name, kind, textwrap.dedent(code))
        for name, text in texts()
        for _, kind, code in re.findall(pattern, text, re.S | re.M)
    ]


def indented() -> list[tuple[str, str]]:
    """(page, code) of each indented block that stands outside of fenced ones."""
    found = []
    for name, text in texts():
        outside = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.S | re.M)
        found += [
            (name, textwrap.dedent(block)) for block in re.findall(r"(?:^ {4,}\S[^\n]*\n(?:\n(?= {4,}))*)+", outside, re.M)
        ]
    return found


def test_every_fenced_block_has_a_language_that_is_checked() -> None:
    assert [(name, kind, code[:40]) for name, kind, code in fenced() if kind not in FENCED] == []


def test_fenced_toml_and_python_can_be_read() -> None:
    for name, kind, code in fenced():
        if kind == "toml":
            assert tomllib.loads(code), name
        if kind == "python":
            assert ast.parse(code), name


def test_indented_toml_can_be_read() -> None:
    blocks = [(name, code) for name, code in indented() if re.match(r"(?:#[^\n]*\n)?(?:version = |\[\[?\w|like = )", code)]
    assert len(blocks) >= 5
    for name, code in blocks:
        assert tomllib.loads(code), name


def test_each_command_of_a_page_is_of_a_program_that_is_checked() -> None:
    known = tuple(PROGRAMS)
    for name, code in indented():
        for line in code.splitlines():
            if line.startswith("$ "):
                assert line.split()[1] in known, (name, line)
    for name, text in texts():
        for target in re.findall(r"^ {4}make (\S+)", text, re.M):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), (name, target)


def test_the_python_of_the_page_about_fhir_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(c for name, c in indented() if name.endswith("check-fhir.md") and c.startswith("from pathlib"))
    condition = (
        '{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":'
        '"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"code":{"text":"asthma"},'
        '"onsetDateTime":"2020-01-02"}\n'
    )
    (tmp_path / "Condition.000.ndjson").write_text(condition, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "check-fhir", "exec"), names)
    assert len(names["events"]) == 1  # type: ignore[arg-type]


def test_the_python_of_the_page_about_records_runs(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = next(c for name, c in indented() if name.endswith("records.md") and c.startswith("import galenic"))
    for words in (
        ["keys", "create", "inge", "--role", "integration-engineer", "--person", "inge"],
        ["keys", "create", "paul", "--role", "privacy-officer", "--person", "paul"],
        ["records", "simulate", "2", "--out", str(tmp_path / "patients"), "--format", "fhir", "--seed", "7"],
        ["records", "import", str(tmp_path / "patients"), "--dataset", "hospital", "--key", "inge"],
    ):
        assert galenic(words) == 0, words
    capsys.readouterr()
    exec(compile(code, "records", "exec"), {})
    assert re.match(r"\d+ ", capsys.readouterr().out)


def test_every_import_of_a_page_works() -> None:
    lines = [
        (name, line)
        for name, code in [*indented(), *((n, c) for n, k, c in fenced() if k == "python")]
        for line in code.splitlines()
    ]
    imports = [(name, line.strip()) for name, line in lines if re.match(r"(?:from galenic|import galenic)", line.strip())]
    assert len(imports) >= 4
    for name, line in imports:
        try:
            exec(line, {})
        except ImportError as error:
            raise AssertionError(name) from error


def test_scripts_that_pages_name_exist() -> None:
    for name, text in texts():
        for script in re.findall(r"`?python ((?:benchmarks|scripts)/\S+?\.py)", text):
            assert (ROOT / script).is_file(), (name, script)
