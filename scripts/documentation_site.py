"""Pages of the documentation site that are generated when `make docs` builds it, from docstrings, OpenAPI and file names."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import galenic
from galenic.server.openapi import openapi

ROOT = Path(__file__).parents[1]
METHODS = ("get", "post", "put", "patch", "delete")


def signature_of(name: str, value: Any) -> str:
    """The call as one writes it, with defaults and types."""
    return f"{name}{inspect.signature(value)}".replace("galenic.schema.", "").replace("pyarrow.lib.", "pa.")


def entry_of(name: str, value: Any, level: int) -> list[str]:
    """Heading, signature and docstring of one public name."""
    lines = [f"{'#' * level} `{name}`", ""]
    if callable(value) and not (inspect.isclass(value) and issubclass(value, Exception)):
        lines += ["```python", signature_of(name, value), "```", ""]
    text = inspect.getdoc(value)
    if not text:
        raise ValueError(f"{name} has no docstring. Public names need one.")
    return [*lines, text, ""]


def python_reference() -> str:
    """Every public name of `galenic` with its docstring; public methods of classes too."""
    lines = [
        "# Python reference",
        "",
        "Use Galenic from Python with these names. They are written here from the docstrings of the code.",
        "",
        "Examples are in [Synthesize your own table](../how-to/synthesize-your-table.md#from-python).",
        "",
    ]
    for name in sorted(n for n in galenic.__all__ if not n.startswith("__")):
        value = getattr(galenic, name)
        lines += entry_of(f"galenic.{name}", value, 2)
        if inspect.isclass(value):
            for method, function in vars(value).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    lines += entry_of(f"{name}.{method}", function, 3)
    return "\n".join(lines)


def operation_of(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    """One route: its sentence, parameters and answers."""
    lines = [f"### `{method.upper()} {path}`", "", operation.get("description") or operation.get("summary") or "", ""]
    rows = [
        f"| `{p['name']}` | {p['in']} | {p.get('description', '')} |" for p in operation.get("parameters", ()) if "name" in p
    ]
    if rows:
        lines += ["| parameter | in | meaning |", "|---|---|---|", *rows, ""]
    answers = [f"| {code} | {answer.get('description', '')} |" for code, answer in operation.get("responses", {}).items()]
    return [*lines, "| answer | meaning |", "|---|---|", *answers, ""]


def rest_reference() -> str:
    """Every route of the server's OpenAPI description."""
    described = json.loads(openapi("https://galenic.hospital.example"))
    lines = [
        "# REST reference",
        "",
        "Call the server over HTTPS with these routes. A running server describes itself in OpenAPI 3.1 at `/openapi.json`;",
        "this page is made from that description. [FHIR clients](../how-to/fhir-clients.md) has examples.",
        "",
    ]
    for path, item in described["paths"].items():
        for method in METHODS:
            if method in item:
                lines += operation_of(method, path, item[method])
    return "\n".join(lines)


def decisions() -> str:
    """A list of the decision records with their titles."""
    lines = ["# Decisions", "", "Read why Galenic is built as it is. Each page records one decision and its reasons.", ""]
    for page in sorted((ROOT / "docs" / "decisions").glob("0*.md")):
        title = page.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({page.name})")
    return "\n".join(lines)


GENERATED = {"reference/python.md": python_reference, "reference/rest.md": rest_reference, "decisions/index.md": decisions}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the decision records and the generated command-line reference to the navigation (an event of MkDocs)."""
    records = [f"decisions/{page.name}" for page in sorted((ROOT / "docs" / "decisions").glob("0*.md"))]
    nav: list[dict[str, Any]] = config.nav or []
    for entry in nav:
        if "Reference" in entry and (ROOT / "docs" / "reference" / "cli.md").exists():
            entry["Reference"].insert(2, {"Command line": "reference/cli.md"})
        if "Explanation" in entry:
            entry["Explanation"].append({"Decisions": ["decisions/index.md", *records]})
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Takes notes for tests off the first lines of code blocks; a file's name becomes its title (an event of MkDocs)."""
    titled = re.sub(r"^(\s*```\w+) file=(\S+)$", r'\1 title="\2"', markdown, flags=re.M)
    return re.sub(r"^(\s*```\w+) (?:run|test=\S+)$", r"\1", titled, flags=re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages (an event of MkDocs)."""
    for path, make in GENERATED.items():
        files.append(File.generated(config, path, content=make()))
    return files
