"""Random histories of resources (import, HTTP, conditional requests, erasure), and a plain replay that says what must be there."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]
SYSTEM = "urn:example:replay"
STATES = ("final", "amended", "corrected", "preliminary")
STEPS = (
    ["import"] * 30 + ["bundle"] * 8 + ["nested"] * 3 + ["history"] * 6 + ["again"] * 8 + ["put"] * 16 + ["post"] * 5
    + ["delete"] * 10 + ["update where"] * 6 + ["create where"] * 6 + ["delete where"] * 4 + ["move"] * 3 + ["erase"] * 1
)  # fmt: skip


@dataclass
class Version:
    """One version of a resource. resource: None for a deletion; imported: the bytes that an import brought, "" from HTTP."""

    number: int
    person: str
    resource: Resource | None
    imported: str = ""


@dataclass
class Replay:
    """Expected state: versions by name, oldest first, and people who were erased."""

    versions: dict[str, list[Version]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)  # names whose newest version went with an erased patient

    def current(self, name: str) -> Resource | None:
        """The resource of a name; None if it was deleted or never there."""
        found = self.versions.get(name)
        return found[-1].resource if found and name not in self.lost else None

    def numbers(self, names: list[str]) -> list[int]:
        """The number of the newest version of each name."""
        return [self.versions[n][-1].number if n in self.versions else 0 for n in names]

    def live(self, value: str) -> list[str]:
        """Names of the Observations with an identifier."""
        return [
            n for n in self.versions if (r := self.current(n)) and "identifier" in r and r["identifier"][0]["value"] == value
        ]

    def of_person(self, person: str) -> set[str]:
        """Names of the Observations about a patient."""
        found = ((n, self.current(n)) for n in self.versions)
        return {n for n, r in found if r and r["resourceType"] == "Observation" and person_of(r) == person}

    def write(self, name: str, resource: Resource | None, imported: str = "", person: str = "") -> None:
        """A new version; none if an import brings the current one again, or a deletion meets nothing."""
        person = person_of(resource) if resource else person
        if person in self.erased:
            return
        before = self.versions.get(name, [])
        same = bool(imported) and before and before[-1].imported == imported and before[-1].resource is not None
        if (same and name not in self.lost) or (resource is None and self.current(name) is None):
            return
        version = Version(before[-1].number + 1 if before else 1, person, resource, imported)
        self.versions[name] = [*before, version]
        self.lost.discard(name)

    def delete(self, name: str) -> None:
        """A deletion, in the record of the patient whom the resource is about."""
        if self.current(name) is not None:
            self.write(name, None, person=self.versions[name][-1].person)

    def erase(self, person: str) -> None:
        """The patient's versions are gone."""
        self.erased.add(person)
        for name, versions in list(self.versions.items()):
            if versions and versions[-1].person == person:
                self.lost.add(name)
            self.versions[name] = [v for v in versions if v.person != person]
            if not self.versions[name]:
                del self.versions[name]
                self.lost.discard(name)


def names_in(document: Resource) -> list[str]:
    """Names that an import of a document writes."""
    if document["resourceType"] != "Bundle":
        return [f"{document['resourceType']}/{document['id']}"]
    found: list[str] = []
    for entry in document["entry"]:
        found += names_in(entry["resource"]) if "resource" in entry else [entry["request"]["url"]]
    return found


def person_of(resource: Resource) -> str:
    """The patient of a resource."""
    return str(resource["id"] if resource["resourceType"] == "Patient" else resource["subject"]["reference"][8:])


@dataclass
class Actions:
    """How steps are done. request: (method, path, resource or None, headers) → (status, resource); bring: imports documents."""

    request: Callable[[str, str, Resource | None, dict[str, str]], tuple[int, Resource]]
    bring: Callable[[list[Resource]], None]
    erase: Callable[[str], None]


