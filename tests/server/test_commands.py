"""The commands of the server as their user types them: systems, applications, providers; what is wrong ends with 2 and says what."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk


def galenic(home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    everything = [sys.executable, "-m", "galenic", *map(str, words)]
    return subprocess.run(
        everything, env={**os.environ, "GALENIC_HOME": str(home)}, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands") / "home"


def test_a_system_is_added_and_gets_a_token(home: Path, tmp_path: Path) -> None:
    key = jwk.ECKey.import_key(ec.generate_private_key(ec.SECP384R1()), {"kid": "one"})
    public = tmp_path / "keys.json"
    public.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    done = galenic(home, "clients", "add", "registry", "--jwks", public, "--json")
    assert done.returncode == 0, done.stderr
    told = galenic(home, "clients", "token", "registry", "--hours", "1", "--scope", "system/Patient.rs", "--json")
    assert json.loads(told.stdout)["expires_in"] == 3_600
    public.write_text(json.dumps({"keys": [key.as_dict(private=True)]}))
    wrong = galenic(home, "clients", "add", "leaky", "--jwks", public)
    assert wrong.returncode == 2
    assert "private keys" in wrong.stderr


def test_an_application_and_a_provider_are_registered(home: Path, tmp_path: Path) -> None:
    done = galenic(
        home, "clients", "app", "growth", "--redirect", "https://growth.example/back", "--scope", "user/*.rs", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["redirects"] == ["https://growth.example/back"]
    wrong = galenic(home, "clients", "app", "growth", "--redirect", "http://growth.example/back")
    assert wrong.returncode == 2
    assert "redirect URI is a complete https" in " ".join(wrong.stderr.split())
    secret = tmp_path / "secret"
    secret.write_text("the-secret\n")
    words = [
        "server",
        "identity-provider",
        "clinic",
        "--issuer",
        "https://login.example",
        "--client",
        "galenic",
        "--secret-file",
        secret,
    ]
    done = galenic(home, *words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["back"] == "/sign-in/with/clinic/back"
    assert "the-secret" not in done.stdout + done.stderr
    words[4] = "http://login.example"
    wrong = galenic(home, *words, "--internal")
    assert wrong.returncode == 2
    assert "without TLS" in wrong.stderr


def test_a_worker_works_until_its_input_ends(home: Path) -> None:
    words = [sys.executable, "-m", "galenic", "server", "worker"]
    done = subprocess.run(
        words, env={**os.environ, "GALENIC_HOME": str(home)}, input="", capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("at work")


def test_files_that_can_not_be_used_are_said_and_nothing_is_started(home: Path, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "words.pem").write_text("no certificate")
    for words in (
        ("clients", "add", "reg", "--jwks", tmp_path / "nowhere.json"), ("clients", "add", "reg", "--jwks", binary),
        ("server", "identity-provider", "x", "--issuer", "https://x.example", "--client-id", "x", "--secret-file", binary),
        ("serve", "--certificate", tmp_path / "nowhere.pem", "--certificate-key", tmp_path / "nowhere.key"),
        ("serve", "--certificate", tmp_path / "words.pem", "--certificate-key", tmp_path / "words.pem"),
        ("serve", "--client-authority", tmp_path / "words.pem"),
    ):  # fmt: skip
        done = galenic(home, *words)
        assert done.returncode == 2, (words, done.stderr)
        assert "Traceback" not in done.stderr
        assert "Give" in done.stderr
        assert "Serving" not in done.stdout
