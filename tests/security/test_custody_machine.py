"""Random sequences of what people do to custody; no order of steps breaks what custody promises."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from custody_machine import Custody


def test_no_short_sequence_breaks_a_promise() -> None:
    quick = settings(max_examples=6, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Custody, settings=quick)


@pytest.mark.slow
@pytest.mark.timeout(10_800)
def test_no_sequence_of_100_000_steps_breaks_a_promise() -> None:
    long = settings(max_examples=1_000, stateful_step_count=100, deadline=None, suppress_health_check=list(HealthCheck))
    before = Custody.steps
    run_state_machine_as_test(Custody, settings=long)
    assert Custody.steps - before >= 90_000  # sequences may end early, where no rule applies
