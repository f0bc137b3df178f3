"""Name and version of the table engine, and the audit that ships with it."""

import json
from importlib import resources
from typing import Any

ENGINE = "galenic-mixture"
ENGINE_VERSION = "2"


def shipped_audit() -> dict[str, Any] | None:
    """The audit of this engine version on public canaries (benchmarks/audit_engine.py), or None if there is none."""
    place = resources.files("galenic.generators.tables") / "audit.json"
    if not place.is_file():
        return None
    audit: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return audit if (audit["engine"], audit["version"]) == (ENGINE, ENGINE_VERSION) else None
