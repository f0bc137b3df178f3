"""Budget ledger: the limit of each population, and reservations that mechanisms are charged to."""

import json
import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Protocol

from galenic import store
from galenic.errors import BudgetError
from galenic.privacy.accountant import check_delta, check_epsilon, epsilon_of, rho_of
from galenic.schema import AuditedBudget

DEFAULT_POPULATION = "default"  # pays where no other population is named
DEFAULT_LIMIT, DEFAULT_LIMIT_DELTA = 4.0, 1e-8  # of the default population, declared at its first use
ROUNDING = 1e-9  # rho: the audit log keeps numbers with 16 digits
RHO_UNIT = 10**12  # the ledger counts whole units of 1e-12 rho, rounded up when spent, down when granted
DELTA_UNIT = 10**18
THRESHOLD_SHARE = 0.1  # of delta, for stability thresholds; the rest converts rho into epsilon


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _up(rho: Fraction) -> int:
    return math.ceil(rho * RHO_UNIT)


def split_delta(delta: float) -> tuple[float, int]:
    """(part that converts rho to epsilon, part for thresholds in ledger units)."""
    return delta * (1 - THRESHOLD_SHARE), math.floor(Fraction(delta) * Fraction(1, 10) * DELTA_UNIT)


@dataclass(frozen=True)
class Mechanism:
    """One charged measurement: its description, cost and noise. The field names are stored in the ledger."""

    what: str
    rho: float
    queries: int
    l2_sensitivity: float
    sigma: float
    delta: float = 0.0


@dataclass
class Budget:
    """Reservation of one population's budget. Mechanisms are charged to it before they read a row; it cannot be exceeded.

    rho, delta: the reserved amounts. `settle` records the spent amounts and returns the rest; without it, everything counts as
    spent.
    """

    ledger: "Ledger"
    charge_id: str
    population: str
    epsilon: float
    delta: float
    rho: Fraction
    threshold_delta: Fraction
    rho_left: Fraction = field(init=False)
    delta_left: Fraction = field(init=False)
    mechanisms: list[Mechanism] = field(default_factory=list)
    settled: bool = False

    def __post_init__(self) -> None:
        self.rho_left = self.rho
        self.delta_left = self.threshold_delta

    def draw(self, mechanism: Mechanism, rho: Fraction, delta: Fraction = Fraction(0)) -> None:
        """Charge rho (and delta) for one mechanism. Raise BudgetError if too little is left or the reservation is closed."""
        if self.settled:
            raise BudgetError("this reservation is closed; nothing more can be charged to it. Reserve again.")
        if not 0 < rho <= self.rho_left or not 0 <= delta <= self.delta_left:
            raise BudgetError(
                f"{mechanism.what} costs rho={float(rho):.3g}, delta={float(delta):.3g}, but rho={float(self.rho_left):.3g}, "
                f"delta={float(self.delta_left):.3g} is left of this reservation for population {self.population!r}. "
                "Use fewer or coarser measurements, or ask the data owner for more."
            )
        self.rho_left -= rho
        self.delta_left -= delta
        self.mechanisms.append(mechanism)

    @property
    def epsilon_spent(self) -> float:
        """Epsilon spent so far, at this reservation's delta."""
        return epsilon_of(float(self.rho - self.rho_left), split_delta(self.delta)[0])

    def settle(self) -> None:
        """Record the spent amounts and return the rest, only once."""
        if self.settled:
            return
        self.settled = True
        store.settle(
            self.ledger.db,
            self.charge_id,
            {
                "rho_spent": _up(self.rho - self.rho_left),
                "delta_spent": math.ceil((self.threshold_delta - self.delta_left) * DELTA_UNIT),
                "settled_at": _now(),
                "mechanisms": json.dumps([m.__dict__ for m in self.mechanisms]),
            },
        )


@dataclass(frozen=True)
class Statement:
    """Statement of one population. epsilon_spent includes reservations that were never closed."""

    population: str
    epsilon_limit: float
    delta: float
    rho_limit: float
    rho_spent: float
    epsilon_spent: float
    refusals: int
    charges: tuple[dict[str, object], ...]


class BudgetRecord(Protocol):
    """Record of declarations and reservations that cannot be changed unnoticed: the audit log."""

    def declare(self, population: str, epsilon: float, delta: float, actor: str) -> None:
        """Records the limit of a new population."""

    def get(self, population: str) -> AuditedBudget | None:
        """The recorded budget of a population; None if it was never declared."""