class History:
    """One random history: two patients and the resources about them, which nobody else changes."""

    def __init__(self, own: str, seed: int, steps: int) -> None:
        self.own, self.random = own, random.Random(seed)
        self.replay, self.left = Replay(), steps
        self.people = [f"{own}-a", f"{own}-b"]
        self.ids = [f"{own}-o{i}" for i in range(3)]
        self.documents: list[Resource] = []
        self.bundles: dict[str, list[int]] = {}  # a Bundle since whose import nothing in it has changed is passed over
        self.unexpected: list[str] = []
        self.next = self.random.choice(STEPS)

    def observation(self, own: str, person: str = "") -> Resource:
        person = person or self.random.choice(self.people)
        return {
            "resourceType": "Observation", "id": own, "status": self.random.choice(STATES),
            "identifier": [{"system": SYSTEM, "value": own}], "code": {"text": "replay"},
            "subject": {"reference": f"Patient/{person}"}, "valueInteger": self.random.randrange(3),
        }  # fmt: skip

    def patient(self, own: str) -> Resource:
        return {"resourceType": "Patient", "id": own, "gender": self.random.choice(["male", "female"])}

    def some(self) -> Resource:
        """A resource of this history; an observation stays with its patient."""
        if self.random.random() < 0.25:
            return self.patient(self.random.choice(self.people))
        own = self.random.choice(self.ids)
        now = self.replay.current(f"Observation/{own}")
        return self.observation(own, person_of(now) if now else "")

    def step(self, actions: Actions) -> list[Resource]:
        """Does the next step; returns documents to be imported, in order, together with those of other histories."""
        self.left -= 1
        kind, self.next = self.next, self.random.choice(STEPS)
        if kind in ("import", "bundle", "nested", "history", "again"):
            return list(self._documents(kind))
        getattr(self, "_" + kind.replace(" ", "_"))(actions)
        return []

    def _documents(self, kind: str) -> Iterator[Resource]:
        if kind == "again" and self.documents:
            document = self.random.choice(self.documents)
        elif kind in ("import", "again"):
            document = self.some()
        else:
            several = {f"{r['resourceType']}/{r['id']}": r for r in (self.some() for _ in range(3))}
            document = self._bundle(kind, several)
        self.documents.append(document)
        names, whole = names_in(document), json.dumps(document)
        if document["resourceType"] != "Bundle" or self.replay.numbers(names) != self.bundles.get(whole):
            self.brought(document)
            self.bundles.setdefault(whole, self.replay.numbers(names))
        yield document

    def _bundle(self, kind: str, several: dict[str, Resource]) -> Resource:
        entries: list[Resource] = [{"resource": r} for r in several.values()]
        if kind == "history":
            versions = [{"request": {"method": "PUT", "url": n}, "resource": r} for n, r in several.items()]
            gone = self.random.choice(list(several))
            entries = [{"request": {"method": "DELETE", "url": gone}}, *versions] if self.random.random() < 0.7 else versions
            return {
                "resourceType": "Bundle",
                "type": "history",
                "entry": [{**e, "response": {"status": "200"}} for e in entries],
            }
        whole: Resource = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": whole}]} if kind == "nested" else whole

    def brought(self, document: Resource, left_out: set[str] | None = None) -> None:
        """Replays an import. left_out: names whose latest version in the document is of an erased patient, as is then its deletion."""
        left_out = set() if left_out is None else left_out
        if document["resourceType"] != "Bundle":
            name = f"{document['resourceType']}/{document['id']}"
            (left_out.add if person_of(document) in self.replay.erased else left_out.discard)(name)
            self.replay.write(name, document, json.dumps(document))
            return
        entries = document["entry"]
        for entry in reversed(entries) if document["type"] == "history" else entries:
            if "resource" in entry:
                self.brought(entry["resource"], left_out)
            elif entry["request"]["url"] not in left_out:
                self.replay.delete(entry["request"]["url"])

    def _expect(self, what: str, status: int, *expected: int) -> bool:
        if status not in expected:
            self.unexpected.append(f"{self.own}: {what} answered {status}, expected {expected}")
        return status == expected[0] and status < 300

    def _put(self, actions: Actions) -> None:
        resource = self.some()
        name = f"{resource['resourceType']}/{resource['id']}"
        status, _ = actions.request("PUT", f"/{name}", resource, {})
        if person_of(resource) in self.replay.erased:
            self._expect(f"PUT {name} of an erased patient", status, 400)
        else:
            new = self.replay.current(name) is None
            self._expect(f"PUT {name}", status, 201 if new else 200)
            self.replay.write(name, resource)

    def _move(self, actions: Actions) -> None:
        own = self.random.choice(self.ids)
        resource = self.observation(own)
        if person_of(resource) not in self.replay.erased:
            status, _ = actions.request("PUT", f"/Observation/{own}", resource, {})
            self._expect(f"PUT Observation/{own}", status, 201 if self.replay.current(f"Observation/{own}") is None else 200)
            self.replay.write(f"Observation/{own}", resource)

    def _made(self, resource: Resource, status: int, answer: Resource, what: str) -> None:
        if person_of(resource) in self.replay.erased:
            self._expect(f"{what} of an erased patient", status, 400)
        elif self._expect(what, status, 201):
            self.ids.append(answer["id"])
            self.replay.write(f"Observation/{answer['id']}", {**resource, "id": answer["id"]})

    def _post(self, actions: Actions) -> None:
        resource = self.observation(self.random.choice(self.ids))
        self._made(resource, *actions.request("POST", "/Observation", resource, {}), "POST")

    def _delete(self, actions: Actions) -> None:
        own = self.random.choice(self.ids)
        status, _ = actions.request("DELETE", f"/Observation/{own}", None, {})
        self._expect(f"DELETE Observation/{own}", status, 204)
        self.replay.delete(f"Observation/{own}")

    def _update_where(self, actions: Actions) -> None:
        value = self.random.choice(self.ids)
        live = self.replay.live(value)
        person = person_of(self.replay.current(live[0]) or {}) if live else ""
        resource = {k: v for k, v in self.observation(value, person).items() if k != "id"}
        status, answer = actions.request("PUT", f"/Observation?identifier={SYSTEM}|{value}", resource, {})
        if len(live) > 1:
            self._expect("conditional update of several", status, 412)
        elif live:
            self._expect("conditional update", status, 200)
            self.replay.write(live[0], {**resource, "id": live[0].partition("/")[2]})
        else:
            self._made(resource, status, answer, "conditional update of none")

    def _create_where(self, actions: Actions) -> None:
        value = self.random.choice(self.ids)
        live, resource = self.replay.live(value), self.observation(value)
        header = {"If-None-Exist": f"identifier={SYSTEM}|{value}"}
        status, answer = actions.request("POST", "/Observation", resource, header)
        if live:
            self._expect("conditional create", status, 200 if len(live) == 1 else 412)
        else:
            self._made(resource, status, answer, "conditional create of none")

    def _delete_where(self, actions: Actions) -> None:
        value = self.random.choice(self.ids)
        live = self.replay.live(value)
        status, _ = actions.request("DELETE", f"/Observation?identifier={SYSTEM}|{value}", None, {})
        self._expect("conditional delete", status, 204 if len(live) < 2 else 412)
        if len(live) == 1:
            self.replay.delete(live[0])

    def _erase(self, actions: Actions) -> None:
        person = self.random.choice(self.people)
        if any(v.person == person for versions in self.replay.versions.values() for v in versions):
            actions.erase(person)
            self.replay.erase(person)

    def differences(self, actions: Actions) -> list[str]:
        """Where the server differs from the replay: each resource by its id, and each patient's by a search."""
        found, self.unexpected = self.unexpected, []
        for name in [*(f"Patient/{p}" for p in self.people), *(f"Observation/{i}" for i in self.ids)]:
            found += self._read(actions, name)
        for person in self.people:
            status, answer = actions.request("GET", f"/Observation?patient={person}&_count=100", None, {})
            names = {f"Observation/{e['resource']['id']}" for e in answer.get("entry", ())}
            if status != 200 or names != self.replay.of_person(person):
                found.append(
                    f"{self.own}: search of {person} is {status} {sorted(names)}, not {sorted(self.replay.of_person(person))}"
                )
        return found

    def _read(self, actions: Actions, name: str) -> list[str]:
        status, answer = actions.request("GET", f"/{name}", None, {})
        expected, versions = self.replay.current(name), self.replay.versions.get(name)
        if expected is None:
            right = (404, 410) if name in self.replay.lost else (410,) if versions else (404,)
            return [] if status in right else [f"{self.own}: {name} is {status}, expected {right}"]
        if status != 200:
            return [f"{self.own}: {name} is {status}, expected 200"]
        meta = answer.pop("meta", {})
        number = str(versions[-1].number if versions else 0)
        if answer != expected:
            return [f"{self.own}: {name} has other content"]
        return (
            [] if meta.get("versionId") == number else [f"{self.own}: {name} is version {meta.get('versionId')}, not {number}"]
        )
