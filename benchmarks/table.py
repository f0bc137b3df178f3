"""Writes the tables of docs/measured.md and the key figures of the README from benchmarks/results; a test checks both."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NAMES = ("spine", "tables", "custody", "records", "deidentify", "server", "privacy", "faults")
PAGE = ROOT / "docs" / "measured.md"
README = ROOT / "README.md"
EPSILON_PAGE = ROOT / "docs" / "how-to" / "choose-epsilon.md"
KEY = {  # id of a measurement: sentence for the README, losses included
    "tables.d14.tvd2": "Error of pairs of columns (total variation), 71,236 rows, 14 columns, ε = 1",
    "tables.d14.gap": "Accuracy (AUROC) lost by training on synthetic rows, same table",
    "tables.d14.cpu": "CPU seconds to make that table",
    "spine.real.tvd2": "Error of pairs of columns, raw table of 50 columns, nothing declared",
    "spine.real.seconds": "Seconds for that run with all evidence",
    "tables.attacks.found": "Planted leaks found by the built-in attacks, of 3",
    "deid.unseen": "Recall of identifiers in text never trained on, worst collection",
    "deid.over": "Share of harmless words removed by mistake, worst collection",
    "tables.scale.10m.chi2": "Fit to 10 million rows (chi-square per cell; 1 is exact)",
    "server.bundle": "FHIR resources written per second, transactions of 100",
}
PEERS = {  # id: other tools of the same run that the README shows; the full list is in docs/measured.md
    "deid.unseen": ("presidio, presidio-research",),
    "deid.over": ("presidio, presidio-research",),
    "tables.d14.tvd2": ("MST", "real-vs-real"),
    "tables.d14.cpu": ("MST",),
    "tables.d14.gap": ("MST",),
}
SHAPES = {
    "d14": "14 columns",
    "d36": "36 columns",
    "support2": "SUPPORT2, 6,373 x 32",
    "paid": "14 columns, bounds and categories bought",
    "paid.d36": "36 columns, bounds and categories bought",
    **{
        f"patient.d{columns}.{k}": f"{columns} columns, {what}"
        for columns in (14, 36)
        for k, what in (
            ("one", "patient as unit, 1 row"),
            ("three", "patient as unit, 3 rows"),
            ("row", "row as unit, same split"),
        )
    },
}
MEASURES = {
    "tvd2": "mean 2-way distance",
    "tvd3": "mean 3-way distance",
    "gap": "larger AUROC gap to real rows",
    "cpu": "CPU seconds to the sampled table",
    "mb": "peak MB to the sampled table",
}
SHORT = {
    "spine.tvd2": "mean 2-way distance, 14 columns",
    "spine.tvd3": "mean 3-way distance, 14 columns",
    "spine.cpu": "CPU seconds to the sampled table, 14 columns",
    "spine.real.tvd2": "mean 2-way distance, raw table",
    "spine.real.gap.logistic": "AUROC lost, readmission, logistic regression",
    "spine.real.gap.boosting": "AUROC lost, readmission, gradient boosting",
    "spine.real.seconds": "seconds for the whole run with evidence, raw table",
    **{f"tables.{table}.{k}": f"{what}, {shape}" for table, shape in SHAPES.items() for k, what in MEASURES.items()},
    "tables.open.tstr": "AUROC for hospdead, SUPPORT2, no noise",
    "tables.open.mia": "strongest membership attack (AUC), SUPPORT2, no noise",
    "tables.open.discriminator": "a model's AUC in telling rows from held-out ones, SUPPORT2, no noise",
    **{
        f"tables.multi.{name}.{k}": f"{what}, {about}"
        for name, about in (("gibleed", "GiBleed, no noise"), ("100k", "100,000 made patients, epsilon 1"))
        for k, what in (
            ("keys", "share of foreign keys and links that hold"),
            ("tvd", "distance of parent-child pairs over that of pairs of one table"),
            ("s", "seconds from files to judged tables"),
        )
    },
    "tables.audit.mu": "lower bound of mu over the claim, measuring step",
    "tables.audit.exceed": "audits in 100 whose bound exceeds the claim",
    **{
        f"tables.scale.{name}.{k}": f"{what}, {rows} million rows x 36 columns"
        for name, rows in (("1m", "1.14"), ("10m", "10"))
        for k, what in (
            ("s", "CPU seconds"),
            ("gb", "peak GB"),
            ("chi2", "chi-square per measured cell"),
            ("excess", "mean 2-way distance over the floor"),
        )
    },
    "tables.attacks.s": "CPU seconds of all eight attacks, 5,000 x 15",
    "tables.attacks.found": "planted leaks found in 5 of 5 draws (of 3), 5,000 x 15",
    "tables.attacks.false": "share of 200 draws with a false alarm, 5,000 x 15",
    "spine.race": "overdrafts after 10,000 racing reservations",
    "spine.attack.found": "planted leaks found in 20 of 20 draws (of 3)",
    "spine.attack.false": "fresh patients flagged, upper 95 % bound",
    "spine.install.seconds": "seconds for `pip install .`",
    "spine.install.mb": "MB installed",
}


def render(name: str = "spine") -> str:
    """The table of one benchmark as Markdown."""
    lines = ["| id | what | Galenic | others, same run | target |", "|---|---|---|---|---|"]
    for r in json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8")):
        peers = "; ".join(f"{name} {value}" for name, value in r["peers"].items())
        met = {True: "met", False: "**missed**", None: ""}[r["met"]]
        target = r["target"] if r["met"] is None else f"{r['target']} ({met})"
        lines.append(f"| {r['id']} | {SHORT.get(r['id'], r['what'])} | {r['ours']} | {peers} | {target} |")
    return "\n".join(lines) + "\n"


def measured(name: str) -> list[dict[str, object]]:
    """Rows of one benchmark."""
    rows: list[dict[str, object]] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return rows


def key_figures() -> str:
    """The README's table: the figures of KEY, each beside other tools and its target."""
    rows = {str(row["id"]): row for name in NAMES for row in measured(name)}
    lines = ["| figure | Galenic | others | target |", "|---|---|---|---|"]
    for key, sentence in KEY.items():
        row = rows[key]
        peers = {k: v for k, v in dict(row["peers"]).items() if k in PEERS.get(key, row["peers"])}  # type: ignore[call-overload]
        others = "; ".join(f"{name} {value}" for name, value in peers.items())
        met = {True: "met", False: "**missed**", None: "none set"}[row["met"]]  # type: ignore[index]
        target = f"{row['target']}: {met}" if row["met"] is not None else met
        lines.append(f"| {sentence} | {row['ours']} | {others} | {target} |")
    return "\n".join(lines) + "\n"


