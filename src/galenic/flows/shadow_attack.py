"""Shadow fits: the engine fitted again on halves of known people, as an attacker would; nothing of it leaves."""

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from galenic import records, store
from galenic.errors import BudgetError
from galenic.evidence.tables import bin_column, shadow_attack
from galenic.generators.tables import MixtureTables
from galenic.privacy import Ledger, PrivateRows, buy_domain, domain_share
from galenic.records import Split
from galenic.schema import Column, Constraint, Finding, NotMeasured, Progress, Table

MOST_ROWS = 20_000  # of each side


def attack_with_shadows(
    split: Split,
    synthetic: Table,
    columns: tuple[Column, ...],
    constraints: tuple[Constraint, ...],
    *,
    shadows: int,
    epsilon: float,
    delta: float,
    private: bool,
    target: str | None,
    least: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Finding | NotMeasured:
    """The attack on a run's synthetic rows. columns: as they were before anything was bought: shadows buy theirs, too.

    The fits' budgets stand in a ledger of their own that is thrown away: like every attack of the judge they read real rows, and
    what they find is for the signers.
    """
    train, test = (half.sample(MOST_ROWS, rng).table(synthetic.columns) for half in (split.train, split.test))
    judged = tuple(bin_column(train, c) for c in synthetic.columns)
    done = 0

    with tempfile.TemporaryDirectory() as folder:
        db = store.Database(f"sqlite:///{Path(folder) / 'ledger.db'}")
        ledger = Ledger(db)

        def make(rows: Table) -> Table:
            nonlocal done
            done += 1
            progress(f"shadow {done} of {shadows}", done / shadows)
            budget = None
            if private:
                ledger.declare(f"shadow-{done}", epsilon=epsilon, delta=delta, actor="shadow")
                budget = ledger.reserve(f"shadow-{done}", epsilon=epsilon, delta=delta, purpose="shadow", actor="shadow")
            protected = PrivateRows(records.in_memory(rows.frame), None, 1, budget)
            thresholds = budget.threshold_delta if budget else Fraction(0)
            domain = buy_domain(protected, columns, protected.rho * domain_share(columns), thresholds, min_patients=least)
            return MixtureTables(target=target, constraints=constraints, least=least).fit(protected, domain).sample(rows.rows)

        try:
            return shadow_attack(make, train, test, synthetic, judged, rng, shadows=shadows)
        except BudgetError as error:
            return NotMeasured("privacy.shadow", f"half of the people are too few for a fit of the same price: {error}")
        finally:
            db.close()
