"""Decisions that two people, one use or a limit make hold when many try at the same moment: each raced 50 times."""

from dataclasses import replace
from functools import partial

from galenic.errors import StateError
from galenic.installation import Installation
from galenic.security import Fact
from races import TIMES, race, winners


def test_of_two_changes_of_a_fact_one_stands(raced: Installation) -> None:
    for turn in range(TIMES):
        before = Fact("vendor", f"vendor-{turn}", "proposed")
        raced.facts.put(before, quiet=True)
        swaps = [partial(raced.facts.swap, before, replace(before, state=s), quiet=True) for s in ("cleared", "refused")]
        found = race(*swaps)
        assert winners(found) == 1, found
        assert {type(e) for e in found} == {type(None), StateError}


def test_of_two_new_facts_of_one_key_one_stands(raced: Installation) -> None:
    for turn in range(TIMES):
        facts = [Fact("vendor", f"vendor-{turn}", "cleared", who) for who in ("a", "b")]
        assert winners(race(*(partial(raced.facts.swap, None, f, quiet=True) for f in facts))) == 1
