"""V1, V2, V5, V8, V11, V13 to V17: what is in the sources, what is taken in, who may do what, cryptography, data, logs."""

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import argon2

from asvs.people_rows import somebody_with_password
from asvs.web_rows import bare, ehr
from asvs_made import (
    ROOT,
    Place,
    Plant,
    calls,
    check,
    documented,
    imports,
    patched,
    planted_source,
    somebody,
    trees,
    without,
)
from galenic import store
from galenic.custody import importer, server_session
from galenic.custody.fhir import resource_checks
from galenic.errors import AccessDeniedError, RecordError, StoreError
from galenic.installation import open_installation
from galenic.records import ccda
from galenic.records.exchange import client as exchange
from galenic.security import (
    AccessDecision,
    AccessPolicy,
    AccessRule,
    AuditLog,
    Invitations,
    KeyTree,
    OpenId,
    PolicyStore,
    credentials,
)
from galenic.security.keytree import PEOPLE
from galenic.security.openid import Provider
from galenic.security.policy import Obligations
from galenic.server.console import datasets
from galenic.server.console.session import Console
from galenic.server.endpoints import fhir
from galenic.store import blobs
from galenic.store.telemetry import instruments as telemetry
from systems_made import add_client, issue_token

everything = importlib.import_module("galenic.custody.fhir.patient_everything")  # the package has a function of that name

# V1: input and output


@check("V1.1.1", plant=lambda _p: mock.patch.object(fhir, "parse_qsl", _twice))
def input_is_decoded_once(place: Place) -> None:
    ehr(place).put("/fhir/Patient/decoded", json={"resourceType": "Patient", "id": "decoded", "name": [{"family": "A%41"}]})
    found = ehr(place).get("/fhir/Patient?name:exact=A%2541").json()
    assert [e["resource"]["id"] for e in found.get("entry", [])] == ["decoded"]


def _twice(text: str, **more: Any) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return [(k, unquote(v)) for k, v in parse_qsl(text, **more)]


