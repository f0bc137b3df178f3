"""Nothing that is sent makes the server fail, or makes an error tell of a patient."""

from pathlib import Path

import pytest

from fuzz_made import Sent, fuzz


def check(sent: Sent, least: int) -> None:
    assert sent.cases >= least
    assert not sent.failures, sent.failures[:5]
    assert not sent.told, sent.told[:5]
    assert {200, 400, 404, 422} <= set(sent.statuses), "requests reach all kinds of answers"


@pytest.mark.filterwarnings("ignore")  # schemathesis tells of operations that it can make no bad request for
def test_some_requests_that_no_honest_client_sends(tmp_path: Path) -> None:
    check(fuzz(tmp_path / "home", 2_000, 3), 2_000)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.filterwarnings("ignore")
def test_a_hundred_thousand_of_them(tmp_path: Path) -> None:
    check(fuzz(tmp_path / "home", 90_000, 400), 100_000)
