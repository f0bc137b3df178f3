"""Requests that no honest client sends: by schemathesis from the OpenAPI description, and by naughty strings wherever text is taken."""

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from server_made import a_server

CANARIES = ("CANARY-Wolfgangina", "CANARY-1971-03-09", "CANARY-00417")  # in records that errors must not tell of
NAUGHTY = [
    "", " ", "\t\n", "\xa0", "undefined", "null", "nil", "None", "true", "false", "NaN", "Infinity", "-Infinity", "0", "-0", "-1",
    "1e309", "0x0", "1/0", '9' * 400, "2147483648", "-9223372036854775809", "1.0000000000000000000001", ".", "..", "/", "//", '\\',
    "%", "%%", "%s%n", "%2e%2e%2f", "../../../../etc/passwd", "..\\..\\windows\\win.ini", "file:///etc/passwd",
    "http://169.254.169.254/latest", "javascript:alert(1)", "'", '"', "`", "' OR '1'='1", "'; DROP TABLE originals;--",
    "1; SELECT pg_sleep(5)", '" OR ""="', "') UNION SELECT key FROM nodes--", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>",
    "{%print(1)%}", "{0.__class__}", "__proto__", "constructor", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>', "<!--", "]]>", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>',
    "&#x27;", "&lt;", "\x00", "a\x00b", "\x7f", "\x1b[31m", "\r\nSet-Cookie: x=y", "\r\n\r\nHTTP/1.1 200 OK", "\ufeff", "\u202e",
    "\u2028", "\ufffe", "\U0001f9ec", "\U0001d53e\U0001d552\U0001d55d\U0001d556\U0001d55f", "\xc5\u030a", "\ufb03", "\u0130stanbul",
    "\xdf", "\u8868\u30dd\u3042A\u9dd7", "\u7530\u4e2d\u3055\u3093", "\u0627\u0644\u0635\u0641\u062d\u0629",
    "\u03a9\u2248\xe7\u221a\u222b", "\uff53\uff43\uff52\uff49\uff50\uff54", '\u0336' * 200, 'a' * 5000, "$(id)", "`id`", "| id",
    "; id", "&& id", "-rf", "--help", "@", "#", "?", "=", "&", "+", "~", ":", ",", "|", "$", "!", "*", "(", ")", "[", "]", "[]",
    "{}", "[[[[[[", '{"a":', "*:*", "ge", "ge2026-13-45", "2026-02-30", "9999999-01-01", "eb0000", "sa99999999999",
    "http://loinc.org|", "|", "||", "Patient/", "Patient/../Observation", "/Patient/1", "urn:uuid:zzz", "urn:oid:1.2.3", "#x",
    "Patient/1/_history/", "a|b|c|d", "1||mg", "1$2$3", "\\,", "\\$", "\\|", "_has:_has:_has",
    "subject:Patient.subject:Patient.subject", "en-GB", "gzip", "respond-async", 'W/""', 'W/"999999999999999999999"', "*",
    "Basic Og==", "Bearer", "Bearer null", "eyJhbGciOiJub25lIn0.e30.", "multipart/form-data", "application/xml", 'text/html;q="',
]  # fmt: skip
KINDS = (
    "Patient",
    "Observation",
    "Condition",
    "Encounter",
    "Group",
    "AuditEvent",
    "Nonsense",
    "patient",
    "Bundle",
    "Binary",
    "List",
)
PARAMETERS = (
    "_id", "_lastUpdated", "_sort", "_count", "_include", "_revinclude", "_has", "_summary", "_elements", "_total", "_cursor",
    "_filter", "_text", "_content", "_tag", "_profile", "name", "identifier", "birthdate", "code", "value-quantity", "date",
    "subject", "subject:Patient.name", "patient", "code-value-quantity", "combo-code", "general-practitioner",
    "_has:Observation:patient:code", "name:exact", "name:contains", "birthdate:missing", "code:text", "code:not", "code:in",
    "subject:identifier", "_type", "_format", "_pretty", "",
)  # fmt: skip
HEADERS = (
    "Accept", "Accept-Encoding", "Content-Type", "Content-Encoding", "If-Match", "If-None-Match", "If-Modified-Since",
    "If-None-Exist", "Prefer", "X-Galenic-Purpose", "X-Galenic-Why", "Authorization", "Cookie", "Host", "X-Forwarded-For",
    "X-Forwarded-Host", "X-HTTP-Method-Override", "Origin", "Referer", "Range", "Accept-Language", "X-CSRF",
)  # fmt: skip
PAGES = (
    "/", "/sign-in", "/sign-in/second", "/set-up", "/account", "/releases", "/releases/{}", "/releases/{}/report",
    "/releases/{}/trusted-keys", "/releases/{}/recall-notice", "/budget",
    "/consent", "/audit", "/audit/{}/proof", "/patients", "/patients/{}", "/people", "/policy", "/clients", "/data",
    "/data/{}/quality", "/synthesis", "/jobs", "/jobs/{}", "/jobs/{}/now", "/keys", "/authorize", "/confirm", "/invitation/{}",
    "/invitation/{}/with/{}", "/sign-in/with/{}", "/sign-in/with/{}/back", "/static/{}", "/openapi.json", "/{}",
)  # fmt: skip
FORMS: dict[str, tuple[str, ...]] = {
    "/set-up": ("code", "name", "shown", "human", "password"),
    "/sign-in": ("name", "password", "next"),
    "/sign-in/second": ("code", "next"),
    "/invitation/x": ("password",),
    "/confirm": ("csrf", "code", "next"),
    "/account/password": ("csrf", "old", "new"),
    "/account/apps": ("csrf", "app"),
    "/people/invite": ("csrf", "name", "shown", "human", "role"),
    "/people/role": ("csrf", "name", "role", "verb"),
    "/people/decide": ("csrf", "key", "verb"),
    "/people/leave": ("csrf", "name"),
    "/people/reset": ("csrf", "name"),
    "/people/recover": ("csrf", "name"),
    "/people/recover/decide": ("csrf", "name", "verb"),
    "/account/notices": ("csrf", "key"),
    "/clients": ("csrf", "name", "scope", "purposes", "hours", "jwks"),
    "/clients/decide": ("csrf", "key", "verb"),
    "/clients/remove": ("csrf", "name"),
    "/clients/token": ("csrf", "name", "hours", "scope", "purposes"),
    "/releases/x/sign": ("csrf", "role", "digest", "evidence_read", "comment"),
    "/releases/x/ask": ("csrf", "question"),
    "/releases/x/answer": ("csrf", "number", "answer"),
    "/releases/x/reject": ("csrf", "reason"),
    "/consent": ("csrf", "patient"),
    "/budget": ("csrf", "population", "epsilon"),
    "/synthesis": ("csrf", "dataset", "epsilon", "target", "policy"),
    "/synthesis/cost": ("csrf", "dataset", "epsilon"),
    "/jobs/x/stop": ("csrf",),
    "/policy": ("csrf", "text"),
    "/authorize": ("csrf", "query", "verdict"),
    "/auth/token": (
        "grant_type",
        "client_assertion",
        "client_assertion_type",
        "scope",
        "code",
        "refresh_token",
        "client_id",
        "code_verifier",
    ),
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "fuzzed",
    "name": [{"family": "Fuzz", "given": ["A"]}],
    "gender": "female",
    "birthDate": "1970-01-01",
    "identifier": [{"system": "urn:x", "value": "1"}],
    "link": [{"other": {"reference": "Patient/x"}, "type": "seealso"}],
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "extension": [{"url": "urn:e", "valueString": "x"}],
    "contact": [{"telecom": [{"system": "phone", "value": "1"}]}],
    "photo": [{"contentType": "image/png", "data": "iVBORw0KGgo="}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "fuzzed",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
    "subject": {"reference": "Patient/fuzzed"},
    "effectiveDateTime": "2026-05-01",
    "valueQuantity": {"value": 120, "unit": "mm[Hg]"},
    "component": [{"code": {"text": "x"}, "valueRange": {"low": {"value": 1}, "high": {"value": 2}}}],
    "note": [{"text": "x"}],
}


@dataclass
class Sent:
    """What was sent and answered. wrong: requests that were answered by 500 or more, or by an error that tells a canary."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    refused: int = 0  # by the client's own library: such bytes can not be sent by it

    @property
    def cases(self) -> int:
        return sum(self.statuses.values())

    def take(self, what: str, status: int, text: str) -> None:
        self.statuses[status] += 1
        if status >= 500:
            self.failures.append(f"{what}: {status} {text[:200]}")
        if status >= 400 and any(c in text for c in CANARIES):
            self.told.append(what)


Request = tuple[str, str, dict[str, str], bytes | None]


def leaves(thing: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every value within a resource."""
    if isinstance(thing, dict):
        for k, v in thing.items():
            yield from leaves(v, (*path, k))
    elif isinstance(thing, list):
        for i, v in enumerate(thing):
            yield from leaves(v, (*path, i))
    yield path


def put(thing: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The same with one value in another's place."""
    if not path:
        return value
    copy = dict(thing) if isinstance(thing, dict) else list(thing)
    copy[path[0]] = put(thing[path[0]], path[1:], value)
    return copy


WRONG_TYPES: tuple[Any, ...] = (None, [], {}, 0, 1.5, True, [[]], {"a": {}}, "x", [None], {"": ""}, 10**30)
JSON = "application/fhir+json"


PLACES = [(r, p) for r in (PATIENT, OBSERVATION) for p in leaves(r) if p]


class Maker:
    """Requests with one naughty thing in each. csrf: of a session, so that forms are read."""

    def __init__(self, seed: int, csrf: str) -> None:
        self.chance, self.csrf = random.Random(seed), csrf

    def word(self) -> str:
        one = self.one(NAUGHTY)
        return one if self.chance.random() < 0.8 else one + self.one(NAUGHTY)

    def one(self, things: Sequence[Any]) -> Any:
        return self.chance.choice(things)

    def search(self) -> Request:
        given = [f"{quote(self.one(PARAMETERS), safe=':')}={quote(self.word())}" for _ in range(self.chance.randint(1, 3))]
        return "GET", f"/fhir/{self.one(KINDS)}?{'&'.join(given)}", {}, None

    def path(self) -> Request:
        own = quote(self.word(), safe=self.one(["", "/"]))
        tail = self.one(["", "/_history", f"/_history/{own}", "/$everything", "/$export", f"?{own}"])
        return self.one(["GET", "DELETE", "HEAD"]), f"/fhir/{self.one((*KINDS, own, 'bulk'))}/{own}{tail}", {}, None

    def write(self) -> Request:
        resource, place = self.one(PLACES)
        value = self.word() if self.chance.random() < 0.6 else self.one(WRONG_TYPES)
        body = json.dumps(put(resource, place, value)).encode()
        if self.chance.random() < 0.2:
            body = body[: self.chance.randrange(len(body))]
        kind = resource["resourceType"]
        method, where = self.one(
            [("POST", f"/fhir/{kind}"), ("PUT", f"/fhir/{kind}/fuzzed"), ("POST", f"/fhir/{kind}/$validate")]
        )
        return method, where, {"Content-Type": JSON}, body

    def patch(self) -> Request:
        verb = self.one(["add", "remove", "replace", "move", "copy", "test", self.word()])
        op = {
            "op": verb,
            "path": "/" + self.word(),
            "from": self.one(["", "/name", self.word()]),
            "value": self.one((self.word(), *WRONG_TYPES)),
        }
        body = json.dumps(self.one([[op], op, [op, op], [self.word()]])).encode()
        return "PATCH", "/fhir/Patient/fuzzed", {"Content-Type": "application/json-patch+json"}, body

    def bundle(self) -> Request:
        resource, place = self.one(PLACES)
        method = self.one(["POST", "PUT", "GET", "DELETE", self.word()])
        asked = {"method": method, "url": self.one([self.word(), resource["resourceType"], "Patient/fuzzed"])}
        entry = {"fullUrl": self.word(), "resource": put(resource, place, self.word()), "request": asked}
        entries = self.one([[entry], [entry, entry], entry, self.word()])
        whole = {"resourceType": "Bundle", "type": self.one(["batch", "transaction", self.word()]), "entry": entries}
        return "POST", "/fhir", {"Content-Type": JSON}, json.dumps(whole).encode()

    def header(self) -> Request:
        value = "".join(c for c in self.word() if c not in "\r\n\x00").strip()[:2_000]
        return self.one(["GET", "POST", "PUT"]), f"/fhir/{self.one(KINDS)}", {self.one(HEADERS): value}, None

    def page(self) -> Request:
        place = self.one(PAGES)
        for _ in range(place.count("{}")):
            place = place.replace("{}", quote(self.word(), safe="") or "x", 1)
        given = "&".join(f"{n}={quote(self.word())}" for n in ("page", "said", "next", "name"))
        return "GET", f"{place}?{given}", {}, None

    def form(self) -> Request:
        place, given = self.one(list(FORMS)), {}
        for n in FORMS[place]:
            whole = n == "csrf" and self.chance.random() < 0.9
            given[n] = self.csrf if whole else self.word() if self.chance.random() < 0.7 else "x"
        body = "&".join(f"{n}={quote(v)}" for n, v in given.items())
        return "POST", place, {"Content-Type": "application/x-www-form-urlencoded"}, body.encode()

    def requests(self) -> Iterator[Request]:
        """Requests without end."""
        kinds = [
            self.search,
            self.search,
            self.search,
            self.path,
            self.write,
            self.write,
            self.patch,
            self.bundle,
            self.header,
            self.page,
            self.form,
        ]
        for kind in itertools.cycle(kinds):
            yield kind()


def naughty(
    base: str, tokens: tuple[str, ...], count: int, *, cookies: dict[str, str] | None = None, csrf: str = "x", seed: int = 1
) -> Sent:
    """So many requests with naughty strings, by several clients at once, with each of these tokens in turn."""
    sent = Sent()
    waiting = itertools.islice(Maker(seed, csrf).requests(), count)
    limits = httpx.Limits(max_connections=8)
    with (
        httpx.Client(base_url=base, timeout=60, trust_env=False, limits=limits, cookies=cookies) as web,
        ThreadPoolExecutor(6) as pool,
    ):

        def one(given: tuple[int, Request]) -> None:
            number, (method, place, headers, body) = given
            named = {"Authorization": f"Bearer {tokens[number % len(tokens)]}", **headers}
            raw = {k: v.encode("utf-8", "replace") for k, v in named.items()}
            try:
                request = web.build_request(method, place, headers=[("User-Agent", AGENT), *raw.items()], content=body)  # type: ignore[arg-type]
                answer = web.send(request)
            except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError, ValueError):
                sent.refused += 1
                return
            except httpx.TransportError:
                sent.statuses[0] += 1  # such bytes end the connection
                return
            sent.take(f"{method} {place} {headers} {(body or b'')[:300]!r}", answer.status_code, answer.text)

        for _ in pool.map(one, enumerate(waiting)):
            pass
    return sent


def schemathesised(base: str, tokens: tuple[str, ...], each: int) -> Sent:
    """Requests as schemathesis makes them from /openapi.json, good ones and bad ones; so many of each operation."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis import GenerationMode

    with httpx.Client(base_url=base, trust_env=False) as web:
        described = web.get("/openapi.json").json()
    described["paths"]["/fhir/{type}"]["get"]["parameters"][0]["schema"]["enum"][:] = [
        "Patient",
        "Observation",
        "Condition",
        "Encounter",
    ]
    schema = schemathesis.openapi.from_dict(described)
    sent = Sent()
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as web:
        for operation in schema.get_all_operations():
            made = operation.ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

                @settings(
                    max_examples=each, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
                )
                @given(made.as_strategy(generation_mode=mode))
                def one(case: Any) -> None:
                    _send(web, base, case, tokens[sent.cases % len(tokens)], sent)

                try:
                    one()
                except Exception as error:  # an operation that no bad request can be made of
                    if "Unsatisfiable" not in type(error).__name__ and "negate" not in str(error).lower():
                        raise
    return sent


def _send(web: httpx.Client, base: str, case: Any, token: str, sent: Sent) -> None:
    try:
        given = case.as_transport_kwargs(base_url=base)
        headers = {str(k): str(v) for k, v in dict(given.get("headers") or {}).items()}
        headers["Authorization"] = f"Bearer {token}"
        body: dict[str, Any] = {}
        if given.get("json") is not None:
            body["content"] = json.dumps(given["json"]).encode()
        elif given.get("data") is not None:
            body["data" if isinstance(given["data"], dict) else "content"] = given["data"]
        place = str(given["url"])
        request = web.build_request(case.method, place, params=given.get("params"), headers=headers, **body)
        answer = web.send(request)
    except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError, ValueError, TypeError, AttributeError):
        sent.refused += 1
        return
    except httpx.TransportError:
        sent.statuses[0] += 1
        return
    sent.take(f"{case.method} {place} {given.get('params')}", answer.status_code, answer.text)


AGENT = "fuzz"


def somebody(client: Any, base: str) -> tuple[dict[str, str], str]:
    """(cookies of a signed-in security officer's browser, its token for forms)."""
    installation = client.installation
    installation.people.set_up("sofia", "sofia@clinic.example", "Sofia", "orbit-walnut-thirteen-lanterns")
    secret = installation.people.begin("sofia", "test", AGENT)
    with httpx.Client(base_url=base, trust_env=False, cookies={"galenic": secret}, headers={"User-Agent": AGENT}) as web:
        found = re.search(r'name="csrf" value="([^"]+)"', web.get("/account").text)
    assert found
    return {"galenic": secret}, found[1]


def fuzz(home: Path, count: int, each: int) -> Sent:
    """So many naughty requests, and so many of each operation by schemathesis, at a server of its own with canaries in its records."""
    with a_server(home) as client:
        ehr = client("ehr")
        for i in range(3):
            patient = {"resourceType": "Patient", "id": f"canary{i}", "name": [{"family": CANARIES[0]}], "birthDate": CANARIES[1][7:],
                       "identifier": [{"system": "urn:c", "value": CANARIES[2]}]}  # fmt: skip
            assert ehr("PUT", f"/Patient/canary{i}", patient).status_code == 201
        strange = client("clara", role="clinician", scope="user/*.cruds", purposes="treatment")
        base = str(ehr.web.base_url)
        cookies, csrf = somebody(ehr, base)
        sent = naughty(base, (ehr.token, strange.token), count, cookies=cookies, csrf=csrf)
        more = schemathesised(base, (ehr.token, strange.token), each)
        for number, of in more.statuses.items():
            sent.statuses[number] += of
        sent.failures += more.failures
        sent.told += more.told
        sent.refused += more.refused
        assert ehr("GET", "/Patient/canary0").status_code in (200, 404, 410), "it serves on"
        return sent
