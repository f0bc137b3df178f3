"""Plain labels of the events in the audit log. Event names are stored data; the labels are for people."""

import tomllib
from functools import lru_cache
from importlib import resources


@lru_cache(1)
def event_labels() -> dict[str, str]:
    """Label of each event, by its name in the audit log."""
    return tomllib.loads(resources.files("galenic.security").joinpath("event_labels.toml").read_text(encoding="utf-8"))


def event_label(action: str) -> str:
    """Label of one event; its name if it has no label. A row about several facts (fact.person+credential) names each change."""
    labels = event_labels()
    kind, _, names = action.partition(".")
    if kind == "fact" and "+" in names:
        return "; ".join(labels.get(f"fact.{name}", name) for name in names.split("+"))
    return labels.get(action, action)
