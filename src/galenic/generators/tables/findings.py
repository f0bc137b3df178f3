"""Public findings of a private fit: its price, its noise, its fit to paid measurements, and the audit of its engine."""

from galenic.generators.tables.constrained_sampling import SampledRows
from galenic.generators.tables.engine_version import ENGINE, ENGINE_VERSION, shipped_audit
from galenic.generators.tables.fit_summary import FitSummary
from galenic.privacy import Budget
from galenic.schema import Finding, NotMeasured


def fit_findings(fit: FitSummary, budget: Budget | None, cap: int) -> tuple[Finding | NotMeasured, ...]:
    """Public findings; without a budget the formal ones are NotMeasured, and every policy that requires them refuses."""
    found: list[Finding | NotMeasured] = [
        Finding("engine.fit", fit.chi2, f"{ENGINE} {ENGINE_VERSION}, chi-square per measured cell", "fact", audience="public"),
        Finding("engine.rows", float(fit.rows), "number of training rows, with noise", "fact", audience="public"),
        Finding("engine.pairs", float(fit.pairs), f"of {fit.possible_pairs} possible pairs", "fact", audience="public"),
    ]
    if budget is None:
        why = "fitted without noise: no formal guarantee"
        return (*found, *(NotMeasured(n, why, "public") for n in ("privacy.epsilon", "privacy.delta", "engine.audit")))
    unit = f"one patient's rows (at most {cap})"
    method = f"Gaussian-DP accounting of {len(budget.mechanisms)} mechanisms; neighbours differ in {unit}, added or removed"
    detail = {"rho": float(budget.rho), "mechanisms": len(budget.mechanisms), "cap": cap}
    found += [
        Finding("privacy.epsilon", budget.epsilon, method, "lower", audience="public", detail=detail),
        Finding("privacy.delta", budget.delta, method, "lower", audience="public"),
        Finding("engine.noise", fit.one_noise, "expected total variation of one column from noise alone", audience="public"),
        _audit(),
    ]
    return tuple(found)


def constraint_findings(sampled: SampledRows) -> tuple[Finding | NotMeasured, ...]:
    """Share of rows that the declared constraints rejected; nothing where none are declared."""
    if not sampled.rejected:
        return ()
    by_name = {name: n / max(sampled.tried, 1) for name, n in sampled.rejected.items()}
    method = f"share of {sampled.tried} drawn rows that a declared constraint turned down; those kept satisfy all of them"
    return (Finding("engine.rejected", sampled.rejection_rate, method, "fact", audience="public", detail=by_name),)


def _audit() -> Finding | NotMeasured:
    found = shipped_audit()
    if found is None:
        return NotMeasured("engine.audit", f"{ENGINE} {ENGINE_VERSION} ships without an audit of this version", "public")
    measuring = found["steps"]["measuring"]
    method = (
        f"lower 95 % bound of Gaussian-DP mu over the claimed mu, measuring step, {measuring['runs']} runs with "
        f"{measuring['canaries']} canaries on a made table; selection and domain audited apart"
    )
    interval = (measuring["low"] / measuring["claimed"], measuring["high"] / measuring["claimed"])
    detail = {"estimate": measuring["mu"] / measuring["claimed"], "steps": found["steps"]}
    return Finding("engine.audit", interval[0], method, "lower", interval, "public", detail)
