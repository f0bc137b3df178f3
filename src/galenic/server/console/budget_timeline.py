"""Timeline of a privacy budget: each charge with the run and the person it was spent for, and the points of a chart."""

from dataclasses import dataclass

from galenic.privacy import Statement, epsilon_of, split_delta
from galenic.release import RunStatus
from galenic.server.console.run_list import run_label

MOST_CHARGES = 40  # newest ones on the page
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720.0, 170.0, 44.0, 14.0, 26.0  # of the chart


@dataclass(frozen=True)
class Charge:
    """One charge. used: ε of the population after it; settled: whether the run has ended; run: its id, empty for other purposes."""

    at: str
    purpose: str
    run: str
    state: str
    by: str
    settled: bool
    used: float


@dataclass(frozen=True)
class BudgetChart:
    """A step chart of ε over the charges. line: points of an SVG polyline; limit_y: height of the limit; steps: (x, y, label)."""

    line: str
    limit_y: float
    base_y: float
    steps: tuple[tuple[float, float, str], ...]


def charges_of(statement: Statement, runs: dict[str, RunStatus]) -> tuple[Charge, ...]:
    """The newest charges of a population, oldest first."""
    amounts = [_amount(c) for c in statement.charges]
    total, used, charges = sum(amounts), 0, []
    delta, first = split_delta(statement.delta)[0], len(amounts) - MOST_CHARGES
    for number, (row, amount) in enumerate(zip(statement.charges, amounts, strict=True)):
        used += amount
        if number < first:
            continue
        run_id = str(row["purpose"]).rpartition(" ")[2]
        run = runs.get(run_id)
        epsilon = epsilon_of(statement.rho_spent * used / total, delta) if used else 0.0
        charges.append(
            Charge(
                at=str(row["reserved_at"]),
                purpose=run_label(run) if run else str(row["purpose"]),
                run=run.run if run else "",
                state=run.state if run else "",
                by=(run.by if run else "") or str(row["actor"]),
                settled=row["rho_spent"] is not None,
                used=epsilon,
            )
        )
    return tuple(charges)


def _amount(row: dict[str, object]) -> int:
    """ρ of a charge in the ledger's unit; a charge that was never settled counts in full."""
    return int(str(row["rho_reserved"] if row["rho_spent"] is None else row["rho_spent"]))


def chart_of(charges: tuple[Charge, ...], limit: float) -> BudgetChart | None:
    """The chart of charges; None if there is none."""
    if not charges:
        return None
    top = max(limit, charges[-1].used) * 1.08
    width, height = WIDTH - LEFT - 8, HEIGHT - TOP - BOTTOM

    def y_of(epsilon: float) -> float:
        return round(TOP + height * (1 - epsilon / top), 1)

    step = width / len(charges)
    points, steps, before = [(LEFT, y_of(0))], [], y_of(0)
    for number, charge in enumerate(charges):
        x, y = round(LEFT + step * (number + 0.5), 1), y_of(charge.used)
        points += [(x, before), (x, y)]
        steps.append((x, y, charge.at[:10]))
        before = y
    points.append((LEFT + width, before))
    return BudgetChart(" ".join(f"{x},{y}" for x, y in points), y_of(limit), y_of(0), tuple(steps))
