"""Token vault: originals of tokens, encrypted with the key of their patient, so that erasing the patient destroys them."""

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.store.cells import bind, open_cells, seal_cells
from galenic.store.database import Database
from galenic.store.datasets import Dataset, resource
from galenic.store.grant import AbstractGrant, require_grant
from galenic.store.tables import vault

_CELLS = ("kind", "value")


def put_tokens(db: Database, grant: AbstractGrant, known: Dataset, tokens: list[tuple[int, str, str, str]]) -> int:
    """Stores (subject, token, kind, value) of a data set. Returns the number of new tokens. A token never changes its value."""
    name = str(known["name"])
    require_grant(grant, resource(name), "train")
    keys = {s: AESGCM(k) for s, k in grant.keys(sorted({t[0] for t in tokens})).items()}
    places = grant.tokens("vault", [f"{name}\0{t[1]}" for t in tokens])
    new = 0
    with db.transaction(grant.tenant) as c:
        for start in range(0, len(tokens), 500):
            part = dict(zip(places[start : start + 500], tokens[start : start + 500], strict=True))
            there = {bytes(r[0]) for r in c.execute(sa.select(vault.c.token).where(vault.c.token.in_(list(part))))}
            rows = [
                {
                    "token": place, "dataset": name, "tenant": grant.tenant, "subject": subject,
                    "cells": seal_cells(keys[subject], f"vault/{name}", _row(place), subject, list(zip(_CELLS, (kind, value), strict=True))),
                }
                for place, (subject, _, kind, value) in part.items() if place not in there and subject in keys
            ]  # fmt: skip
            if rows:
                c.execute(vault.insert(), rows)
            new += len(rows)
    grant.require_active(new, 2 * new)
    return new


def reveal_token(db: Database, grant: AbstractGrant, known: Dataset, token: str) -> tuple[str, str] | None:
    """(kind, value) of a token; None if it is unknown, or its patient was erased."""
    name = str(known["name"])
    require_grant(grant, resource(name), "reveal")
    place = grant.token("vault", f"{name}\0{token}")
    with db.reading(grant.tenant) as c:
        row = c.execute(sa.select(vault.c.subject, vault.c.cells).where(vault.c.token == place)).first()
    if row is None:
        return None
    keys = grant.keys([int(row[0])])
    if int(row[0]) not in keys:
        return None
    places = bind(f"vault/{name}", list(enumerate(_CELLS)))
    kind, value = open_cells(AESGCM(keys[int(row[0])]), f"vault/{name}", _row(place), int(row[0]), places, row[1])
    grant.require_active(1, 2)
    return str(kind), str(value)


def subject_of_token(db: Database, grant: AbstractGrant, known: Dataset, token: str) -> int | None:
    """The subject whose value a token replaced; None if it is unknown, or its patient was erased."""
    name = str(known["name"])
    require_grant(grant, resource(name), "reveal")
    with db.reading(grant.tenant) as c:
        found = c.execute(sa.select(vault.c.subject).where(vault.c.token == grant.token("vault", f"{name}\0{token}"))).first()
    return int(found[0]) if found else None


def _row(place: bytes) -> int:
    """Associated data that binds a token's cells to its row."""
    return int.from_bytes(place[:7], "big")
