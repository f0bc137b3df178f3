"""Custody of state: the database, files that appear whole, rows of ledger, audit and register."""

from galenic.store.database import Database
from galenic.store.files import file_aside, folder_aside, sweep
from galenic.store.rows import (
    Row,
    add_population,
    add_release,
    all_audit,
    all_populations,
    all_releases,
    append_audit,
    charges_of,
    count_refusal,
    recall_release,
    reserve,
    settle,
)

__all__ = [
    "Database",
    "Row",
    "add_population",
    "add_release",
    "all_audit",
    "all_populations",
    "all_releases",
    "append_audit",
    "charges_of",
    "count_refusal",
    "file_aside",
    "folder_aside",
    "recall_release",
    "reserve",
    "settle",
    "sweep",
]
