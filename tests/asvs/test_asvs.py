"""Every row of OWASP ASVS 5.0, levels 1 and 2, is checked by something that a planted failure turns red, or has a signed reason."""

from collections.abc import Iterator

import pytest

import asvs_made
from asvs_made import CHECKS, Place
from conftest import no_data
from site_made import a_site

asvs_made.load()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch, a_site(tmp_path_factory.mktemp("asvs") / "home") as site:
        patch.setattr("galenic.security.sign_in_limits.PLACE", 10**6)  # every person here comes from the same address
        yield Place(site, tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("row", sorted(CHECKS))
def test_it_holds_and_a_planted_failure_turns_it_red(place: Place, row: str) -> None:
    check = CHECKS[row]
    check.look(place)
    with check.plant(place), pytest.raises(AssertionError):
        check.look(place)


def test_every_row_is_answered_once() -> None:
    if not asvs_made.FACTS.is_file():
        pytest.skip(no_data(asvs_made.FACTS, "GALENIC_FACTS"))
    wanted = {r["req_id"] for r in asvs_made.rows()}
    why = asvs_made.reasons()
    assert set(CHECKS) <= wanted, sorted(set(CHECKS) - wanted)
    assert not set(CHECKS) & set(why), "a row that is checked needs no reason"
    assert wanted == set(CHECKS) | set(why), sorted(wanted - set(CHECKS) - set(why))
    assert all(
        r["reason"].strip() and r["signed"].strip() and r["kind"] in ("not used", "the site's", "by hand", "left")
        for r in why.values()
    )
    assert asvs_made.count()[0] >= 150


def test_the_table_says_what_is_so() -> None:
    if not asvs_made.FACTS.is_file():
        pytest.skip(no_data(asvs_made.FACTS, "GALENIC_FACTS"))
    assert (asvs_made.ROOT / "docs" / "asvs.md").read_text(encoding="utf-8") == asvs_made.table(), (
        "write it anew: scripts/asvs_table.py"
    )