@check("V1.2.4", plant=planted_source('def find(c, name):\n    return c.execute("SELECT * FROM t WHERE n = \'" + name + "\'")'))
def queries_are_parameterised(place: Place) -> None:
    for folder in place.sources:
        words = [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--no-cache",
            "--select",
            "S608",
            "--output-format",
            "concise",
            str(folder),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    found = ehr(place).get("/fhir/Patient?name=' OR '1'='1&_total=accurate").json()
    assert found.get("total", 0) == 0


@check(
    "V1.2.5",
    plant=planted_source(
        "import os\ndef show(name):\n    os.system('ls ' + name)\n    import subprocess\n    subprocess.run('ls ' + name, shell=True)"
    ),
)
def no_shell_is_asked(place: Place) -> None:
    assert not calls(place, "system", "popen")
    assert not [c for _f, c in calls(place, "run", "Popen", "check_output") if any(k.arg == "shell" for k in c.keywords)]


check("V1.2.6", plant=planted_source("import ldap3"))(without("ldap", "ldap3"))


@check("V1.2.7", plant=planted_source("def find(tree, name):\n    return tree.xpath('//p[@n=' + name + ']')"))
def no_xpath_is_built(place: Place) -> None:
    assert not calls(place, "xpath")
    assert not [
        c for _f, c in calls(place, "iterfind") if c.args and not isinstance(c.args[0], ast.Constant | ast.JoinedStr | ast.Name)
    ]


check("V1.2.8", plant=planted_source("import pylatex"))(without("pylatex", "latex"))


@check("V1.2.9", plant=planted_source("import re\ndef find(given, text):\n    return re.search(given, text)"))
def patterns_are_not_built_of_input(place: Place) -> None:
    bad = []
    for file, call in calls(place, "search", "match", "fullmatch", "sub", "findall", "split", rooms=("server",)):
        of_re = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "re"
        if of_re and call.args and not isinstance(call.args[0], ast.Constant):
            bad.append(f"{file.name}:{call.lineno}")
    assert not bad, bad


@check("V1.3.2", plant=planted_source("def run(text):\n    return eval(text)"))
def nothing_is_evaluated(place: Place) -> None:
    bad = [f"{f.name}:{c.lineno}" for f, c in calls(place, "eval", "exec", "__import__") if isinstance(c.func, ast.Name)]
    assert not bad, bad


@check("V1.3.3", plant=patched(fhir, "ID", re.compile(r".*$", re.S)))
def ids_are_what_ids_may_be(place: Place) -> None:
    for wrong in ("a%20b", "x" * 65, "a%00b", "a%0ab"):
        assert ehr(place).get(f"/fhir/Patient/{wrong}").status_code == 400, wrong
    documented(place, "maximum length of a resource id, characters", 64)


@check("V1.3.4", plant=patched(fhir, "JSON", "image/svg+xml"))
def pictures_are_never_served_as_such(place: Place) -> None:
    picture = {"resourceType": "Binary", "id": "svg", "contentType": "image/svg+xml", "data": "PHN2Zy8+"}
    assert ehr(place).put("/fhir/Binary/svg", json=picture).status_code in (200, 201)
    answer = ehr(place).get("/fhir/Binary/svg", headers={"Accept": "*/*"})
    assert answer.headers["content-type"].startswith("application/fhir+json")


check("V1.3.5", plant=planted_source("import markdown"))(without("markdown", "mistune", "bbcode", "commonmark"))


@check("V1.3.6", plant=lambda _p: mock.patch.object(exchange, "origin_of", lambda _url: "https://inner.example:443"))
def addresses_are_held_against_a_list(place: Place) -> None:
    installation = place.site.installation
    exchange.declare(installation.facts, "outer", ("https://inner.example",), by="check")
    installation.gate.versions.refresh()
    with installation.gate.open(server_session(installation), "call", "outside/outer", "sign-in") as handle:
        try:
            exchange.call(handle, "https://169.254.169.254/latest")
        except AccessDeniedError as error:
            assert "not belong to destination" in str(error), str(error)
        except RecordError:
            raise AssertionError("it called out") from None


@check("V1.3.7", plant=planted_source("import jinja2\ndef page(text):\n    return jinja2.Environment().from_string(text)"))
def no_template_is_built_of_input(place: Place) -> None:
    assert not calls(place, "from_string", rooms=("server",))
    assert not [c for _f, c in calls(place, "Template", rooms=("server",))]


check("V1.3.9", plant=planted_source("import pymemcache"))(without("pymemcache", "memcache", "pylibmc"))
check("V1.3.11", plant=planted_source("import smtplib"))(without("smtplib", "imaplib", "aiosmtplib", "email.mime"))


@check("V1.3.10", plant=planted_source("def show(text, row):\n    return text.format(row)"))
def formats_are_constants(place: Place) -> None:
    bad = []
    for file, call in calls(place, "format", rooms=("server", "security", "store")):
        if isinstance(call.func, ast.Attribute) and not (
            isinstance(call.func.value, ast.Constant)
            or (isinstance(call.func.value, ast.Name) and call.func.value.id.isupper())
        ):
            bad.append(f"{file.name}:{call.lineno}")
    assert not bad, bad


@check("V1.4.1", plant=planted_source("import ctypes\nctypes.memmove(0, 0, 9)"))
def memory_is_managed(place: Place) -> None:
    assert sorted(f.name for f, t in trees(place) if "ctypes" in ast.dump(t)) == ["acceptor.py", "network_sandbox.py"]


@check("V1.4.2", plant=patched(everything, "MOST", 10**40))
def numbers_have_a_range(place: Place) -> None:
    assert ehr(place).get("/fhir/Patient/x/$everything?_count=" + "9" * 30).status_code == 400


@check(
    "V1.5.1",
    plant=lambda _p: mock.patch.object(
        ccda, "fromstring", lambda *_a, **_k: ccda.ElementTree.Element("{urn:hl7-org:v3}ClinicalDocument")
    ),
)
def xml_brings_no_entities(place: Place) -> None:
    file = place.folder / "entities.xml"
    head = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>'
    file.write_text(f'{head}<ClinicalDocument xmlns="urn:hl7-org:v3">&y;</ClinicalDocument>')
    try:
        ccda.read_ccda(file)
    except RecordError:
        return
    raise AssertionError("entities were read")


check("V1.5.2", plant=planted_source("import pickle"))(without("pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml"))


# V2: what is taken in


@check(
    "V2.1.1",
    "V2.1.2",
    plant=lambda place: mock.patch.object(place, "document", place.document.replace("## Input validation", "")),
)
def what_input_must_be_is_documented(place: Place) -> None:
    part = place.document.partition("## Input validation")[2]
    assert "R4 definitions and their invariants" in part.partition("##")[0]
    assert "Related values are checked together" in part.partition("##")[0]


@check("V2.2.1", "V15.3.5", plant=patched(resource_checks, "require_valid", lambda *_a: None))
def resources_are_held_against_the_standard(place: Place) -> None:
    for wrong in ({"gender": "neither"}, {"active": "true"}, {"birthDate": "1970-13-45"}, {"strange": 1}):
        assert ehr(place).post("/fhir/Patient", json={"resourceType": "Patient", **wrong}).status_code == 422, wrong


@check("V2.2.2", plant=patched(credentials, "check_password", lambda *_a: None))
def the_server_checks_what_the_browser_checked(place: Place) -> None:
    browser = somebody_with_password(place)
    form = {"csrf": browser.csrf(), "old": "orbit-walnut-thirteen-lanterns", "new": "short"}
    assert browser.web.post("/account/password", data=form).status_code == 400


@check("V2.2.3", plant=patched(resource_checks, "require_valid", lambda *_a: None))
def values_fit_each_other(place: Place) -> None:
    both = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "valueString": "x",
        "dataAbsentReason": {"text": "x"},
    }
    assert ehr(place).post("/fhir/Observation", json=both).status_code == 422


