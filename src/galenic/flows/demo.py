"""The demonstration: the RAND Health Insurance Experiment, from its table to a verified release, at epsilon = 1."""

import json
from dataclasses import dataclass
from importlib import resources, util
from pathlib import Path

from galenic import records, store
from galenic.errors import MissingExtra, ReleaseRefused
from galenic.flows.columns import Wishes
from galenic.flows.house import House, Progress, quiet
from galenic.flows.leave import make_key, release, sign, trust_of, verify
from galenic.flows.synthesize import Request, Result, synthesize
from galenic.records import Source

POPULATION = "rand-hie"
ROLES = ("privacy-officer", "clinician")


@dataclass(frozen=True)
class Demo:
    """How the demonstration ended. refusal: what the public policy said to the same run."""

    result: Result
    folder: Path
    checked: tuple[str, ...]
    refusal: str


def table() -> Source:
    """The table that ships inside statsmodels: 20,190 person-years of 5,912 people, public domain."""
    found = util.find_spec("statsmodels")
    if found is None or found.origin is None:
        raise MissingExtra("the demonstration's data ships in statsmodels. Install it: pip install 'galenic[demo]'")
    return records.read(Path(found.origin).parent / "datasets" / "randhie" / "src" / "randhie.csv")


def description() -> str:
    """What the demo declares of the table's columns, as TOML; its head says what is documented and what its authors had seen."""
    return (resources.files("galenic.flows") / "demo_data" / "randhie.toml").read_text(encoding="utf-8")


def demo(house: House, target: Path, *, seed: int | None = None, progress: Progress = quiet) -> Demo:
    """Runs the whole way with two throw-away keys under the internal policy, then shows the public policy refusing it."""
    house.ledger.declare(POPULATION, epsilon=1.0, delta=1e-9, actor=house.actor)
    wishes = Wishes(description=records.from_toml(description(), "randhie.toml"))
    request = Request(epsilon=1.0, delta=1e-9, population=POPULATION, wishes=wishes, target="mdvis", seed=seed)
    result = synthesize(house, table(), request, progress)
    progress("signing", 0.93)
    for role in ROLES:
        sign(house, result.run, make_key(house, f"demo-{role}-{result.run}", role).name)
    refusal = _public(house, result.run, target)
    folder, _lines = release(house, result.run, target)
    trust = target.parent / "trusted-keys.json"
    with store.file_aside(trust) as aside:
        names = tuple(f"demo-{role}-{result.run}" for role in ROLES)
        aside.write_text(json.dumps(trust_of(house, names), indent=1), encoding="utf-8")
    checked = verify(folder, trust=trust, house=house)
    progress("verified", 1.0)
    return Demo(result, folder, tuple(checked), refusal)


def _public(house: House, run: str, target: Path) -> str:
    try:
        release(house, run, target, policy_name="public")
    except ReleaseRefused as refusal:
        return str(refusal)
    return "the public policy did not refuse"
