"""Simulated patients, drawn from published rates; no patient's data goes in."""

from galenic.generators.simulated.cohort import cohort_table
from galenic.generators.simulated.course import VERSION, simulate_events
from galenic.generators.simulated.dataset import (
    SimulationRequest,
    SimulationResult,
    rate_sources,
    simulate,
    simulate_cohort,
)
from galenic.generators.simulated.people import SimulatedPatients, draw_people
from galenic.generators.simulated.rates import Rates, load_rates

__all__ = [
    "VERSION",
    "Rates",
    "SimulatedPatients",
    "SimulationRequest",
    "SimulationResult",
    "cohort_table",
    "draw_people",
    "load_rates",
    "rate_sources",
    "simulate",
    "simulate_cohort",
    "simulate_events",
]