@check("V2.3.2", plant=patched(resource_checks, "MOST_CHANGES", 10**9))
def limits_hold(place: Place) -> None:
    ehr(place).put("/fhir/Patient/patched", json={"resourceType": "Patient", "id": "patched"})
    many = [{"op": "test", "path": "/resourceType", "value": "Patient"}] * 1_001
    answer = ehr(place).patch(
        "/fhir/Patient/patched", content=json.dumps(many), headers={"Content-Type": "application/json-patch+json"}
    )
    assert answer.status_code == 400


def _as_batch(_place: Place) -> Any:
    from galenic.custody import fhir as doors

    before = doors.process_bundle
    return mock.patch.object(
        doors,
        "process_bundle",
        lambda repository, context, raw, *a, **k: before(repository, context, raw.replace(b"transaction", b"batch"), *a, **k),
    )


@check("V2.3.3", plant=_as_batch)
def all_or_nothing_is_written(place: Place) -> None:
    own = f"half{next(place.numbers)}"
    entries = [
        {"resource": {"resourceType": "Patient", "id": own}, "request": {"method": "PUT", "url": f"Patient/{own}"}},
        {"resource": {"resourceType": "Patient", "gender": "neither"}, "request": {"method": "POST", "url": "Patient"}},
    ]
    ehr(place).post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert ehr(place).get(f"/fhir/Patient/{own}").status_code == 404


# V5: files

ENGINEER = "integration-engineer"


def bring(place: Place, name: str, content: bytes, ending: str) -> Any:
    if "engineer" not in place.kept:
        place.kept["engineer"] = somebody(place, ENGINEER)
    browser = place.kept["engineer"]
    form = {"csrf": browser.csrf(), "name": name, "patient": "patient"}
    return browser.web.post("/data/bring", data=form, files={"table": (f"table{ending}", content)})


@check(
    "V5.2.2", plant=lambda _p: mock.patch.object(datasets.records, "read", lambda _file: datasets.records.in_memory(_one_row()))
)
def files_are_what_their_ending_says(place: Place) -> None:
    assert bring(place, f"t{next(place.numbers)}", b"patient,x\np1,1\n", ".parquet").status_code == 400
    assert bring(place, f"t{next(place.numbers)}", b"MZ\x90", ".exe").status_code == 400


def _one_row() -> Any:
    import pyarrow as pa

    return pa.table({"patient": ["p1"], "x": [1]})


