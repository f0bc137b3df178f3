"""OWASP ASVS 5.0, levels 1 and 2, row by row: automatic checks, each with a failure to plant that must turn it red; or a reason."""

import ast
import contextlib
import itertools
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import galenic
from site_made import Site

ROOT = Path(__file__).parent.parent
SOURCE = Path(galenic.__file__).parent
FACTS = Path(os.environ.get("GALENIC_FACTS", ROOT.parent / "shared" / "facts")) / "asvs-5.0.0-en.flat.json"
Look = Callable[["Place"], None]
Plant = Callable[["Place"], contextlib.AbstractContextManager[Any]]


@dataclass
class Place:
    """What checks look at: a site with its people, the sources, the documents. A plant changes one of them for a while."""

    site: Site
    folder: Path
    sources: list[Path] = field(default_factory=lambda: [SOURCE])
    scripts: list[Path] = field(default_factory=lambda: [SOURCE / "server" / "console" / "static" / "console.js"])
    templates: list[Path] = field(default_factory=lambda: [SOURCE / "server" / "console" / "templates"])
    document: str = field(default_factory=lambda: (ROOT / "docs" / "how-to" / "security.md").read_text(encoding="utf-8"))
    numbers: Iterator[int] = field(default_factory=itertools.count)
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    name: str
    look: Look
    plant: Plant


CHECKS: dict[str, Check] = {}


def check(*rows: str, plant: Plant) -> Callable[[Look], Look]:
    """Registers a check for rows of ASVS. plant: a failure that turns it red."""

    def take(look: Look) -> Look:
        for row in rows:
            assert row not in CHECKS, row
            CHECKS[row] = Check(look.__name__, look, plant)
        return look

    return take


def patched(target: Any, name: str, value: Any) -> Plant:
    """A plant: something of the program in another's place."""
    return lambda _place: mock.patch.object(target, name, value)


# sources, scripts, templates: what must not stand in them


def _planted(kind: str, file: str, text: str) -> Plant:
    """A plant: another folder, or file, among the sources, templates or scripts."""

    @contextlib.contextmanager
    def plant(place: Place) -> Iterator[None]:
        folder = place.folder / f"planted{next(place.numbers)}"
        folder.mkdir()
        (folder / file).write_text(text, encoding="utf-8")
        more = folder / file if kind == "scripts" else folder
        with mock.patch.object(place, kind, [*getattr(place, kind), more]):
            yield

    return plant


def planted_source(text: str) -> Plant:
    """A plant: another file among the sources."""
    return _planted("sources", "planted.py", text)


def planted_script(text: str) -> Plant:
    """A plant: another script among the pages' own."""
    return _planted("scripts", "planted.js", text)


def planted_template(text: str) -> Plant:
    """A plant: another template among the pages'."""
    return _planted("templates", "planted.html", text)


_TREES: dict[Path, ast.Module] = {}


def trees(place: Place, *rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    """(file, syntax) of the sources; of these rooms alone where some are named, and of what was planted."""
    for folder in place.sources:
        for file in sorted(folder.rglob("*.py")):
            if folder == SOURCE and rooms and file.relative_to(SOURCE).parts[0] not in rooms:
                continue
            if file not in _TREES:
                _TREES[file] = ast.parse(file.read_text(encoding="utf-8"))
            yield file, _TREES[file]


def imports(place: Place, *rooms: str) -> set[str]:
    """Every module that the sources import, with its names: a, a.b, a.b.c."""
    found: set[str] = set()
    for _file, tree in trees(place, *rooms):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {n.name for n in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{n.name}" for n in node.names)}
    return found


def without(*modules: str) -> Look:
    """Nothing of these modules is imported anywhere."""

    def look(place: Place) -> None:
        found = sorted(i for i in imports(place) if any(i == m or i.startswith(f"{m}.") for m in modules))
        assert not found, found

    look.__name__ = f"without_{modules[0].replace('.', '_')}"
    return look


def calls(place: Place, *names: str, rooms: tuple[str, ...] = ()) -> list[tuple[Path, ast.Call]]:
    """Calls of functions or methods by these names (the last part alone)."""
    found = []
    for file, tree in trees(place, *rooms):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if last in names:
                    found.append((file, node))
    return found


def scripts(place: Place) -> str:
    return "\n".join(p.read_text(encoding="utf-8") for p in place.scripts)


def templates(place: Place) -> str:
    return "\n".join(p.read_text(encoding="utf-8") for folder in place.templates for p in sorted(folder.glob("*.html")))


def no_script(*words: str) -> Look:
    """None of these stands in the pages' own scripts."""

    def look(place: Place) -> None:
        found = [w for w in words if re.search(w, scripts(place))]
        assert not found, found

    return look


# the document that promises


def documented(place: Place, limit: str, value: object) -> None:
    """A limit of the document's tables is the program's."""
    found = re.search(rf"^\| {re.escape(limit)} \| (.+?) \|$", place.document, re.M)
    assert found, f"{limit} is not documented"
    assert found[1] == str(value), f"{limit}: documented {found[1]}, in force {value}"


# who is there


def somebody(place: Place, *roles: str) -> Any:
    """A signed-in person of their own, in these roles."""
    name = f"person{next(place.numbers)}"
    if not place.site.installation.people.any():
        place.site.grown("founder")
    browser = place.site.grown(name)
    browser.name = name
    for role in roles:
        place.site.installation.people.grant(name, f"{name}@clinic.example", role, by="founder", approved="otto")
    return browser


def confirmed(browser: Any) -> Any:
    """The same, who has just confirmed that it is them."""
    browser.web.post("/confirm", data={"csrf": browser.csrf(), "code": browser.code()})
    return browser


# the table


def rows() -> list[dict[str, str]]:
    """Rows of levels 1 and 2."""
    whole = json.loads(FACTS.read_text(encoding="utf-8"))["requirements"]
    return [r for r in whole if str(r["L"]) in ("1", "2")]


def reasons() -> dict[str, dict[str, str]]:
    """Rows without an automatic check: why, and by whom that was signed."""
    return tomllib.loads((ROOT / "tests" / "asvs" / "reasons.toml").read_text(encoding="utf-8"))


def count() -> tuple[int, int]:
    """(rows with an automatic check, rows)."""
    load()
    wanted = {r["req_id"] for r in rows()}
    return len(wanted & set(CHECKS)), len(wanted)


def load() -> None:
    """Reads every file of checks."""
    import asvs.people_rows
    import asvs.rest_rows
    import asvs.web_rows  # noqa: F401


def table() -> str:
    """The document docs/asvs.md."""
    load()
    why, found = reasons(), rows()
    checked = sum(r["req_id"] in CHECKS for r in found)
    lines = [
        "# OWASP ASVS 5.0, levels 1 and 2",
        "",
        f"{len(found)} rows: {checked} have an automatic check that a planted failure turns red (`pytest tests/asvs`), {len(found) - checked}",
        "a reason why they have none, signed by whoever gave it. Numbers are those of the standard; its texts are at owasp.org/ASVS.",
        "Written by `python scripts/asvs_table.py`.",
        "",
        "| row | level | answer |",
        "|---|---|---|",
    ]
    for r in found:
        own = r["req_id"]
        if own in CHECKS:
            answer = f"checked: {CHECKS[own].name.replace('_', ' ')}"
        else:
            answer = f"{why[own]['kind']}: {why[own]['reason']} ({why[own]['signed']})"
        lines.append(f"| {own} | {r['L']} | {answer} |")
    return "\n".join(lines) + "\n"
