"""Patients drawn from published rates: no real data goes in."""

from galenic.generators.simulated.cohort import cohort
from galenic.generators.simulated.course import VERSION, events
from galenic.generators.simulated.people import People, draw_people
from galenic.generators.simulated.rates import Rates, load_rates

__all__ = ["VERSION", "People", "Rates", "cohort", "draw_people", "events", "load_rates"]