class Ledger:
    """Budgets by declared population (never by file: two files of the same patients share one budget).

    record: compared with the ledger before anything is reserved or shown. Without a record, the ledger is only checked for
    consistency.
    """

    def __init__(self, db: store.Database, record: BudgetRecord | None = None) -> None:
        self.db, self.record = db, record

    def declare(self, population: str, *, epsilon: float, delta: float, actor: str) -> Statement:
        """Declare a population with its limit on the total privacy loss of each patient.

        Declaring it again changes nothing; only the data owner can raise a limit.
        """
        check_epsilon(epsilon)
        check_delta(delta)
        if not population or len(population) > 200 or not population.isprintable():
            raise BudgetError("the name of a budget population must have 1 to 200 printable characters, such as 'clinic-2024'.")
        if self.record is not None and store.population_with_charges(self.db, population)[0] is None:
            if self.record.get(population) is None:
                self.record.declare(population, epsilon, delta, actor)
            first = self.record.get(population)  # of two declarations at the same moment the first row holds
            assert first is not None
            epsilon, delta = first.epsilon, first.delta
        convert, thresholds = split_delta(delta)
        store.add_population(
            self.db,
            {
                "name": population,
                "rho_limit": math.floor(rho_of(epsilon, convert) * RHO_UNIT),
                "delta_limit": thresholds,
                "rho_used": 0,
                "delta_used": 0,
                "epsilon": epsilon,
                "delta": delta,
                "refusals": 0,
                "declared_by": actor,
                "declared_at": _now(),
            },
        )
        return self.statement(population)

    def reserve(self, population: str, *, epsilon: float, delta: float, purpose: str, actor: str) -> Budget:
        """Reserve (epsilon, delta) of a population before anything is computed. Raise BudgetError if too little is left."""
        check_epsilon(epsilon)
        check_delta(delta)
        convert, thresholds = split_delta(delta)
        rho = rho_of(epsilon, convert)
        row = {
            "id": uuid.uuid4().hex,
            "population": population,
            "rho_reserved": _up(rho),
            "delta_reserved": thresholds,
            "purpose": purpose,
            "actor": actor,
            "reserved_at": _now(),
        }
        self._checked(population)
        if rho <= 0 or store.reserve(self.db, row) is None:
            raise BudgetError(self._refusal(population, epsilon, delta, rho))
        return Budget(self, str(row["id"]), population, epsilon, delta, rho, Fraction(thresholds, DELTA_UNIT))

    def _refusal(self, population: str, epsilon: float, delta: float, rho: Fraction) -> str:
        known = {p["name"] for p in store.list_populations(self.db)}
        if population not in known:
            return f"population {population!r} is not declared. Declare it: galenic budget declare {population} --epsilon 1 --delta 1e-9"
        s = self.statement(population)
        return (
            f"epsilon={epsilon:g} at delta={delta:g} costs rho={float(rho):.3g}, but of population {population!r} (epsilon="
            f"{s.epsilon_limit:g}, delta={s.delta:g}, rho={s.rho_limit:.3g}) only rho={max(s.rho_limit - s.rho_spent, 0):.3g} "
            "is left. Ask for less (or a delta no larger than the population's), or ask the data owner for more."
        )

    def statement(self, population: str) -> Statement:
        """All charges of a population. Raise BudgetError if it is not declared."""
        row, charges = self._checked(population)
        if row is None:
            raise BudgetError(
                f"population {population!r} is not declared. Declare it: galenic budget declare {population} --epsilon 1"
            )
        spent = row["rho_used"] / RHO_UNIT
        return Statement(
            population=population,
            epsilon_limit=row["epsilon"],
            delta=row["delta"],
            rho_limit=row["rho_limit"] / RHO_UNIT,
            rho_spent=spent,
            epsilon_spent=epsilon_of(spent, split_delta(row["delta"])[0]),
            refusals=row["refusals"],
            charges=tuple(charges),
        )

    def _checked(self, population: str) -> tuple[store.Row | None, list[store.Row]]:
        """(the population, its charges). BudgetError if they were changed outside Galenic."""
        row, charges = store.population_with_charges(self.db, population)
        fault = "" if row is None else _fault(row, charges, self._recorded(row))
        if fault:
            raise BudgetError(
                f"the budget of population {population!r} was changed in the database outside Galenic: {fault}. Nothing "
                "was reserved. Keep the database, and contact the security officer."
            )
        return row, charges

    def _recorded(self, row: store.Row) -> AuditedBudget:
        """The recorded budget of a population. A ledger without a record uses its own limit."""
        if self.record is None:
            return AuditedBudget(row["epsilon"], row["delta"])
        found = self.record.get(row["name"])
        if found is None and row["name"] == DEFAULT_POPULATION:  # earlier versions declared it without a record
            return AuditedBudget(DEFAULT_LIMIT, DEFAULT_LIMIT_DELTA)
        return found if found is not None else AuditedBudget(0.0, 0.0)

    def faults(self) -> list[str]:
        """Populations that were changed outside Galenic, each as one sentence."""
        found = []
        for name in self.populations():
            try:
                self._checked(name)
            except BudgetError as error:
                found.append(str(error))
        return found

    def populations(self) -> tuple[str, ...]:
        """Names of all declared populations."""
        return tuple(p["name"] for p in store.list_populations(self.db))

    def count_refusal(self, population: str) -> int:
        """Count a refused result of this population. Returns the number of refusals."""
        return store.count_refusal(self.db, population)


def _fault(row: store.Row, charges: list[store.Row], recorded: AuditedBudget) -> str:
    """Contradiction between the record and the limit or charges of a population; "" if there is none."""
    convert, thresholds = split_delta(recorded.delta)
    if (row["epsilon"], row["delta"]) != (recorded.epsilon, recorded.delta):
        return "its epsilon or delta is not the declared one"
    if (row["rho_limit"], row["delta_limit"]) != (math.floor(rho_of(recorded.epsilon, convert) * RHO_UNIT), thresholds):
        return "its limit is not that of its epsilon and delta"
    for part in ("rho", "delta"):
        taken = sum(c[f"{part}_reserved"] if c[f"{part}_spent"] is None else c[f"{part}_spent"] for c in charges)
        if row[f"{part}_used"] != taken:
            return f"the {part} that is used is not the sum of the charges"
    audited = 0.0
    for one in recorded.reservations:
        audited += float(rho_of(one.epsilon, split_delta(one.delta)[0])) if one.rho is None else one.rho
    return "charges are missing" if row["rho_used"] / RHO_UNIT + ROUNDING < audited else ""
