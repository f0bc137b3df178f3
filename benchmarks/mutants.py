"""Random mutants of named modules (benchmarks/mutants.toml): how many do their closest tests kill? Operators by Cosmic Ray.

Each draw takes one place of the named modules at random (an operator, number, truth value, condition, loop or exception), and one of
the changes possible there. Everything happens in a copy; the working tree is only read. Not drawn: annotations and decorators; `==`
against `is`, which differ only for objects that the code does not have; a mutant that cannot be imported, which any test would kill.
"""

import argparse
import ast
import os
import random
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

import rows

ROOT = Path(__file__).parents[1]
SOURCE = "src/galenic"
LEAST_KILLED = 0.85
Position = tuple[int, int]  # line from 1, column from 0
LEFT_OUT = (
    "core/RemoveDecorator",  # a dataclass or property without its decorator is killed by any call
    "core/VariableReplacer",
    "core/VariableInserter",
    *(
        f"core/ReplaceComparisonOperator_{a}_{b}"
        for a, b in (("Eq", "Is"), ("NotEq", "IsNot"), ("Is", "Eq"), ("IsNot", "NotEq"))
    ),
)
OPERATORS = sorted(set(operator_names()) - set(LEFT_OUT))


@dataclass(frozen=True)
class Mutant:
    """One change: the operator's `occurrence`-th place in a module of src/galenic."""

    module: str
    line: int
    operator: str
    occurrence: int

    def __str__(self) -> str:
        return f"{SOURCE}/{self.module}:{self.line} {self.operator.removeprefix('core/')} #{self.occurrence}"


def closest_tests() -> dict[str, list[str]]:
    """Module below src/galenic → test files, the closest first."""
    return tomllib.loads((ROOT / "benchmarks" / "mutants.toml").read_text(encoding="utf-8"))["tests"]


def declarations(source: str) -> list[tuple[Position, Position]]:
    """(start, end) of each annotation and decorator: what they declare is checked by mypy, or by no call at all (frozen, slots)."""
    nodes: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            nodes.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes.append(node.returns)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            nodes += node.decorator_list
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in nodes if n is not None]


def places(root: Path, module: str) -> Iterator[list[Mutant]]:
    """The mutants of a module, grouped by the place that they change."""
    source = (root / SOURCE / module).read_text(encoding="utf-8")
    declared = declarations(source)
    nodes = list(ast_nodes(get_ast(source)))
    found: dict[Position, list[Mutant]] = defaultdict(list)
    for name in OPERATORS:
        positions = (p for node in nodes for p in get_operator(name)().mutation_positions(node))
        for occurrence, (start, _end) in enumerate(positions):
            if not any(first <= start < last for first, last in declared):
                found[start].append(Mutant(module, start[0], name, occurrence))
    yield from (found[start] for start in sorted(found))


