"""Names of the code base: one class name, one meaning."""

import ast
from collections import defaultdict
from pathlib import Path

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


def test_errors_end_in_error() -> None:
    errors = ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8"))
    names = [node.name for node in errors.body if isinstance(node, ast.ClassDef)]
    assert names
    assert [name for name in names if not name.endswith("Error")] == []
