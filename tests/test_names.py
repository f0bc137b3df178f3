"""Names of the code base: one class name, one meaning."""

import ast
import builtins
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

FORMER_ERRORS = frozenset({
    "AccessDenied", "Conflict", "Gone", "KeyGone", "MissingExtra", "NotHere", "NotSignedIn", "NotValid", "OurFailure", "ReleaseRefused",
    "YourInput",
})  # fmt: skip
ERROR_NAME = re.compile(r"\b[A-Z][a-z]\w*Error\b|\b(?:" + "|".join(sorted(FORMER_ERRORS)) + r")\b")
SOURCE = Path(__file__).parents[1] / "src" / "galenic"


def classes() -> dict[str, list[str]]:
    """By name of a public class: the modules that define it."""
    found = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(SOURCE)))
    return found


def test_a_class_name_is_used_once() -> None:
    assert {name: places for name, places in classes().items() if len(places) > 1} == {}


def error_classes() -> set[str]:
    """GalenicError and all classes that derive from it, directly or not."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py"))
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"GalenicError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def test_errors_end_in_error() -> None:
    errors = ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8"))
    names = {node.name for node in errors.body if isinstance(node, ast.ClassDef)}
    assert names < error_classes()
    assert {name for name in error_classes() if not name.endswith("Error")} == set()


def docstrings() -> Iterator[tuple[str, str]]:
    """Module and docstring of every module, class and function."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, documented):
                yield str(path.relative_to(SOURCE)), ast.get_docstring(node) or ""


def test_every_error_in_a_docstring_exists() -> None:
    known = {*classes(), *dir(builtins)}
    named = [(place, name) for place, text in docstrings() for name in ERROR_NAME.findall(text)]
    assert len(named) > 100
    assert [(place, name) for place, name in named if name not in known] == []