def copy_of_tree(place: Path) -> None:
    """Copies what git knows or would add."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes((ROOT / name).read_bytes())
    code = [
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "checked-hash",
        "src",
        "tests",
    ]  # a mutant of the same second is seen
    subprocess.run([sys.executable, *code], cwd=place, check=True)


def run_python(place: Path, arguments: list[str], limit: float | None = None) -> int | None:
    """Exit status of Python in the copy, with its output left in last.log; None if it ran longer than `limit` seconds."""
    shared = ROOT.parent / "shared"
    environment = {
        "GALENIC_DATA": str(shared / "data"),
        "GALENIC_FACTS": str(shared / "facts"),
        **os.environ,
        "PYTHONPATH": str(place / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # half the time of a run
        "CI": "true",  # Hypothesis: the same examples in each run, and no deadlines
    }
    with (place / "last.log").open("wb") as log:
        try:
            command = [sys.executable, *arguments]
            return subprocess.run(
                command, cwd=place, env=environment, stdout=log, stderr=log, timeout=limit, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def run_tests(place: Path, tests: list[str], limit: float | None = None) -> int | None:
    """Exit status of pytest up to the first failure."""
    return run_python(place, ["-m", "pytest", "-x", "-p", "pytest_timeout", "-p", "no:cacheprovider", *tests], limit)


def outcome(place: Path, mutant: Mutant, tests: list[str], limit: float) -> str:
    """killed, timed out or survived. Not counted: not importable, not applicable (an operator that does not fit the code), too slow
    (the tests run into the limit without the mutant, too)."""
    file = place / SOURCE / mutant.module
    original = file.read_text(encoding="utf-8")
    try:
        mutated = mutate_code(original, get_operator(mutant.operator)(), mutant.occurrence)
    except AttributeError:  # Cosmic Ray replaces names of exceptions, but not dotted ones
        return "not applicable"
    assert mutated is not None and mutated != original, mutant
    name = f"galenic.{mutant.module.removesuffix('.py').replace('/', '.').removesuffix('.__init__')}"
    file.write_text(mutated, encoding="utf-8")
    try:
        status = run_tests(place, tests, limit)
        if status not in (None, 0, 1) and run_python(place, ["-c", f"import {name}"], limit) != 0:
            return "not importable"
    finally:
        file.write_text(original, encoding="utf-8")
    if status is None:
        return "too slow" if run_tests(place, tests, limit) is None else "timed out"
    return "survived" if status == 0 else "killed"


def interval(killed: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson), in percent."""
    z, share = 1.96, killed / of
    middle, width = share + z * z / (2 * of), z * ((share * (1 - share) + z * z / (4 * of)) / of) ** 0.5
    return round(100 * (middle - width) / (1 + z * z / of), 1), round(100 * (middle + width) / (1 + z * z / of), 1)


def draw(place: Path, options: argparse.Namespace, tests: dict[str, list[str]]) -> dict[Mutant, str]:
    """The outcome of each mutant drawn."""
    rng = random.Random(options.seed)
    every = [group for module in sorted(tests) for group in places(place, module)]
    drawn = [rng.choice(group) for group in rng.sample(every, len(every))]
    print(f"{len(tests)} modules, {len(every)} places, {options.draws} draws, seed {options.seed}", flush=True)
    found: dict[Mutant, str] = {}
    for mutant in drawn:
        begun = monotonic()
        result = outcome(place, mutant, tests[mutant.module], options.timeout)
        print(f"{result:<14} {monotonic() - begun:5.1f} s  {mutant}", flush=True)
        if result in ("killed", "timed out", "survived"):
            found[mutant] = result
        if len(found) == options.draws:
            break
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument(
        "--timeout", type=float, default=120, help="seconds for one mutant; one that runs longer counts as killed"
    )
    parser.add_argument("--only", default="", help="only modules whose path begins so; the result is not written")
    options = parser.parse_args()
    tests = {m: t for m, t in closest_tests().items() if m.startswith(options.only)}
    with tempfile.TemporaryDirectory(prefix="galenic-mutants-") as folder:
        place = Path(folder)
        copy_of_tree(place)
        files = sorted({f for t in tests.values() for f in t})
        if run_tests(place, files) != 0:
            print((place / "last.log").read_text(errors="replace")[-3_000:])
            raise SystemExit("The closest tests fail without a mutant. Make them pass first.")
        found = draw(place, options, tests)
    survivors = [str(m) for m, result in found.items() if result == "survived"]
    killed = len(found) - len(survivors)
    slow = sum(result == "timed out" for result in found.values())
    print(f"{killed} of {len(found)} killed ({slow} by running over {options.timeout:.0f} s)", *survivors, sep="\n")
    what = f"random mutants killed by the closest tests, {len(found)} draws (seed {options.seed}) from {len(tests)} modules"
    share = killed / len(found)
    met = share >= LEAST_KILLED
    one = rows.row(
        "mutants.killed",
        what,
        "%",
        round(100 * share, 1),
        ">= 85",
        met,
        interval=interval(killed, len(found)),
        peers={"15 draws before": 67},
    )
    if not options.only:
        rows.write("mutants", [one])
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
