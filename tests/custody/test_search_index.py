"""Search index of a data set."""

import pytest

from galenic.custody import build_index, search_rows
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
    with pytest.raises(GalenicError, match="galenic index build clinic"):
        search_rows(custody, custody.sign_in("ada"), "clinic", "treatment", [])
