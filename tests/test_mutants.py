"""benchmarks/mutants.toml: every module whose mutants are drawn, and every test file that has to kill them, exists."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLOSEST = tomllib.loads((ROOT / "benchmarks" / "mutants.toml").read_text(encoding="utf-8"))["tests"]


@pytest.mark.parametrize(("module", "tests"), CLOSEST.items())
def test_modules_and_their_closest_tests_exist(module: str, tests: list[str]) -> None:
    assert (ROOT / "src" / "galenic" / module).is_file()
    assert tests
    assert [t for t in tests if not (ROOT / t).is_file()] == []