def epsilon_table() -> str:
    """The table of docs/how-to/choose-epsilon.md: error of pairs by patients, columns and epsilon; bold where accepted."""
    cells: list[dict[str, Any]] = json.loads(
        (ROOT / "benchmarks" / "results" / "choose_epsilon.json").read_text(encoding="utf-8")
    )
    epsilons = sorted({c["epsilon"] for c in cells})
    shown: dict[tuple[int, int], list[str]] = {}
    for cell in sorted(cells, key=lambda c: (c["rows"], c["columns"], c["epsilon"])):
        error = "-" if cell.get("two") is None else f"{cell['two']:.2f}"
        mark = "*" if cell.get("refused by") == ["privacy.controls"] else ""
        shown.setdefault((cell["rows"], cell["columns"]), []).append(f"**{error}**" if cell["accepted"] else error + mark)
    lines = ["| patients | columns | " + " | ".join(f"ε = {e:g}" for e in epsilons) + " |", "|" + "---|" * (2 + len(epsilons))]
    lines += [f"| {rows:,} | {columns} | {' | '.join(found)} |" for (rows, columns), found in shown.items()]
    return "\n".join(lines) + "\n"


def embedded(page: str, name: str = "spine") -> str:
    """The table that stands in a page."""
    return page.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->\n", maxsplit=1)[0]


def replaced(page: Path, tables: dict[str, str]) -> None:
    """Writes each table between its two markers in a page."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, after = text.split(f"<!-- {name} -->\n")[0], text.split(f"<!-- /{name} -->\n")[1]
        text = f"{before}<!-- {name} -->\n{table}<!-- /{name} -->\n{after}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    replaced(PAGE, {name: render(name) for name in NAMES})
    replaced(EPSILON_PAGE, {"choose epsilon": epsilon_table()})
    replaced(README, {"key figures": key_figures()})
