"""Limits on the size of files and functions (STYLE.md, "Structure"), and on what belongs to flows."""

import ast
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "galenic"
FILES = {str(p.relative_to(SOURCE)): p.read_text(encoding="utf-8") for p in sorted(SOURCE.rglob("*.py"))}
FLOWS = [name for name in FILES if name.startswith("flows/") and name != "flows/__init__.py"]
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 400, 40, 6
MOST_FLOW_LINES, MOST_FLOWS_LINES = 60, 2_200
FOUNDATION = {"errors", "installation", "schema", "settings", "store", "version"}  # what every package may use joins nothing

LONG_FILES: set[str] = set()  # over 400 lines; nothing may be added
LONG_FUNCTIONS: set[str] = set()  # over 40 lines; nothing may be added
MANY_PARAMETERS: set[str] = set()  # over 6 parameters; nothing may be added
LONG_FLOWS: set[str] = set()  # over 60 lines; nothing may be added
NOT_JOINING: set[str] = set()  # joins no packages that do not import each other; nothing may be added
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    """("package/module.py:name", node) of every function and method."""
    for file, text in FILES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                yield f"{file}:{node.name}", node


def length(node: Function) -> int:
    """Lines from `def` to the end, without decorators."""
    return (node.end_lineno or 0) - node.lineno + 1


def parameters(node: Function) -> list[str]:
    """Names of all parameters but self and cls."""
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return [a.arg for a in every if a.arg not in ("self", "cls")]


def imported_packages(file: str) -> set[str]:
    """Top-level packages of galenic that a file imports from."""
    found = set()
    for node in ast.walk(ast.parse(FILES[file])):
        if isinstance(node, ast.ImportFrom) and node.module == "galenic":
            found |= {a.name for a in node.names if not a.name.startswith("_")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galenic."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("galenic.")}
    return found


def test_a_file_has_at_most_400_lines() -> None:
    assert {name for name, text in FILES.items() if len(text.splitlines()) > MOST_LINES} <= LONG_FILES


def test_a_function_has_at_most_40_lines() -> None:
    assert {name for name, node in functions() if length(node) > MOST_FUNCTION_LINES} <= LONG_FUNCTIONS


def test_a_function_has_at_most_6_parameters() -> None:
    assert {name for name, node in functions() if len(parameters(node)) > MOST_PARAMETERS} <= MANY_PARAMETERS


def test_a_flow_has_at_most_60_lines() -> None:
    long = {name for name in FILES if name.startswith("flows/") and len(FILES[name].splitlines()) > MOST_FLOW_LINES}
    assert long <= LONG_FLOWS


def test_all_flows_have_at_most_2200_lines() -> None:
    assert sum(len(text.splitlines()) for name, text in FILES.items() if name.startswith("flows/")) <= MOST_FLOWS_LINES


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_joins_packages_that_do_not_import_each_other(flow: str) -> None:
    known: dict[str, set[str]] = {}  # package -> packages that it imports from
    for file in FILES:
        known.setdefault(file.partition("/")[0].removesuffix(".py"), set()).update(imported_packages(file))
    joined = sorted(imported_packages(flow) - FOUNDATION - {"flows"})
    strangers = [(a, b) for a, b in combinations(joined, 2) if b not in known[a] and a not in known[b]]
    assert strangers or flow in NOT_JOINING
