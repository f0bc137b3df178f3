"""Expected acceptance of a synthesis by its policy, from sizes alone: no row is read for it."""

from dataclasses import dataclass

from galenic.generators.tables import TableSize, expected_quality, least_epsilon, least_patients
from galenic.release import load_policy

LIKELY = 0.5  # chance from which a result is expected to be accepted


@dataclass(frozen=True)
class ExpectedAcceptance:
    """Estimate for a table of average columns. chance: that the policy accepts, 0 to 1. pairs: expected distance of pairs of columns to
    real rows, beyond two samples of real rows; limit: of the policy. least_epsilon, least_patients: at which acceptance is likely;
    None where none is."""

    chance: float
    pairs: float
    limit: float | None
    least_epsilon: float | None
    least_patients: int | None

    @property
    def is_likely(self) -> bool:
        """Whether acceptance is more likely than a refusal."""
        return self.chance >= LIKELY


def expected_acceptance(patients: int, columns: int, epsilon: float, delta: float, policy: str) -> ExpectedAcceptance | None:
    """The expected acceptance of a synthesis of this size; None where the policy does not limit distances, or without patients."""
    names = ("fidelity.tvd1.excess", "fidelity.tvd2.excess")
    limits = {r.finding: r.at_most for r in load_policy(policy).rules if r.finding in names and r.at_most is not None}
    if not limits or not patients or not columns:
        return None
    size = TableSize(patients, columns)
    quality = expected_quality(size, epsilon, delta=delta)
    return ExpectedAcceptance(
        quality.chance(limits),
        quality.pairs,
        limits.get("fidelity.tvd2.excess"),
        least_epsilon(size, limits, delta=delta),
        least_patients(size, epsilon, limits, delta=delta),
    )
