"""The examples of docs/how-to/fhir-clients.md run as they stand against a server with a certificate of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from galenic.installation import open_installation
from galenic.server import ServerOptions, prepare_server, running_servers
from server_made import free_port
from systems_made import add_client, issue_token

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "fhir-clients.md"
BLOCKS = dict(re.findall(r"```(bash|python) test=fhir-client\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Address, certificate and token of a server, as the reader of the page has them."""
    home = tmp_path_factory.mktemp("client") / "home"
    with ExitStack() as stack:
        installation = open_installation(home)
        stack.callback(installation.close)
        port = free_port()
        base = f"https://localhost:{port}"
        pairs = stack.enter_context(prepare_server(installation, ServerOptions(port=port, base=base, simulated=0)))
        stack.enter_context(running_servers(pairs))
        add_client(installation, "lab", scope="system/Observation.cruds system/Patient.cruds")
        token = issue_token(installation, "lab")
        given = {"BASE": base, "CERTIFICATE": str(home / "tls" / "certificate.pem"), "TOKEN": token, "NO_PROXY": "localhost"}
        yield {**os.environ, **given, "no_proxy": "localhost"}


def called(words: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_page_has_both_examples() -> None:
    assert set(BLOCKS) == {"bash", "python"}


def test_curl_and_python_create_and_find_a_patient(environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = re.sub(r"^export .*$", "", BLOCKS["bash"], flags=re.M)  # the address and the certificate of this server
    done = called(["bash", "-euo", "pipefail", "-c", script], environment, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "capability.json").read_text())["resourceType"] == "CapabilityStatement"
    created = json.loads((tmp_path / "created.json").read_text())
    found = json.loads((tmp_path / "found.json").read_text())
    assert created["id"] in [entry["resource"]["id"] for entry in found["entry"]]
    done = called([sys.executable, "-c", BLOCKS["python"]], environment, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 patients, more pages: False\n"


def test_curl_refuses_the_certificate_without_cacert_as_troubleshooting_says(
    environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = called(["curl", "--silent", "--show-error", environment["BASE"] + "/fhir/metadata"], environment, tmp_path)
    assert done.returncode == 60
    assert "curl: (60) SSL certificate problem: self-signed certificate" in done.stderr
    text = (PAGE.parent / "troubleshooting.md").read_text(encoding="utf-8")
    assert "curl: (60) SSL certificate problem: self-signed certificate" in text


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token_is_answered_as_the_page_says(environment: dict[str, str], tmp_path: Path, token: str) -> None:
    words = [
        "curl",
        "--silent",
        "--cacert",
        environment["CERTIFICATE"],
        "--output",
        "answer.json",
        "--write-out",
        "%{http_code}",
    ]
    done = called(
        [*words, "--header", f"Authorization: Bearer {token}", environment["BASE"] + "/fhir/Patient"], environment, tmp_path
    )
    assert done.stdout == "401"
    assert json.loads((tmp_path / "answer.json").read_text())["resourceType"] == "OperationOutcome"