@check("V5.3.2", plant=patched(importer, "NAME", re.compile(r".*", re.DOTALL)))
def names_are_not_paths(place: Place) -> None:
    for wrong in ("../../escape", "a/b", "..", "x\x00y"):
        assert bring(place, wrong, b"patient,x\np1,1\n", ".csv").status_code in (400, 422), wrong


# V8: who may do what

ALLOW = patched(AccessPolicy, "decide", lambda _self, _ask: AccessDecision(True, "planted"))


def _with_rule(**more: Any) -> Plant:
    def plant(place: Place) -> Any:
        before = place.site.installation.policies.active()
        fresh = {n: frozenset() for n in ("roles", "actions", "types", "purposes", "labels", "needs", "lacks")}
        given: dict[str, Any] = {
            "id": "planted", "effect": "permit", "assurance": 0, "below": 0, "obligations": Obligations(), "reason": "because", **fresh, **more,
        }  # fmt: skip
        return mock.patch.object(
            PolicyStore, "active", lambda _self: AccessPolicy("house", 99, (*before.rules, AccessRule(**given)))
        )

    return plant


@check("V8.1.1", plant=_with_rule(reason=""))
def every_rule_says_why(place: Place) -> None:
    assert "policy.toml" in place.document
    assert all(len(r.reason) > 20 for r in place.site.installation.policies.active().rules if r.effect == "permit")


@check(
    "V8.1.2", plant=_with_rule(obligations=Obligations(mask=frozenset({"unheard_of"})), reason="A reason that is long enough.")
)
def fields_that_are_withheld_are_documented(place: Place) -> None:
    for one in {m for r in place.site.installation.policies.active().rules for m in r.obligations.mask}:
        assert one in place.document, one


def _no_roles(_place: Place) -> Any:
    before = Console.require_user
    return mock.patch.object(Console, "require_user", lambda self, request, *_roles: before(self, request))


@check("V8.2.1", "V8.3.1", plant=_no_roles)
def pages_are_for_their_roles(place: Place) -> None:
    web = somebody(place, "researcher").web
    for where in ("/people", "/audit", "/consent", "/keys", "/clients"):
        assert web.get(where).status_code == 403, where


@check("V8.2.2", plant=ALLOW)
def records_are_for_those_who_may(place: Place) -> None:
    ehr(place).put("/fhir/Patient/hidden", json={"resourceType": "Patient", "id": "hidden"})
    installation = place.site.installation
    add_client(installation, "stranger", role="clinician")
    token = issue_token(installation, "stranger", scope="user/*.rs", purposes=("treatment",))
    assert bare(place).get("/fhir/Patient/hidden", headers={"Authorization": f"Bearer {token}"}).status_code == 404


def judged(place: Place, who: str, role: str, action: str, resource: str, purpose: str) -> Any:
    installation = place.site.installation
    add_client(installation, who, role=role)
    session = installation.gate.begin(who, how="check", seconds=60)
    return installation.gate.decide(session, action, resource, purpose)


@check("V8.2.3", plant=ALLOW)
def fields_are_withheld(place: Place) -> None:
    verdict = judged(place, "reader", "researcher", "read", "dataset/records", "research")
    assert {"name", "address"} <= verdict.obligations.mask


@check("V8.4.1", plant=ALLOW)
def organisations_are_apart(place: Place) -> None:
    installation = place.site.installation
    add_client(installation, "elsewhere", tenant="another-house")
    session = installation.gate.begin("elsewhere", how="check", seconds=60)
    assert not installation.gate.decide(session, "read", "record/records/1", "treatment").allowed


@check("V10.3.4", plant=ALLOW)
def what_can_not_be_undone_wants_a_fresh_proof(place: Place) -> None:
    verdict = judged(place, "eraser", "privacy-officer", "erase", "subject/1", "erasure-request")
    assert (verdict.allowed, verdict.reason) == (False, "step-up")


@check("V13.2.2", plant=ALLOW)
def services_do_what_is_theirs(place: Place) -> None:
    for action, resource, purpose in (
        ("administer", "house", "backup"),
        ("export", "dataset/records", "research"),
        ("erase", "subject/1", "x"),
    ):
        assert not judged(place, "lab", "service", action, resource, purpose).allowed, action


