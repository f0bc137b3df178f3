"""Attacks that need more than a form: false authenticators, bombs, references that lead elsewhere, records that would change hands."""

import base64
import http.server
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from authenticator_made import ORIGIN, RP, Authenticator, pack
from galenic.errors import AccessDeniedError
from server_made import Fhir, observation, treats
from site_made import Browser, Site


@pytest.fixture
def key(site: Site) -> Authenticator:
    """Sofia's, which is kept."""
    site.grown("sofia")
    found = Authenticator()
    kept = site.installation.people.credentials
    kept.finish_passkey("sofia", "key", found.make(kept.begin_passkey("sofia", "Sofia", RP)), RP, ORIGIN)
    return found


def asked(site: Site) -> str:
    return site.installation.people.credentials.ask_passkey("sign-in", RP)


def shown(site: Site, credential: dict[str, Any]) -> str:
    return site.installation.people.credentials.passkey_of("sign-in", credential, RP, ORIGIN)


def test_a_true_passkey_is_taken_and_false_ones_are_not(site: Site, key: Authenticator) -> None:
    assert shown(site, key.show(asked(site))) == "sofia"
    with pytest.raises(AccessDeniedError):  # a page of another origin passed the question on
        shown(site, key.show(asked(site), origin="https://clinic.example.evil.example"))
    with pytest.raises(AccessDeniedError):  # it was made for another site
        shown(site, key.show(asked(site), rp="evil.example"))
    with pytest.raises(AccessDeniedError):  # nobody asked
        shown(site, key.show(asked(site), challenge=pack(b"x" * 32)))
    with pytest.raises(AccessDeniedError):  # without a finger or a number
        shown(site, key.show(asked(site), flags=0x01))
    answer = key.show(asked(site))
    assert shown(site, answer) == "sofia"
    with pytest.raises(AccessDeniedError):  # the same answer again
        shown(site, answer)
    other = Authenticator()
    other.count = 50
    with pytest.raises(AccessDeniedError):  # another key under the same name
        shown(site, other.show(asked(site)))
    assert shown(site, key.show(asked(site))) == "sofia", "and the true one still is"


def test_a_copied_key_is_seen_by_its_counter(site: Site, key: Authenticator) -> None:
    assert shown(site, key.show(asked(site))) == "sofia"
    key.count = 0  # the copy was made before
    with pytest.raises(AccessDeniedError):
        shown(site, key.show(asked(site)))


def test_what_is_not_a_passkey_for_us_is_not_kept(site: Site) -> None:
    site.grown("sofia")
    kept, forged = site.installation.people.credentials, Authenticator()
    for wrong in ({"origin": "https://evil.example"}, {"rp": "evil.example"}, {"challenge": pack(b"y" * 32)}):
        with pytest.raises(AccessDeniedError):
            kept.finish_passkey("sofia", "key", forged.make(kept.begin_passkey("sofia", "Sofia", RP), **wrong), RP, ORIGIN)
    with pytest.raises(AccessDeniedError):  # the question was somebody else's
        kept.finish_passkey("sofia", "key", forged.make(kept.begin_passkey("otto", "Otto", RP)), RP, ORIGIN)
    assert kept.passkeys("sofia") == []


