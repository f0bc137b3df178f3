"""Read, vread and history: one resource of one patient, under one decision."""

import orjson

from galenic import store
from galenic.errors import AccessDenied, Gone, NotHere
from galenic.flows.fhir.answer import Answer, Asking, Resource, instant, shown, updated_of
from galenic.flows.fhir.facade import Facade
from galenic.security import Pass

NOT_HERE = "there is no such resource here, or none that you may know of."
MOST_VERSIONS = 200


def read(facade: Facade, asking: Asking, kind: str, own: str) -> Answer:
    """The newest version. NotHere where there is none or the gate says no: the answer, and the work for it, is the same."""
    found = facade.locate(f"{kind}/{own}")
    row, _subject, _patient, live = found or (-1, -1, True, False)
    with _opened(facade, asking, found) as handle:
        kept = store.read_rows(facade.house.db, facade.known, {_subject: handle}, [row]).get(row)
        if kept is None:
            raise NotHere(NOT_HERE)
        if not live:
            raise Gone(f"{kind} of this id was deleted. Its versions may be read: {kind}/[id]/_history")
        return _answer(facade, handle, kept)


def version(facade: Facade, asking: Asking, kind: str, own: str, number: str) -> Answer:
    """One version. Those of another patient, whose the resource was before, are not among them."""
    found = facade.locate(f"{kind}/{own}")
    with _opened(facade, asking, found) as handle:
        assert found is not None
        every = store.versions_of(facade.house.db, handle, facade.known, [f"{kind}/{own}"], found[1])
        kept = next((k for k in every if str(k.version) == number), None)
        if kept is None:
            raise NotHere(NOT_HERE)
        if kept.about.get("deleted"):
            raise Gone("this version is a deletion. There is nothing to read in it.")
        return _answer(facade, handle, kept)


def history(facade: Facade, asking: Asking, kind: str, own: str) -> Answer:
    """Every version, newest first, as a Bundle."""
    found = facade.locate(f"{kind}/{own}")
    with _opened(facade, asking, found) as handle:
        assert found is not None
        every = store.versions_of(facade.house.db, handle, facade.known, [f"{kind}/{own}"], found[1])[:MOST_VERSIONS]
        if not every:
            raise NotHere(NOT_HERE)
        entries = [_entry(facade, asking, handle, k) for k in every]
    head: Resource = {"resourceType": "Bundle", "type": "history", "total": len(entries)}
    head["link"] = [{"relation": "self", "url": f"{asking.base}/{kind}/{own}/_history"}]
    return Answer(200, orjson.dumps({**head, "entry": entries}), decision=handle.decision)


def _entry(facade: Facade, asking: Asking, handle: Pass, kept: store.Kept) -> Resource:
    from galenic.flows.fhir.answer import DECISION  # noqa: PLC0415

    name, gone = f"{kept.type}/{kept.id}", bool(kept.about.get("deleted"))
    method, status = ("DELETE", "204") if gone else ("PUT", "200") if kept.version > 1 else ("POST", "201")
    when = instant(updated_of(kept, facade.imported_at))
    entry: Resource = {
        "extension": [{"url": DECISION, "valueString": str(handle.decision)}],
        "fullUrl": f"{asking.base}/{name}",
    }
    if not gone:
        entry["resource"] = orjson.Fragment(shown(kept, facade.imported_at))
    entry["request"] = {"method": method, "url": kept.type if method == "POST" else name}
    return {**entry, "response": {"status": status, "etag": f'W/"{kept.version}"', "lastModified": when}}


def _opened(facade: Facade, asking: Asking, found: tuple[int, int, bool, bool] | None) -> Pass:
    """A decision about whose it is; where it is nobody's that one may know of, a refusal that looks like absence."""
    subject, patient = (found[1], found[2]) if found else ("unknown", True)
    try:
        place = facade.place(subject, patient)
        handle = facade.house.gate.open(asking.session, "read", place, asking.purpose, why=asking.why)
    except AccessDenied as refused:
        raise NotHere(NOT_HERE) from refused
    if found is None:
        with handle:
            raise NotHere(NOT_HERE)
    return handle


def _answer(facade: Facade, handle: Pass, kept: store.Kept) -> Answer:
    updated = updated_of(kept, facade.imported_at)
    return Answer(200, shown(kept, facade.imported_at), kept.version, updated, decision=handle.decision)