# V11: cryptography


@check("V11.1.1", plant=lambda place: mock.patch.object(place, "document", place.document.replace("`galenic keys rotate`", "")))
def keys_are_looked_after_as_documented(place: Place) -> None:
    part = place.document.partition("## Cryptography")[2]
    for word in ("operating system's generator", "`galenic keys rotate`", "destroyed by overwriting"):
        assert word in part, word


PRIMITIVES = {
    "AESGCM": "AES-256-GCM", "Ed25519PrivateKey": "Ed25519", "Ed25519PublicKey": "Ed25519", "X25519PrivateKey": "X25519",
    "X25519PublicKey": "X25519", "HKDFExpand": "HKDF-SHA256", "SHA256": "SHA-256", "Scrypt": "Scrypt", "ec": "ECDSA P-256",
    "AEAD": "HPKE", "KDF": "HPKE", "KEM": "HPKE", "Suite": "HPKE", "hashes": "SHA-256", "serialization": "", "InvalidTag": "",
    "InvalidSignature": "", "x509": "ECDSA P-256", "ExtendedKeyUsageOID": "", "NameOID": "", "HKDF": "HKDF-SHA256",
}  # fmt: skip


@check("V11.1.2", "V11.3.2", plant=planted_source("from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES"))
def every_primitive_is_in_the_inventory(place: Place) -> None:
    used = {
        i.rpartition(".")[2]
        for i in imports(place)
        if i.startswith("cryptography.") and re.match(r"[A-Z]|ec$|hashes$", i.rpartition(".")[2])
    }
    assert used <= set(PRIMITIVES), used - set(PRIMITIVES)
    for one in used:
        assert PRIMITIVES[one] in place.document, one


check("V11.2.1", plant=planted_source("import Crypto.Cipher.AES"))(
    without("Crypto", "Cryptodome", "rsa", "ecdsa", "nacl", "M2Crypto", "pyaes")
)


@check("V11.2.3", plant=patched(KeyTree, "key", lambda *_a: b"8 bytes!"))
def keys_have_256_bits(place: Place) -> None:
    installation = place.site.installation
    assert len(installation.tree.key(PEOPLE)) == 32


@check(
    "V11.3.1", plant=planted_source("from cryptography.hazmat.primitives.asymmetric import padding\nPAD = padding.PKCS1v15()")
)
def no_weak_mode_is_used(place: Place) -> None:
    for file, tree in trees(place):
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
            n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
        }
        assert not names & {"ECB", "CBC", "PKCS1v15", "ARC4", "TripleDES"}, file


class _Open:
    """A cipher without authentication."""

    def __init__(self, _key: bytes) -> None:
        pass

    def encrypt(self, _nonce: bytes, data: bytes, _about: bytes) -> bytes:
        return data

    def decrypt(self, _nonce: bytes, data: bytes, _about: bytes) -> bytes:
        return data


@check("V11.3.3", plant=patched(blobs, "AESGCM", _Open))
def what_was_changed_does_not_open(place: Place) -> None:
    folder = place.folder / "blobs"
    name = blobs.write_blob(folder, bytes(32), [b"a record " * 50])
    raw = bytearray((folder / name).read_bytes())
    raw[60] ^= 1
    (folder / name).write_bytes(raw)
    try:
        b"".join(blobs.read_blob(folder / name, bytes(32)))
    except StoreError:
        return
    raise AssertionError("a changed file was read")


@check("V11.4.1", plant=planted_source("import hashlib\ndef name(x):\n    return hashlib.md5(x).hexdigest()"))
def hashes_are_approved_ones(place: Place) -> None:
    bad = [
        f"{f.name}:{c.lineno}"
        for f, c in calls(place, "md5", "sha1", "md4", "new")
        if getattr(getattr(c.func, "value", None), "id", "") == "hashlib"
    ]
    assert not bad, bad


