"""Structure of the source tree, read from its syntax: sizes, imports past public interfaces, cycles between modules."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LINES_OF_A_FILE, LINES_OF_A_FUNCTION, PARAMETERS = 400, 40, 6


@dataclass(frozen=True)
class Module:
    """One module. imports: modules of galenic that it imports from, at any level and under TYPE_CHECKING."""

    name: str
    is_package: bool
    lines: int
    tree: ast.Module
    imports: frozenset[str] = frozenset()


def modules(sources: Path) -> dict[str, Module]:
    """Every module below `sources` (the folder that holds the package galenic)."""
    found = {}
    for path in sorted((sources / "galenic").rglob("*.py")):
        parts = path.relative_to(sources).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, is_package, len(text.splitlines()), ast.parse(text))
    return {name: Module(name, m.is_package, m.lines, m.tree, frozenset(_imports(m, found))) for name, m in found.items()}


def _imports(module: Module, known: dict[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in known)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "galenic":
            base = str(node.module)
            yield from (f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names)


def bypassing_imports(tree: dict[str, Module]) -> list[str]:
    """Imports of a module past the `__init__` of the package that holds it, from outside that package. A package may reach into the
    packages below it."""
    found = []
    for module in tree.values():
        own = module.name if module.is_package else module.name.rpartition(".")[0]
        for target in sorted(module.imports):
            package = target.rpartition(".")[0]
            outside = not (own + ".").startswith(package + ".") and not package.startswith(own + ".")
            if package != "galenic" and outside and not tree[target].is_package:
                found.append(f"{module.name} -> {target}")
    return found


def cycles(tree: dict[str, Module]) -> list[list[str]]:
    """Sets of modules that import each other, an import of a package counting as one of its `__init__` alone."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in tree[name].imports:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            at = stack.index(name)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for name in tree:
        if name not in index:
            visit(name)
    return found


def functions(tree: dict[str, Module]) -> Iterator[tuple[str, int, int]]:
    """(name, lines, parameters without self and cls) of every function."""
    for module in tree.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                a = node.args
                names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{module.name}.{node.name}", lines, len([n for n in names if n not in ("self", "cls")])


def figures(sources: Path) -> dict[str, float]:
    """Counts of what the limits forbid, and the size of flows."""
    tree = modules(sources)
    flows = [m.lines for m in tree.values() if m.name.startswith("galenic.flows")]
    every = list(functions(tree))
    return {
        "flows_lines": sum(flows),
        "flows_longest_file": max(flows),
        "imports_past_public_interfaces": len(bypassing_imports(tree)),
        "module_cycles": len(cycles(tree)),
        "files_over_400_lines": sum(m.lines > LINES_OF_A_FILE for m in tree.values()),
        "functions_over_40_lines": sum(lines > LINES_OF_A_FUNCTION for _, lines, _ in every),
        "functions_over_6_parameters": sum(n > PARAMETERS for _, _, n in every),
    }
