"""Patterns that check names, ids and dates match the whole text: `$` also matches before a new line at the end."""

import ast
import re
from pathlib import Path

import galenic

SOURCE = Path(galenic.__file__).parent
CHECKED = ("security", "custody", "server", "store", "cli", "records/fhir", "release", "jobs")
REMOVES = {"records/fhir/parsing.py"}  # re.sub of the end of a message: it decides nothing
OPEN_END = re.compile(r"(?<!\\)\$(\)*\Z|\|)")
CLASS = re.compile(r"\[(?:\\.|[^\]\\])*\]")  # in which `$` is a character like others


def patterns() -> list[tuple[str, str]]:
    """(file, pattern) of every call of a function of `re` with a literal pattern."""
    found = []
    for folder in CHECKED:
        for path in sorted((SOURCE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.") and node.args:
                    parts = [str(c.value) for c in ast.walk(node.args[0]) if isinstance(c, ast.Constant)]
                    found.append((path.relative_to(SOURCE).as_posix(), "".join(parts)))
    return found


def test_no_pattern_that_checks_input_ends_with_a_dollar_sign() -> None:
    assert len(patterns()) > 50
    assert [(file, p) for file, p in patterns() if OPEN_END.search(CLASS.sub("", p)) and file not in REMOVES] == []