@check(
    "V11.4.2",
    plant=lambda _p: mock.patch.object(credentials, "_hasher", lambda: argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I)),
)
def passwords_are_kept_by_argon2id(place: Place) -> None:
    kept = place.site.installation.people.credentials
    kept.set_password("kept", "harbour-velvet-seventeen-otters")
    fact = kept.facts.one("credential", "kept/password")
    assert fact is not None
    found = re.match(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$", str(fact.get("hash")))
    assert found
    assert int(found[1]) >= 19_456
    assert int(found[2]) >= 2


@check("V11.4.4", plant=lambda _p: mock.patch("galenic.security.root.Scrypt", _thin))
def keys_of_words_are_stretched(place: Place) -> None:
    from galenic.security import root

    with mock.patch.dict(os.environ, {"GALENIC_PASSPHRASE": "words"}):
        assert root._stretch(b"salt" * 4) == hashlib.scrypt(
            b"words", salt=b"salt" * 4, n=2**15, r=8, p=1, dklen=32, maxmem=2**26
        )
    assert "Scrypt, n = 2^15" in place.document


def _thin(*, salt: bytes, length: int, r: int, p: int, **_n: int) -> Any:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=length, n=2**4, r=r, p=p)


# V13 to V16: secrets, data, parts, logs


@check("V13.3.1", plant=patched(OpenId, "_seal", lambda _self, raw, _about: raw.decode()))
def secrets_are_sealed(place: Place) -> None:
    place.site.installation.openid.add(
        Provider("sealed", "x", "https://login.example", "galenic", False), "a-secret-of-the-client", by="check"
    )
    raw = b"".join(p.read_bytes() for p in place.site.installation.home.glob("galenic.db*"))
    assert b"login.example" in raw, "what is not secret can be found there"
    assert b"a-secret-of-the-client" not in raw


def _readable(place: Place) -> Any:
    @contextlib.contextmanager
    def plant() -> Iterator[None]:
        file = next(
            p for p in (place.site.installation.home / "keys").rglob("*") if p.is_file() and p.suffix in (".pem", ".key")
        )
        before = file.stat().st_mode
        file.chmod(0o644)
        try:
            yield
        finally:
            file.chmod(before)

    return plant()


@check("V13.3.2", plant=_readable)
def keys_are_for_the_servers_account(place: Place) -> None:
    found = [p for p in (place.site.installation.home / "keys").rglob("*") if p.is_file() and p.suffix in (".pem", ".key")]
    assert found
    assert all(p.stat().st_mode & 0o077 == 0 for p in found), [p.name for p in found if p.stat().st_mode & 0o077]


@check("V14.1.1", "V14.1.2", plant=lambda _p: mock.patch.object(store.tables, "planted", _table("strangers"), create=True))
def every_table_has_its_level(place: Place) -> None:
    import sqlalchemy as sa

    part = place.document.partition("## Data classification and protection")[2].partition("\n## ")[0]
    for one in {t.name for t in vars(store.tables).values() if isinstance(t, sa.Table)}:
        assert re.search(rf"\b{one}\b", part), one


def _table(name: str) -> Any:
    import sqlalchemy as sa

    return sa.Table(name, sa.MetaData(), sa.Column("x", sa.Integer))


DEPENDENCIES = ROOT / "docs" / "how-to" / "dependencies.md"


@check(
    "V15.1.1",
    plant=lambda _p: mock.patch.object(Path, "read_text", lambda *_a, **_k: "Known vulnerabilities are answered soon."),
)
def how_soon_vulnerabilities_are_answered_is_documented(place: Place) -> None:
    assert re.search(r"within seven days\b.*\bothers within thirty\b", DEPENDENCIES.read_text(encoding="utf-8"))


@functools.cache
def _materials() -> dict[str, str]:
    words = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-format", "JSON", sys.executable]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert found["bomFormat"] == "CycloneDX"
    return {re.sub(r"[-_.]+", "-", c["name"]).lower(): c["version"] for c in found["components"]}


def _forgetful(_place: Place) -> Any:
    whole = _materials()
    return mock.patch.object(
        sys.modules[__name__], "_materials", lambda: {n: v for n, v in whole.items() if n != "cryptography"}
    )


