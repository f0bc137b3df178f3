"""OpenAPI 3.1 description of the endpoints. The search parameters of each type are in the CapabilityStatement."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from galenic.server.capability import NOT_SERVED
from galenic.version import __version__

FHIR, PATCH, FORM = "application/fhir+json", "application/json-patch+json", "application/x-www-form-urlencoded"
Part = dict[str, Any]
RESOURCE: Part = {"$ref": "#/components/schemas/Resource"}
ID: Part = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}}
SECURED: list[Part] = [{"token": []}]


def _query(name: str, schema: Part, about: str) -> Part:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": about}


def _header(name: str, about: str) -> Part:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 200},
        "description": about,
    }


SEARCH = [
    _query("_id", {"type": "string"}, "by id"),
    _query("_lastUpdated", {"type": "string"}, "by the time of the last change, with prefixes: ge2026-01-01"),
    _query("_count", {"type": "integer", "minimum": 0, "maximum": 1000}, "how many a page"),
    _query("_sort", {"type": "string"}, "by parameters, - for descending"),
    _query("_include", {"type": "string"}, "what the matches refer to: Observation:subject"),
    _query("_revinclude", {"type": "string"}, "what refers to the matches"),
    _query("_has", {"type": "string"}, "by what refers to them"),
    _query("_summary", {"type": "string", "enum": ["true", "false", "text", "data", "count"]}, "how much of each"),
    _query("_elements", {"type": "string"}, "which elements of each"),
    _query("_total", {"type": "string", "enum": ["none", "estimate", "accurate"]}, "whether they are counted"),
    _query("_cursor", {"type": "string"}, "the page that a next link leads to"),
]
HISTORY = [
    _query("_count", {"type": "integer", "minimum": 0, "maximum": 1000}, "how many a page"),
    _query("_since", {"type": "string"}, "written since this time"),
    _query("_at", {"type": "string"}, "current at this time, or at some time of this period"),
    _query("_cursor", {"type": "string"}, "the page that a next link leads to"),
]
PURPOSE = _header("X-Galenic-Purpose", "the purpose of the request, of those the token is for")
MATCH = _header("If-Match", 'the version that is to be changed: W/"3"')
PREFER = _header("Prefer", "return=minimal, handling=lenient, respond-async")


def _answers(*statuses: int, kind: Part | None = None) -> Part:
    told = {"description": "An OperationOutcome says what is wrong.", "content": {FHIR: {"schema": RESOURCE}}}
    good = {"description": "Done.", "content": {FHIR: {"schema": kind or RESOURCE}}}
    return {str(s): good if s < 400 else told for s in statuses}


def _does(about: str, parameters: list[Part], answers: Part, body: str = "", *, secured: bool = True) -> Part:
    found: Part = {"summary": about, "parameters": parameters, "responses": answers}
    if body:
        schema: Part = RESOURCE if body == FHIR else {"type": "object"}
        if body == PATCH:
            schema = {"type": "array", "items": {"$ref": "#/components/schemas/Change"}}
        found["requestBody"] = {"required": True, "content": {body: {"schema": schema}}}
    if secured:
        found["security"] = SECURED
    return found


WRONG = (400, 401, 403, 404)
LONG = (*WRONG, 429, 503)  # of work that waits for a thread and has a time limit


def _fhir() -> Part:
    from galenic.records.fhir import r4  # noqa: PLC0415

    kinds = sorted(k for k in r4().resources if k not in NOT_SERVED)
    kind: Part = {"name": "type", "in": "path", "required": True, "schema": {"type": "string", "enum": kinds}}
    number: Part = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "pattern": r"^[0-9]{1,9}$"}}
    condition = _header("If-None-Exist", "a search: nothing is made where it finds something")
    one = [kind, ID, PURPOSE]
    return {
        "/fhir/metadata": {"get": _does("what the server does", [], _answers(200), secured=False)},
        "/fhir": {"post": _does("batch or transaction", [PURPOSE, PREFER], _answers(200, *LONG, 422), FHIR)},
        "/fhir/{type}": {
            "get": _does("search", [kind, *SEARCH, PURPOSE, PREFER], _answers(200, *LONG)),
            "post": _does("create", [kind, PURPOSE, PREFER, condition], _answers(201, 200, *LONG, 412, 422), FHIR),
            "put": _does("conditional update", [kind, *SEARCH[:1], PURPOSE, MATCH], _answers(200, 201, *LONG, 412, 422), FHIR),
            "delete": _does("conditional delete", [kind, *SEARCH[:1], PURPOSE], _answers(204, *LONG, 412)),
        },
        "/fhir/{type}/_search": {"post": _does("search by a form", [kind, PURPOSE], _answers(200, *LONG), FORM)},
        "/fhir/{type}/$validate": {"post": _does("validate", [kind], _answers(200, *LONG, 422), FHIR)},
        "/fhir/{type}/{id}": {
            "get": _does("read", one, _answers(200, 304, *WRONG, 410)),
            "put": _does("update, or create under this id", [*one, MATCH, PREFER], _answers(200, 201, *WRONG, 412, 422), FHIR),
            "patch": _does("change by JSON Patch", [*one, MATCH], _answers(200, *WRONG, 412, 422), PATCH),
            "delete": _does("delete", [*one, MATCH], _answers(204, *WRONG, 412)),
        },
        "/fhir/{type}/{id}/_history": {"get": _does("versions", [*one, *HISTORY], _answers(200, *LONG))},
        "/fhir/{type}/{id}/_history/{version}": {"get": _does("one version", [*one, number], _answers(200, *WRONG, 410))},
        "/fhir/Patient/{id}/$everything": {"get": _does("a patient's whole record", [ID, PURPOSE], _answers(200, *LONG))},
    }


def _bulk() -> Part:
    kinds = _query("_type", {"type": "string"}, "of these types, with commas between")
    asked = [kinds, _query("_since", {"type": "string"}, "changed since"), PREFER, PURPOSE]
    job: Part = {"name": "job", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
    number: Part = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    begin = {"get": _does("begin an export", asked, _answers(202, *WRONG, 429))}
    manifest = {"description": "The manifest.", "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        "/fhir/$export": begin,
        "/fhir/Patient/$export": begin,
        "/fhir/Group/{id}/$export": {"get": _does("begin an export", [ID, *asked], _answers(202, *WRONG, 429))},
        "/fhir/bulk/{job}": {
            "get": _does("how an export stands", [job], {**_answers(202, *WRONG, 429, 500), "200": manifest}),
            "delete": _does("end an export", [job], _answers(202, *WRONG)),
        },
        "/fhir/bulk/{job}/{number}": {"get": _does("a file of an export", [job, number], _answers(200, *WRONG))},
    }


def _smart() -> Part:
    token: Part = {
        "summary": "an access token", "parameters": [], "responses": {"200": {"description": "The token."}, "400": {"description": "Refused."},
                                                                     "401": {"description": "The client is not known."}},
        "requestBody": {"required": True, "content": {FORM: {"schema": {"type": "object", "required": ["grant_type"], "properties": {
            "grant_type": {"type": "string", "enum": ["client_credentials", "authorization_code", "refresh_token"]},
            **{n: {"type": "string"} for n in ("client_assertion_type", "client_assertion", "scope", "code", "redirect_uri",
                                               "code_verifier", "client_id", "refresh_token")}}}}}},
    }  # fmt: skip
    return {
        "/auth/token": {"post": token},
        "/fhir/.well-known/smart-configuration": {
            "get": _does("what SMART clients look for", [], _answers(200), secured=False)
        },
    }


PATHS: dict[str, Callable[[], Part]] = {"fhir": _fhir, "bulk": _bulk, "smart": _smart}  # by name in ENDPOINTS


@lru_cache(8)
def openapi(base: str) -> bytes:
    """The description of the server at that address."""
    change: Part = {
        "type": "object", "required": ["op", "path"],
        "properties": {"op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]}, "path": {"type": "string"},
                       "from": {"type": "string"}, "value": {}},
    }  # fmt: skip
    resource: Part = {
        "type": "object", "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}, "id": ID["schema"], "meta": {"type": "object"}},
    }  # fmt: skip
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Galenic",
            "version": __version__,
            "description": "FHIR R4 over records in custody. Not a medical device.",
        },
        "servers": [{"url": base}],
        "paths": {path: item for describe in PATHS.values() for path, item in describe().items()},
        "components": {
            "schemas": {"Resource": resource, "Change": change},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return orjson.dumps(whole)
