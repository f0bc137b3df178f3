"""What an erasure means for a release: it is outside, and can be recalled but not reached."""

from galenic.store import Database, all_releases


def forget(db: Database, run: str) -> str:
    """The fate of the release of a run, for the erasure receipt."""
    row = next((r for r in all_releases(db) if r["run"] == run), None)
    if row is None:
        return "was not released; nothing is outside"
    if row["state"] == "recalled":
        return "outside and recalled"
    if str(row["population"]).startswith("none"):
        return f"outside, made without a formal guarantee: recall it (galenic recall {run})"
    return "outside: synthetic rows within a privacy budget, which bounds what they can tell of one patient; may be recalled"