@check("V15.1.2", plant=_forgetful)
def the_bill_of_materials_has_every_part(place: Place) -> None:
    asked = importlib.metadata.requires("galenic") or []
    names = {
        re.sub(r"[-_.]+", "-", re.split(r"[<>=!~;\[ ]", a)[0]).lower()
        for a in asked
        if 'extra == "server"' in a or "extra" not in a
    }
    missing = sorted(names - set(_materials()))
    assert not missing, missing


def _pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {re.sub(r"[-_.]+", "-", n).lower(): v for n, _, v in (line.partition("==") for line in lines if "==" in line)}


@check("V15.2.1", plant=lambda _p: mock.patch.object(importlib.metadata, "version", lambda _name: "0.0.1"))
def parts_are_the_pinned_ones(place: Place) -> None:
    pins = _pinned()
    for name in (
        "fastapi",
        "starlette",
        "uvicorn",
        "cryptography",
        "joserfc",
        "webauthn",
        "argon2-cffi",
        "jinja2",
        "sqlalchemy",
        "pydantic",
    ):
        assert importlib.metadata.version(name) == pins[name], name


@check("V15.2.3", plant=planted_source("import pytest"))
def no_test_is_shipped(place: Place) -> None:
    assert not {i for i in imports(place) if i.partition(".")[0] in ("pytest", "unittest", "hypothesis", "playwright")}


def _generous(_place: Place) -> Any:
    before = Invitations.accept

    def accept(self: Invitations, secret: str, password: str) -> Any:
        person = before(self, secret, password)
        self.people.grant(person.name, person.human, "security-officer", by="form", approved="form")
        return person

    return mock.patch.object(Invitations, "accept", accept)


@check("V15.3.3", plant=_generous)
def forms_set_what_they_are_for(place: Place) -> None:
    installation, name = place.site.installation, f"guest{next(place.numbers)}"
    if "inviter" not in place.kept:
        from asvs.people_rows import officer

        place.kept["inviter"] = officer(place)
    secret = installation.invitations.invite(place.kept["inviter"], name, f"{name}@clinic.example", "Guest", ("nurse",))
    form = {
        "password": "harbour-velvet-seventeen-otters",
        "role": "security-officer",
        "state": "active",
        "roles": "security-officer",
    }
    bare(place).post(f"/invitation/{secret}", data=form)
    assert installation.people.roles(name) == ()


def _actions(place: Place) -> set[str]:
    found = set()
    for _file, call in calls(place, "append", "post", "post_later", "ticket"):
        first = call.args[0] if call.args else None
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if (
            isinstance(first, ast.Constant)
            and isinstance(first.value, str)
            and getattr(owner, "attr", getattr(owner, "id", "")) == "audit"
        ):
            found.add(first.value)
    return found


@check("V16.1.1", plant=planted_source("def act(installation):\n    installation.audit.append('undocumented.event', 'x')"))
def everything_that_is_written_down_is_documented(place: Place) -> None:
    missing = sorted(a for a in _actions(place) if f"`{a}`" not in place.document)
    assert not missing, missing
    for _file, call in calls(place, "log"):
        if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and call.args[0].value in ("info", "warning", "error"):  # type: ignore[attr-defined]
            assert f'"{call.args[1].value}"' in place.document, call.args[1].value


def rows_by(place: Place, act: Any) -> list[Any]:
    """Rows of the chain that something writes."""
    place.site.installation.audit.refusals.flush()  # begins a minute in which each refusal has a row of its own
    size, _root = place.site.installation.audit.head()
    act()
    place.site.installation.audit.flush()
    return list(place.site.installation.audit.entries(size))


def _renamed(*actions: str) -> Plant:
    """A plant: these events are not written down as what they are."""

    def plant(_place: Place) -> Any:
        before = AuditLog._fields

        def fields(self: AuditLog, action: str, *given: Any) -> Any:
            return before(self, "nothing" if action in actions else action, *given)

        return mock.patch.object(AuditLog, "_fields", fields)

    return plant


def _nameless(_place: Place) -> Any:
    before = AuditLog.post
    return mock.patch.object(
        AuditLog, "post", lambda self, action, _resource, *a, **m: before(self, action, "", *a, **{**m, "actor": ""})
    )


