"""Advice on the page of a refused run: sizes that are likely to be accepted, estimated from what was measured."""

import math
from collections.abc import Mapping
from typing import Any

from galenic.generators.tables import ExpectedOutcome, TableSize, expected_quality, least_epsilon, least_patients
from galenic.schema import Report

ESTIMATED = ("fidelity.tvd1.excess", "fidelity.tvd2.excess")  # findings that depend on patients, columns and ε in a known way
AT_MOST = "at most "


def advise(sheet: Mapping[str, Any], report: Report) -> tuple[str, ...]:
    """Sentences on what to change, the most promising first; none where nothing can be estimated. sheet, report: of a refused run."""
    items = [i for i in sheet["decision"]["items"] if i["outcome"] not in ("met", "not applicable")]
    limits = _limits(items)
    split, columns, epsilon = sheet.get("split", {}), sheet.get("columns", ()), sheet.get("epsilon")
    if not limits or not epsilon or not columns or "train_rows" not in split:
        return ()
    patients = int(split["train_rows"]) + int(split["test_rows"])
    levels = sum(float(c.get("levels", 10)) for c in columns) / len(columns)
    bought = sum(c["values"] == "paid" for c in columns) / len(columns)
    size, delta = TableSize(patients, len(columns), levels, bought), float(sheet["delta"])
    quality = expected_quality(size, float(epsilon), delta=delta)
    needed = ExpectedOutcome(size, quality, 0.0, limits, ()).corrected(report).limits
    enough = least_patients(size, float(epsilon), needed, delta=delta)
    larger = least_epsilon(size, needed, delta=delta)
    lines = []
    if enough is not None and enough > patients:
        lines.append(f"Use about {enough:,} patients at ε = {epsilon:g}. This run had {patients:,}.")
    if larger is not None and larger > float(epsilon):
        lines.append(f"Spend ε = {larger:g} on the same {patients:,} patients, if the privacy budget and the policy allow it.")
    return tuple(lines)


def _limits(items: list[Mapping[str, Any]]) -> dict[str, float]:
    """Upper limits that were missed, of findings that can be estimated; limits that no data can meet are left out."""
    limits = {}
    for item in items:
        if item["finding"] in ESTIMATED and str(item["threshold"]).startswith(AT_MOST):
            limit = float(str(item["threshold"]).removeprefix(AT_MOST))
            if math.isfinite(limit) and limit > 0:
                limits[str(item["finding"])] = limit
    return limits