# bombs


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb() -> bytes:
    """60,000 x 60,000 grey pixels in some kilobytes."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(60_001) * 100) for _ in range(60)) + packer.flush()
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_that_would_fill_the_memory_is_kept_and_never_unpacked(ehr: Fhir) -> None:
    whole = {
        "resourceType": "Patient",
        "id": "bomb",
        "photo": [{"contentType": "image/png", "data": base64.b64encode(png_bomb()).decode()}],
    }
    started = time.perf_counter()
    assert ehr("PUT", "/Patient/bomb", whole).status_code == 201
    assert ehr("GET", "/Patient/bomb").json()["photo"] == whole["photo"]
    assert time.perf_counter() - started < 5


def test_a_packed_body_is_not_unpacked(ehr: Fhir) -> None:
    bomb = zlib.compress(bytes(50_000_000))
    for how in ("gzip", "deflate", "br", "zstd"):
        assert ehr("POST", "/Patient", bomb, Content_Encoding=how).status_code == 415


@pytest.fixture
def engineer(site: Site) -> Browser:
    site.grown("sofia")
    found = site.grown("ines")
    site.installation.people.grant("ines", "ines@clinic.example", "integration-engineer", by="sofia", approved="otto")
    return found


def bring(browser: Browser, name: str, content: bytes, file: str = "t.csv") -> httpx.Response:
    form = {"csrf": browser.csrf(), "name": name, "patient": "patient"}
    return browser.web.post("/data/bring", data=form, files={"table": (file, content)})


def test_a_table_that_would_fill_the_disk_is_refused(site: Site, engineer: Browser, tmp_path: Any) -> None:
    rows = pa.table({"patient": pa.array(["p"] * 2_100_000).dictionary_encode()})
    pq.write_table(rows, tmp_path / "bomb.parquet", compression="zstd")
    raw = (tmp_path / "bomb.parquet").read_bytes()
    assert len(raw) < 1_000_000
    answer = bring(engineer, "bomb", raw, "bomb.parquet")
    assert answer.status_code == 400
    assert "more than 2,000,000 rows" in answer.text
    zipped = b"PK\x03\x04" + bytes(100)
    assert bring(engineer, "zip", zipped, "rows.csv").status_code == 400
    assert bring(engineer, "zip", zipped, "rows.zip").status_code == 400
    assert not list((site.installation.home / "incoming").iterdir())


def test_a_files_name_is_text_and_no_path(site: Site, engineer: Browser) -> None:
    evil = "../../<img src=x onerror=alert(1)>.csv"
    answer = bring(engineer, "x", b"\x00\xff", evil)
    assert answer.status_code == 400
    assert "<img src=x" not in answer.text
    assert not list(site.installation.home.parent.glob("*img*"))


@pytest.mark.parametrize("place", ["/fhir/Patient", "/sign-in", "/auth/token"])
def test_two_hundred_megabytes_are_cut_off(site: Site, place: str) -> None:
    """Said beforehand they are not read at all; unsaid they are read up to the limit."""
    host, port = "127.0.0.1", int(site.base.rpartition(":")[2])
    head = f"POST {place} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection((host, port), 20) as link:
        link.sendall((head + f"Content-Length: {200 * 2**20}\r\n\r\n").encode())
        assert link.recv(200).split()[1] in (b"400", b"401", b"413", b"415")
    sent, part = 0, b"%x\r\n" % 2**20 + b"a" * 2**20 + b"\r\n"
    with socket.create_connection((host, port), 20) as link:
        link.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        try:
            for _ in range(200):
                link.sendall(part)
                sent += 2**20
                link.setblocking(False)
                try:
                    if link.recv(200):
                        break
                except BlockingIOError:
                    pass
                finally:
                    link.setblocking(True)
        except OSError:
            pass
    assert sent < 100 * 2**20
    assert site.browser().web.get("/sign-in").status_code in (200, 303), "it serves on"


def test_json_is_as_deep_as_records_are(ehr: Fhir) -> None:
    arrays = '{"resourceType":"Patient","extension":' + "[" * 5_000 + "]" * 5_000 + "}"
    for deep in (arrays, "[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000):
        for method, place in (("POST", "/Patient"), ("POST", ""), ("PATCH", "/Patient/bomb")):
            answer = ehr(method, place, deep.encode())
            assert 400 <= answer.status_code < 500, (place, answer.status_code)


# references that lead elsewhere


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """(address, what was asked for) of a server that nobody should call."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_given: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_no_reference_makes_the_server_call(ehr: Fhir, listener: tuple[str, list[str]]) -> None:
    place, seen = listener
    ehr("PUT", "/Patient/ssrf", {"resourceType": "Patient", "id": "ssrf", "photo": [{"url": f"{place}/photo.png"}]})
    about = {**observation("ssrf"), "performer": [{"reference": f"{place}/Practitioner/1"}], "id": "ssrf"}
    about["meta"] = {"profile": [f"{place}/StructureDefinition/x"]}
    about["code"]["coding"].append({"system": f"{place}/codes", "code": "x"})
    ehr("PUT", "/Observation/ssrf", about)
    ehr("POST", "/Observation/$validate", about)
    ehr("GET", f"/Observation?performer={place}/Practitioner/1&_include=Observation:performer")
    ehr("GET", f"/Observation?code:in={place}/ValueSet/1")
    ehr("GET", f"/Patient/{place}/Patient/1")
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": f"{place}/Patient/1"}}]}
    ehr("POST", "", bundle)
    ehr("GET", "/Patient/ssrf/$everything")
    time.sleep(0.2)
    assert seen == []