@check("V16.2.1", "V16.2.2", plant=_nameless)
def rows_say_who_what_and_when(place: Place) -> None:
    name = somebody_with_password(place).name
    found = rows_by(place, lambda: place.site.browser().password(name, "wrong-wrong-wrong"))
    row = next(e for e in found if e.outcome == "denied")
    assert (row.actor, row.resource) == (name, name)
    assert row.time.endswith(("+00:00", "Z"))


def _plain(_place: Place) -> Any:
    return mock.patch.object(telemetry.json, "dumps", lambda given, **_k: " ".join(f"{k}={v}" for k, v in given.items()))


def _logged(place: Place, **fields: object) -> str:
    file = place.site.installation.home / "logs" / "galenic.jsonl"
    telemetry.log_to(file)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    telemetry.log("warning", "emergency access", **fields)
    return file.read_text(encoding="utf-8")[len(before) :]


@check("V16.2.4", "V16.4.1", plant=_plain)
def logs_are_a_line_of_json_each(place: Place) -> None:
    text = _logged(place, who='x\n{"level": "error"}')
    lines = text.splitlines()
    assert len(lines) == 1
    try:
        assert json.loads(lines[0])["level"] == "warning"
    except ValueError:
        raise AssertionError("no JSON") from None


@check("V16.2.5", plant=patched(telemetry, "FIELDS", telemetry.FIELDS | {"password", "name"}))
def what_is_secret_can_not_be_logged(place: Place) -> None:
    for one in ("password", "name"):
        try:
            _logged(place, **{one: "x"})
        except StoreError:
            continue
        raise AssertionError(f"{one} was logged")


@check("V16.3.1", plant=_renamed("session.opened", "session.refused"))
def sign_ins_are_written_down(place: Place) -> None:
    name = somebody_with_password(place).name
    found = rows_by(
        place,
        lambda: (
            place.site.browser().password(name, "wrong-wrong-wrong"),
            place.site.installation.people.begin(name, "passkey", "x"),
        ),
    )
    assert "session.refused" in {e.action for e in found}
    assert any(e.action == "session.opened" and e.detail["how"] == "passkey" for e in found)


@check("V16.3.2", plant=_renamed("gate.denied"))
def refusals_are_written_down(place: Place) -> None:
    def act() -> None:
        with contextlib.suppress(AccessDeniedError):
            place.site.installation.gate.open(server_session(place.site.installation), "export", "dataset/records", "research")

    assert "gate.denied" in {e.action for e in rows_by(place, act)}


@check("V16.3.3", plant=_renamed("session.moved", "client.refused"))
def attempts_to_get_past_are_written_down(place: Place) -> None:
    browser = somebody(place)
    secret = browser.web.cookies["galenic"]

    def act() -> None:
        bare(place).get("/account", headers={"Cookie": f"galenic={secret}", "User-Agent": "another browser"})
        form = {"grant_type": "client_credentials", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": "a.b.c", "scope": "system/*.rs"}  # fmt: skip
        bare(place).post("/auth/token", data=form)

    assert {"session.moved", "client.refused"} <= {e.action for e in rows_by(place, act)}


@check("V16.4.2", plant=lambda _p: mock.patch.object(AuditLog, "faults", lambda *_a, **_k: ([], 0)))
def a_row_that_was_changed_is_found(place: Place) -> None:

    with tempfile.TemporaryDirectory() as folder:
        installation = open_installation(Path(folder) / "home")
        try:
            server_session(installation)
            installation.audit.flush()
            with installation.db.writing() as cursor:
                cursor.execute("UPDATE audit SET entry = entry || ' ' WHERE seq = 2")
            assert installation.audit.faults()[0]
        finally:
            installation.close()


# V17, and what else is not there

webrtc = without("aiortc", "webrtc", "pylibsrtp", "aioice", "turn")
check(
    "V17.1.1", "V17.2.1", "V17.2.2", "V17.2.3", "V17.2.4", "V17.3.1", "V17.3.2", plant=planted_source("import aiortc"),
)(webrtc)  # fmt: skip
