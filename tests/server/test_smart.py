"""SMART backend services: who holds the registered key gets a token, once for each assertion; nobody else does."""

import json
import time
import uuid
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwk, jwt

from galenic.errors import ConfigurationError
from server_made import Fhir
from systems_made import add_client

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EC_KEY = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP384R1()), {"kid": "ec-1"})
RSA_KEY = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 2048), {"kid": "rsa-1"})
STRANGER = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP384R1()), {"kid": "ec-1"})
ALL = ["ES384", "RS384", "RS256", "HS384"]
PUBLIC = {"keys": [EC_KEY.as_dict(private=False), RSA_KEY.as_dict(private=False)]}


@pytest.fixture(scope="module")
def backend(ehr: Fhir) -> Fhir:
    add_client(ehr.installation, "backend", jwks=json.dumps(PUBLIC), scope="system/Patient.rs system/Observation.cruds")
    return ehr


def claims(site: Fhir, **more: Any) -> dict[str, Any]:
    audience = f"{str(site.web.base_url).rstrip('/')}/auth/token"
    return {"iss": "backend", "sub": "backend", "aud": audience, "exp": int(time.time()) + 120, "jti": uuid.uuid4().hex, **more}


def ask(site: Fhir, assertion: str, scope: str = "system/Patient.rs", **more: str) -> Any:
    given = {
        "grant_type": "client_credentials",
        "client_assertion_type": BEARER,
        "client_assertion": assertion,
        "scope": scope,
        **more,
    }
    return site.web.post("/auth/token", data=given)


@pytest.mark.parametrize(("key", "algorithm"), [(EC_KEY, "ES384"), (RSA_KEY, "RS384")], ids=["ES384", "RS384"])
def test_the_registered_key_gets_a_token_that_works(backend: Fhir, key: Any, algorithm: str) -> None:
    assertion = jwt.encode({"alg": algorithm, "kid": key.kid}, claims(backend), key, algorithms=ALL)
    answer = ask(backend, assertion, "system/Patient.rs system/Condition.rs system/Observation.s")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["scope"] == "system/Patient.rs system/Observation.s"
    assert body["expires_in"] <= 300
    caller = Fhir(backend.web, body["access_token"], backend.installation, backend.repository)
    assert caller("GET", "/Patient").status_code == 200
    assert caller("GET", "/Condition").status_code == 403
    assert caller("POST", "/Patient", {"resourceType": "Patient"}).status_code == 403


def test_an_assertion_counts_once(backend: Fhir) -> None:
    assertion = jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(backend), EC_KEY, algorithms=ALL)
    assert [ask(backend, assertion).status_code for _ in range(3)] == [200, 401, 401]


def _hmac(site: Fhir) -> str:
    """Signed with the public key's text as if it were a secret (the classic confusion of algorithms)."""
    secret = jwk.OctKey.import_key(json.dumps(PUBLIC["keys"][1]), {"kid": "rsa-1"})
    return jwt.encode({"alg": "HS384", "kid": "rsa-1"}, claims(site), secret, algorithms=["HS384"])


def _none(site: Fhir) -> str:
    import base64

    head, body = (
        base64.urlsafe_b64encode(json.dumps(x).encode()).decode().rstrip("=")
        for x in ({"alg": "none", "kid": "ec-1"}, claims(site))
    )
    return f"{head}.{body}."


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s), STRANGER, algorithms=ALL), id="another key of the same kid"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384"}, claims(s), EC_KEY, algorithms=ALL), id="no kid"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "nobody"}, claims(s), EC_KEY, algorithms=ALL), id="an unknown kid"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1", "jku": "https://evil.example/k"}, claims(s), EC_KEY, algorithms=ALL), id="jku"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1", "jwk": STRANGER.as_dict(private=False)}, claims(s), EC_KEY, algorithms=ALL), id="jwk"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s, aud="https://other.example/token"), EC_KEY, algorithms=ALL), id="another audience"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s, sub="ehr"), EC_KEY, algorithms=ALL), id="another subject"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s, iss="ehr", sub="ehr"), EC_KEY, algorithms=ALL), id="a client without keys"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s, exp=int(time.time()) - 60), EC_KEY, algorithms=ALL), id="over"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s, exp=int(time.time()) + 9999), EC_KEY, algorithms=ALL), id="too long"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(s, nbf=int(time.time()) + 600), EC_KEY, algorithms=ALL), id="not yet"),
        pytest.param(lambda s: jwt.encode({"alg": "ES384", "kid": "ec-1"}, {k: v for k, v in claims(s).items() if k != "jti"}, EC_KEY, algorithms=ALL), id="no jti"),
        pytest.param(lambda s: jwt.encode({"alg": "RS256", "kid": "rsa-1"}, claims(s), RSA_KEY, algorithms=ALL), id="an algorithm that is not SMART's"),
        pytest.param(_hmac, id="HMAC with the public key"),
        pytest.param(_none, id="alg none"),
        pytest.param(lambda _s: "x.y.z", id="no JWT"),
        pytest.param(lambda _s: "", id="nothing"),
        pytest.param(lambda _s: "a" * 9_000, id="too large"),
    ],
)  # fmt: skip
def test_what_does_not_prove_the_client_gets_nothing(backend: Fhir, make: Any) -> None:
    answer = ask(backend, make(backend))
    assert answer.status_code == 401, answer.text
    assert answer.json() == {"error": "invalid_client", "error_description": "the client assertion is not valid."}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, "invalid_client"),
        ({"scope": "system/Condition.rs"}, "invalid_scope"),
        ({"scope": "user/Patient.rs"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
    ],
)
def test_other_requests_are_refused_in_oauths_words(backend: Fhir, change: dict[str, str], error: str) -> None:
    assertion = jwt.encode({"alg": "ES384", "kid": "ec-1"}, claims(backend), EC_KEY, algorithms=ALL)
    assert ask(backend, assertion, **change).json()["error"] == error


def test_a_private_key_is_not_taken(backend: Fhir) -> None:
    with pytest.raises(ConfigurationError, match="private"):
        add_client(backend.installation, "careless", jwks=json.dumps({"keys": [EC_KEY.as_dict(private=True)]}))
    assert backend.installation.facts.of("grant", who="careless") == []


def test_clients_find_the_door(backend: Fhir) -> None:
    found = backend.web.get("/fhir/.well-known/smart-configuration").json()
    assert found["token_endpoint"].endswith("/auth/token")
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
