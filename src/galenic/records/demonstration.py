"""The table of the demonstration: the RAND Health Insurance Experiment, and its description."""

from importlib import resources, util
from pathlib import Path

from galenic.errors import MissingExtraError
from galenic.records.description import from_toml
from galenic.records.reader import read
from galenic.records.source import Source
from galenic.schema import Column


def demo_table() -> Source:
    """Table from the package statsmodels: 20,190 person-years of 5,912 people, public domain."""
    found = util.find_spec("statsmodels")
    if found is None or found.origin is None:
        raise MissingExtraError("the demo's data is in the package statsmodels, which is not installed", "demo")
    return read(Path(found.origin).parent / "datasets" / "randhie" / "src" / "randhie.csv")


def demo_description() -> str:
    """Description of the table's columns, as TOML. Its header states the documented facts and those its authors had seen in the
    data."""
    return (resources.files("galenic.records") / "demo_data" / "randhie.toml").read_text(encoding="utf-8")


def demo_columns() -> tuple[Column, ...]:
    """The described columns."""
    return from_toml(demo_description(), "randhie.toml")
