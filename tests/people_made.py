"""People with roles and sessions, made without a browser."""

from galenic.installation import Installation
from galenic.security import Session, token_name


def grown(installation: Installation, name: str, *roles: str) -> Session:
    """A person with roles, and a session in which the person has just authenticated again."""
    human = f"{name}@clinic.example"
    installation.people.write(name, human, name, "active")
    for role in roles:
        installation.people.grant(name, human, role, by="sofia", approved="otto")
    return confirmed(installation, name)


def confirmed(installation: Installation, name: str) -> Session:
    """A session of a person who has just authenticated again."""
    found = installation.gate.session(token_name(installation.people.begin(name, "passkey", "x")))
    assert found is not None
    again = installation.gate.session(token_name(installation.people.step_up(found[0], "passkey")))
    assert again is not None
    return again[0]
