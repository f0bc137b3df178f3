"""Patient/$everything (R4, Patient, operation everything): one patient's whole record, under one decision."""

from typing import Any

import orjson

from galenic import store
from galenic.errors import AccessDenied, NotHere, RecordError
from galenic.flows.fhir.answer import DECISION, Answer, Asking, Resource, shown
from galenic.flows.fhir.facade import Facade
from galenic.flows.fhir.read import NOT_HERE
from galenic.flows.fhir.search import read_cursor, write_cursor

COUNT, MOST = 200, 1_000
KNOWN = ("_count", "_since", "_type", "_cursor", "start", "end")


def everything(facade: Facade, asking: Asking, own: str, given: list[tuple[str, str]]) -> Answer:
    """A page of the record: the patient first, then what is the patient's in the order of writing. NotHere as for a read."""
    from galenic.records.fhir import span  # noqa: PLC0415

    asked = {k: v for k, v in given if v}
    strange = sorted({k for k in asked if k not in KNOWN or k in ("start", "end")})
    if strange:
        raise RecordError(
            f"$everything knows _count, _since and _type, not: {', '.join(n for n in strange if n.isascii())[:100]}."
        )
    count = _count(asked.get("_count", str(COUNT)))
    kinds = tuple(k for k in asked.get("_type", "").split(",") if k)
    try:
        since = span(asked["_since"])[0] if "_since" in asked else 0
    except (ValueError, OverflowError):
        raise RecordError("_since is no instant. Expected 2026-11-30T10:00:00Z.") from None
    found = facade.locate(f"Patient/{own}")
    subject, patient = (found[1], found[2]) if found else ("unknown", True)
    try:
        handle = facade.house.gate.open(asking.session, "read", facade.place(subject, patient), asking.purpose, why=asking.why)
    except AccessDenied as refused:
        raise NotHere(NOT_HERE) from refused
    place = f"Patient/{own}/$everything"
    with handle:
        if found is None or not found[3]:
            raise NotHere(NOT_HERE)
        plain = [(k, v) for k, v in given if k != "_cursor"]
        at: dict[str, Any] = read_cursor(facade, asking, place, plain, asked["_cursor"]) if "_cursor" in asked else {}
        rows = facade.index.of_subject(int(found[1]), at.get("after", -1), count + 1, since, kinds)
        rows = [h for h in rows if asking.may(h.name.partition("/")[0])]
        more, rows = len(rows) > count, rows[:count]
        kept = store.read_rows(facade.house.db, facade.known, {int(found[1]): handle}, [h.row for h in rows])
        entries = [_entry(facade, asking, kept[h.row], handle.decision) for h in rows if h.row in kept]
        head: Resource = {"resourceType": "Bundle", "type": "searchset", "link": []}
        if more:
            cursor = write_cursor(facade, asking, place, plain, {"after": rows[-1].row})
            head["link"] = [
                {"relation": "next", "url": f"{asking.base}/{place}?_cursor={cursor}" + "".join(f"&{k}={v}" for k, v in plain)}
            ]
        else:
            del head["link"]
        return Answer(200, orjson.dumps({**head, "entry": entries} if entries else head), decision=handle.decision)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise RecordError(f"_count is no whole number from 1 to {MOST:,}.")
    return int(text)


def _entry(facade: Facade, asking: Asking, kept: store.Kept, decision: int) -> Resource:
    return {
        "extension": [{"url": DECISION, "valueString": str(decision)}],
        "fullUrl": f"{asking.base}/{kept.type}/{kept.id}",
        "resource": orjson.Fragment(shown(kept, facade.imported_at)),
        "search": {"mode": "match"},
    }
