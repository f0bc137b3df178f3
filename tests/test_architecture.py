"""Rules of the code base that import-linter and ruff cannot check."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

import galenic
from galenic import errors
from galenic.cli import app
from galenic.release import SHIPPED, load_policy, verify_release

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PACKAGES = ["galenic", *(m.name for m in pkgutil.walk_packages(galenic.__path__, "galenic.") if m.ispkg)]


def test_importing_the_command_line_loads_nothing_that_takes_seconds() -> None:
    code = "import sys, galenic.cli; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'scipy.stats', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_galenic_loads_nothing_heavy() -> None:
    code = "import sys, galenic; sys.exit(any(m in sys.modules for m in ('numpy', 'pyarrow', 'sklearn', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def foreign_names(module: ModuleType) -> set[str]:
    """Names that a package's __init__ imports from elsewhere for its own use."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        if isinstance(node, ast.ImportFrom) and not f"{node.module}.".startswith(f"{module.__name__}."):
            found |= {a.asname or a.name for a in node.names}
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_all_of_a_package_equals_what_can_be_imported_from_it(name: str) -> None:
    module = importlib.import_module(name)
    public = set(getattr(module, "__all__", ()))
    assert module.__doc__
    absent = {n for n in public if not hasattr(module, n)}
    visible = {n for n, value in vars(module).items() if not n.startswith("_") and not isinstance(value, ModuleType)}
    unlisted = visible - foreign_names(module) - public
    assert not absent | unlisted


@pytest.mark.parametrize("name", PACKAGES)
def test_all_of_a_package_names_nothing_twice(name: str) -> None:
    public = getattr(importlib.import_module(name), "__all__", [])
    assert len(set(public)) == len(public)


def test_no_folder_is_a_drawer_for_odds_and_ends() -> None:
    forbidden = {"utils", "common", "core", "base", "misc", "manager", "helpers"}
    assert not forbidden & {part for path in SOURCES for part in (*path.parts, path.stem)}


def test_every_error_says_who_can_fix_it_and_has_an_exit_code() -> None:
    for _name, error in inspect.getmembers(errors, inspect.isclass):
        assert error.__doc__
        assert error.exit_code in (1, 2, 3)


def test_every_command_is_documented() -> None:
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        assert command.help


def test_nobody_unpickles_or_swallows() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Import) and any(a.name in ("pickle", "joblib") for a in node.names)), path
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or (
                    isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
                )
                assert not broad or isinstance(node.body[-1], ast.Raise), path  # a library's own may be told in other words


def test_the_recipients_verifier_is_short_and_needs_only_cryptography() -> None:
    path = Path(inspect.getfile(verify_release))
    assert len(path.read_text().splitlines()) < 180
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_verifier_knows_the_policies_that_are_shipped(name: str) -> None:
    policy = load_policy(name)
    assert verify_release.SHIPPED[f"{policy.name}-{policy.version}"] == policy.digest
    assert all(rule.reason.endswith(".") for rule in policy.rules)


def test_the_engine_ships_with_an_audit_of_its_own_version() -> None:
    from galenic.generators.tables import shipped_audit

    found = shipped_audit()
    assert found is not None
    measuring = found["steps"]["measuring"]
    assert measuring["low"] >= 0.7 * measuring["claimed"]  # an audit that sees nothing proves nothing
    for step in found["steps"].values():
        assert step["low"] is None or step["low"] <= step["claimed"]
    assert measuring["exceeding"] <= 0.05 * measuring["runs"]
