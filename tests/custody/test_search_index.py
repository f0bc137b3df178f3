"""Search index of a data set."""

import os

import pytest

from galenic import flows, store
from galenic.custody import build_index, check_index, search_rows
from galenic.errors import GalenicError
from galenic.installation import Installation


def test_an_index_that_could_not_be_built_leaves_the_previous_one_in_use(custody: Installation) -> None:
    paul, ada = custody.sign_in("paul"), custody.sign_in("ada")
    build_index(custody, paul, "clinic", "quality")
    with pytest.raises(GalenicError, match="nocol"):
        build_index(custody, paul, "clinic", "quality", codes=("nocol",))
    assert search_rows(custody, ada, "clinic", "treatment", [("age_years", ">=", "0")]) == []  # ada treats nobody


def test_without_a_finished_index_the_search_says_how_to_build_one(custody: Installation) -> None:
    with pytest.raises(GalenicError, match="nocol"):
        build_index(custody, custody.sign_in("paul"), "clinic", "quality", codes=("nocol",))
    with pytest.raises(GalenicError, match="galenic records index build clinic"):
        search_rows(custody, custody.sign_in("ada"), "clinic", "treatment", [])


def test_a_check_counts_what_is_there_after_an_erasure_and_names_a_damaged_index(custody: Installation) -> None:
    build_index(custody, custody.sign_in("paul"), "clinic", "quality")
    before = check_index(custody, "clinic")
    assert before.is_consistent
    assert before.comparison.stored == before.comparison.indexed > 0
    flows.erase(custody, custody.sign_in("paul", "paul2"), "P000001")
    after = check_index(custody, "clinic")
    assert after.is_consistent
    assert after.comparison.stored == after.comparison.indexed < before.comparison.stored
    assert store.count_rows(custody.db, "home")["clinic"] == after.comparison.stored
    build = str(store.list_builds(custody.db, "clinic", "index")[-1]["id"])
    with (custody.shards / f"{build}.db").open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(20_000))
    damaged = check_index(custody, "clinic")
    assert not damaged.is_consistent
    assert "galenic records index build clinic" in damaged.advice