def test_ids_of_other_servers_are_none_here(ehr: Fhir) -> None:
    for own in ("http:%2f%2fother.example%2fPatient%2f1", "urn:uuid:1", "..%2fObservation%2f1", "1%2f_history%2f1", "1%00"):
        assert ehr("GET", f"/Patient/{own}").status_code in (400, 404)


# records do not change hands


@pytest.fixture(scope="module")
def ward(ehr: Fhir, served: Callable[..., Fhir]) -> Fhir:
    """A clinician who treats one patient, beside one whom she does not."""
    for own in ("ours", "theirs"):
        ehr("PUT", f"/Patient/{own}", {"resourceType": "Patient", "id": own})
        ehr("PUT", f"/Observation/of-{own}", {**observation(own), "id": f"of-{own}"})
    treats(ehr, "ours", "dora")
    return served("dora", role="clinician", scope="user/*.cruds", purposes="treatment")


@pytest.mark.parametrize(
    "change",
    [
        {"op": "replace", "path": "/subject/reference", "value": "Patient/theirs"}, {"op": "replace", "path": "/id", "value": "of-theirs"},
        {"op": "replace", "path": "/resourceType", "value": "Patient"}, {"op": "add", "path": "/tenant", "value": "another"},
        {"op": "copy", "from": "", "path": "/contained"}, {"op": "test", "path": "/subject/reference", "value": "Patient/theirs"},
    ],
    ids=["to another patient", "another id", "another type", "another tenant", "itself within itself", "a question"],
)  # fmt: skip
def test_a_patch_moves_no_record(ward: Fhir, ehr: Fhir, change: dict[str, Any]) -> None:
    before = ehr("GET", "/Observation/of-ours").json()
    answer = ward("PATCH", "/Observation/of-ours", [change])
    assert answer.status_code in (400, 403, 404, 422), answer.text
    assert ehr("GET", "/Observation/of-ours").json() == before
    assert ward("PATCH", "/Observation/of-theirs", [change]).status_code == 404


def test_a_patch_does_not_double_without_end(ehr: Fhir) -> None:
    ehr("PUT", "/Patient/double", {"resourceType": "Patient", "id": "double", "name": [{"text": "x" * 1_000}]})
    changes = [{"op": "copy", "from": "/name", "path": f"/name/{0}/extension{i}"} for i in range(60)]
    started = time.perf_counter()
    assert ehr("PATCH", "/Patient/double", changes).status_code == 400
    assert time.perf_counter() - started < 10


def test_what_is_contained_and_older_versions_are_no_way_around(ward: Fhir, ehr: Fhir) -> None:
    within = {
        **observation("theirs"),
        "id": "within",
        "contained": [{"resourceType": "Patient", "id": "p", "name": [{"text": "Ours"}]}],
    }
    ehr("PUT", "/Observation/within", within)
    assert ward("GET", "/Observation/within").status_code == 404
    assert ward("GET", "/Observation/within/_history/1").status_code == 404
    assert ward("GET", "/Patient/p").status_code == 404
    ehr("PUT", "/Observation/moved", {**observation("theirs"), "id": "moved"})
    ehr("PUT", "/Observation/moved", {**observation("ours"), "id": "moved"})
    assert ward("GET", "/Observation/moved/_history/1").status_code == 404, "what it was while it was another patient's"


@pytest.mark.parametrize("etag", ['W/"1"', "*", 'W/"999"'])
def test_a_version_says_nothing_of_what_is_hidden(ward: Fhir, etag: str) -> None:
    hidden, absent = (ward("GET", f"/Observation/{own}", If_None_Match=etag) for own in ("of-theirs", "of-nobody"))
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content) == (404, absent.content)
    hidden, absent = (ward("DELETE", f"/Observation/{own}", If_Match=etag) for own in ("of-theirs", "of-nobody"))
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)


def test_filters_that_are_not_understood_are_refused(ward: Fhir) -> None:
    for query in ("_filter=name eq 'x'", "_query=x", "_contained=true", "_include=*&_filter=x", "_sort=subject.name"):
        assert ward("GET", f"/Patient?{query}").status_code == 400, query


def test_where_one_comes_from_is_not_what_one_says(site: Site) -> None:
    site.grown("sofia")
    attacker = site.browser()
    for i in range(5):
        said = {"X-Forwarded-For": f"10.0.0.{i}", "X-Real-IP": f"10.0.0.{i}", "Forwarded": f"for=10.0.0.{i}"}
        attacker.password("sofia", "not-the-password", **said)
    assert attacker.password("sofia", **{"X-Forwarded-For": "10.0.0.99"}).status_code == 400, "five tries are five tries"
