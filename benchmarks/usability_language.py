"""Language and documents: reading grade of texts, banned forms, undocumented names, lines of the README, commands at the top level."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import typer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import plain_language as plain  # noqa: E402  # the checker of tests/test_language.py
from galenic import errors  # noqa: E402
from galenic.cli import app  # noqa: E402

COMMAND = typer.main.get_command(app)


def undocumented() -> dict[str, list[str]]:
    """Names without a plain sentence, by kind: findings, errors, commands, settings, routes."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in plain.pages())
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    settings = set(re.findall(r'environ[^\n]*?"(GALENIC_[A-Z_]+)"', source))
    routes = routes_without_sentence()
    return {
        "findings": findings_without_text(source),
        "errors": [n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, Exception) and not v.__doc__],
        "commands": [path for path, command in plain.commands_below(COMMAND) if not (command.help or "").strip()],
        "settings": sorted(s for s in settings if s not in pages),
        "routes": routes,
    }


def findings_without_text(source: str) -> list[str]:
    """Names of findings in the code for which release.finding_text has no entry."""
    from galenic.release import finding_text  # noqa: PLC0415

    kinds = "fidelity|utility|privacy|engine|fairness|plausibility|quality|deid"
    names = set(re.findall(rf'["\']((?:{kinds})\.[a-z][a-z0-9_.]*[a-z0-9])["\']', source))
    missing = []
    for name in sorted(names):
        try:
            sentence = finding_text(name).sentence
        except (KeyError, errors.GalenicError):
            sentence = ""
        if not sentence:
            missing.append(name)
    return missing


def routes_without_sentence() -> list[str]:
    """Routes of the OpenAPI description without a summary."""
    import orjson  # noqa: PLC0415

    from galenic.server.openapi import openapi  # noqa: PLC0415

    paths = orjson.loads(openapi("https://localhost:8443"))["paths"]
    return [
        f"{method} {path}" for path, item in paths.items() for method, what in item.items() if len(what.get("summary", "")) < 8
    ]


def measure(row: Callable[..., dict]) -> list[dict]:
    """Rows of the usability figures about language and documents."""
    console, help_lines, pages = plain.of_templates(), plain.of_help(), plain.of_documents()
    interface = console + help_lines
    missing = undocumented()
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    top = {n: c for n, c in COMMAND.commands.items() if not c.hidden}  # type: ignore[attr-defined]
    groups = [n for n, c in top.items() if hasattr(c, "commands")]
    grades = {
        "console": round(plain.share_over(console), 3),
        "help": round(plain.share_over(help_lines), 3),
        "glossary terms not discounted": round(plain.share_over(interface, terms=False), 3),
    }
    share = round(plain.share_over(interface), 3)
    banned = sum(len(plain.faults(text)) for text in interface + pages)
    raw = round(plain.share_over(pages, terms=False), 3)
    names = {kind: len(found) for kind, found in missing.items()}
    return [
        made(row, "language.grade", "UI texts and help lines of 8 words or more over grade 10", share, 0.05, grades),
        made(
            row,
            "language.pages",
            "paragraphs of the documents over grade 10",
            round(plain.share_over(pages), 3),
            0.05,
            {"raw": raw},
        ),
        made(row, "language.banned", "banned forms in UI texts, help lines and documents", banned, 0, {}),
        made(
            row,
            "documented",
            "findings, errors, commands, settings, routes without a plain sentence",
            sum(names.values()),
            0,
            names,
        ),
        made(row, "readme.lines", "lines of the README", len(readme), 130, {"before": 297}),
        made(
            row,
            "readme.install",
            "line of the README where Install stands",
            readme.index("## Install") + 1,
            40,
            {"before": 275},
        ),
        made(row, "commands.top", "top-level commands", len(top) - len(groups), 8, {"before": 47}),
        made(row, "commands.groups", "groups of commands", len(groups), 16, {"before": 3}),
    ]


def made(row: Callable[..., dict], name: str, what: str, ours: float, most: float, beside: dict[str, object]) -> dict:
    """One row: a figure that should be at most `most`."""
    unit = "share" if isinstance(ours, float) else "count"
    return row(f"usability.{name}", what, unit, ours, f"<= {most}", ours <= most, peers=beside)
