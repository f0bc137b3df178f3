"""What a server needs of an installation: its own session, the clients that may call it, and the data set it serves."""

import json
import secrets
from pathlib import Path

from galenic import store
from galenic.errors import DescriptionError
from galenic.flows.custody import consent, import_table, init
from galenic.flows.fhir import Facade, open_facade
from galenic.flows.house import House, Progress, quiet
from galenic.flows.import_fhir import Received, import_fhir
from galenic.flows.simulate import simulate, simulated_cohort
from galenic.records import in_memory
from galenic.security import NAME, ROLES, Fact, Session, checked_jwks, token_name

SERVER = "galenic-server"
DATASET = "records"
COHORT = "simulated-cohort"
YEAR, DAY = 365 * 86_400, 86_400
EVERYTHING = "system/*.cruds"


def server_session(house: House) -> Session:
    """The server's own session; what it may do is in the policy like anybody's: bring records in, keep the index."""
    init_if_new(house)
    if house.facts.one("grant", f"{SERVER}/service") is None:
        add_client(house, SERVER, person="the server itself")
    return house.gate.begin(SERVER, how="its own process", seconds=YEAR)


def init_if_new(house: House) -> None:
    """Founds custody where there is none."""
    if house.tree.keeper.get() is None:
        init(house)


def add_client(
    house: House, name: str, *, role: str = "service", tenant: str = "home", region: str = "", person: str = "", jwks: str = "",
    scope: str = EVERYTHING,
) -> None:  # fmt: skip
    """Lets a system call, in a role. A service acts for a vendor whose agreement is in force: that is written down with it.

    jwks: the public keys by which it proves itself for access tokens (JSON Web Key Set); scope: the most that they cover.
    """
    if not NAME.match(name) or role not in ROLES:
        raise DescriptionError(
            f"a client needs a name of letters, digits, '.', '_' or '-', and one of the roles {', '.join(ROLES)}."
        )
    keys = json.dumps(checked_jwks(jwks)) if jwks else ""
    whose = person or f"client {name}"
    body = (("client", "yes"), ("jwks", keys), ("person", whose), ("region", region), ("scope", scope), ("tenant", tenant))
    facts = [Fact("grant", f"{name}/{role}", "given", name, label=role, body=body)]
    house.facts.put_many(facts)
    if role == "service":
        house.facts.put(Fact("vendor", name, "cleared", name))
    house.gate.versions.look_again()


def issue_token(
    house: House,
    who: str,
    *,
    seconds: int = DAY,
    scope: str = EVERYTHING,
    purposes: tuple[str, ...] = ("treatment", "operations"),
    how: str = "issued by hand",
    subject: int | None = None,
) -> str:
    """A secret that stands for a session until it is over; only its digest is kept."""
    secret = secrets.token_urlsafe(32)
    about = (("purposes", " ".join(purposes)), ("scope", scope))
    house.gate.begin(who, how=how, seconds=seconds, name=token_name(secret), subject=subject, about=about)
    return secret


def open_served(house: House, name: str = DATASET, progress: Progress = quiet) -> Facade:
    """The facade of a data set, by the server's own session."""
    return open_facade(house, server_session(house), name, progress)


def with_simulated(
    house: House, session: Session, folder: Path, name: str = DATASET, *, count: int = 200, seed: int = 7
) -> Received:
    """Simulated patients as a first content, so that there is something to look at; none of them exists."""
    place = folder / "simulated"
    simulate(count, place, form="fhir", seed=seed)
    return import_fhir(house, session, sorted(place.glob("*.ndjson")), name)


def with_simulated_cohort(house: House, session: Session, *, count: int = 10_000, seed: int = 7) -> None:
    """A table of simulated patients who agreed to synthetic data, so that a first release can be made; none of them exists."""
    table = simulated_cohort(count, seed=seed)
    import_table(house, session, in_memory(table), COHORT, patient="patient_id")
    consent(house, session, COHORT, table["patient_id"].to_pylist(), "synthetic-data")


def has_records(house: House, name: str = DATASET) -> bool:
    """Whether there is anything in the data set."""
    return any(d["name"] == name and int(str(d["next_row"])) > 0 for d in store.all_datasets(house.db, "home"))
