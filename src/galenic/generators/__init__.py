"""Learn from patients and make: tables first."""

from galenic.generators import tables

TABLES = {tables.ENGINE: tables.MixtureTables}

__all__ = ["TABLES", "tables"]
