"""Every type of resource that a policy can name says which facts its decisions need."""

import tomllib
from importlib.resources import files

import pytest

from galenic.security import RESOURCE_TYPES, TYPES, from_cedar
from galenic.security.cedar import ENTITY
from galenic.security.resource_types import NOBODY, resource_type
from galenic.store import Rows


class KnownFacts:
    """One data set and one destination."""

    def is_known_dataset(self, name: str) -> bool:
        return name == "clinic"

    def is_allowed_destination(self, name: str) -> bool:
        return name == "provider"


def test_every_type_of_the_shipped_policy_is_registered() -> None:
    policy = tomllib.loads(files("galenic.security").joinpath("policy.toml").read_text(encoding="utf-8"))
    named = {kind for rule in (*policy["permit"], *policy["forbid"]) for kind in rule.get("types", [])}
    assert named == set(RESOURCE_TYPES) == set(TYPES)


def test_every_type_has_its_own_name_in_cedar() -> None:
    names = {name: resource_type.cedar_name for name, resource_type in RESOURCE_TYPES.items()}
    assert names == {name: name.capitalize() for name in RESOURCE_TYPES}, "names in stored policies are kept"
    assert names == ENTITY
    for name in RESOURCE_TYPES:
        source = f'permit(principal, action, resource is {names[name]}) when {{ context.roles.contains("nurse") }};'
        assert from_cedar(source).rules[0].types == {name}


@pytest.mark.parametrize(
    ("resource", "dataset", "subject", "rows"),
    [
        pytest.param("dataset/clinic", "clinic", "", Rows(), id="all rows of a data set"),
        pytest.param("record/clinic/17", "clinic", "17", Rows(subject=17), id="one patient's part"),
        pytest.param("record/clinic/new", "clinic", "new", Rows(subject=NOBODY), id="a new patient has no rows yet"),
        pytest.param("directory/clinic", "clinic", "", Rows(subject=NOBODY), id="the directory is about no patient"),
        pytest.param("directory/2024", "2024", "", Rows(subject=NOBODY), id="the name of a data set is no subject"),
        pytest.param("subject/17", "", "17", Rows(subject=17), id="one patient in all data sets"),
        pytest.param("house/audit", "", "", Rows(), id="the installation"),
        pytest.param("outside/provider", "", "", Rows(), id="a destination"),
        pytest.param("ship/1", "", "", Rows(), id="a type that no policy can name"),
    ],
)
def test_a_resource_names_its_data_set_subject_and_rows(resource: str, dataset: str, subject: str, rows: Rows) -> None:
    kind, name = resource_type(resource)
    assert (kind.dataset(name), kind.subject(name), kind.rows(name)) == (dataset, subject, rows)


@pytest.mark.parametrize(
    ("resource", "action", "reason"),
    [
        pytest.param("dataset/clinic", "read", "", id="a known data set"),
        pytest.param("dataset/other", "read", "no-dataset", id="an unknown data set"),
        pytest.param("dataset/other", "import", "", id="a data set that is being imported"),
        pytest.param("record/other/17", "read", "no-dataset", id="a record of an unknown data set"),
        pytest.param("directory/other", "read", "no-dataset", id="the directory of an unknown data set"),
        pytest.param("outside/provider", "call", "", id="a declared destination"),
        pytest.param("outside/other", "call", "no-destination", id="an undeclared destination"),
        pytest.param("subject/17", "erase", "", id="a patient"),
    ],
)
def test_a_decision_needs_the_facts_of_its_type(resource: str, action: str, reason: str) -> None:
    kind, name = resource_type(resource)
    assert kind.missing(name, action, KnownFacts()) == reason
