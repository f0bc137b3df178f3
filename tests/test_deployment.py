"""The files in deploy/ are valid by the programs that read them, and call commands that exist."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
import typer
import yaml

from galenic.cli import app

DEPLOY = Path(__file__).parents[1] / "deploy"
COMMAND = typer.main.get_command(app)
CALLS = {
    "galenic.service": re.findall(r"ExecStart=\S*/galenic ([^\n]*)", (DEPLOY / "galenic.service").read_text(encoding="utf-8")),
    "Caddyfile": re.findall(r"galenic (serve [^\n]*)", (DEPLOY / "Caddyfile").read_text(encoding="utf-8")),
    "nginx.conf": re.findall(r"galenic (serve [^\n]*)", (DEPLOY / "nginx.conf").read_text(encoding="utf-8")),
    "Containerfile": [
        shlex.join(json.loads(words)[1:])
        for words in re.findall(r"^CMD (\[\"galenic.*\])$", (DEPLOY / "Containerfile").read_text(encoding="utf-8"), re.M)
    ],
    "compose.yaml": [shlex.join(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["galenic"]["command"][1:])],
}


@pytest.mark.parametrize("name", CALLS)
def test_a_file_calls_a_command_that_exists(name: str) -> None:
    assert CALLS[name]
    for call in CALLS[name]:
        words = shlex.split(call)
        command = COMMAND.commands[words[0]]  # type: ignore[attr-defined]
        command.make_parser(click.Context(command)).parse_args(words[1:])


@pytest.mark.parametrize("name", ["galenic.service", "Containerfile", "compose.yaml"])
def test_no_simulated_patients_stand_among_real_ones(name: str) -> None:
    assert all("--simulated 0" in call for call in CALLS[name])


@pytest.mark.parametrize("name", CALLS)
def test_the_public_address_is_a_name_so_that_passkeys_work(name: str) -> None:
    for call in CALLS[name]:
        assert re.search(r"--base https://[a-z]", call)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    checker = shutil.which("systemd-analyze")
    if checker is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "galenic.service").read_text(encoding="utf-8")
    unit = tmp_path / "galenic.service"
    unit.write_text(text.replace("/opt/galenic/bin/galenic", sys.executable), encoding="utf-8")  # a program that is there
    done = subprocess.run([checker, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    unit.write_text(unit.read_text(encoding="utf-8").replace("ProtectHome=yes", "ProtectHome=perhaps"), encoding="utf-8")
    done = subprocess.run([checker, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "protect home" in done.stderr, "the check notices a wrong value"


def test_hadolint_accepts_the_container_file(tmp_path: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed (extra docs)")
    done = subprocess.run([hadolint, str(DEPLOY / "Containerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_names_what_is_there() -> None:
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert (
        DEPLOY / whole["services"]["galenic"]["build"]["context"] / whole["services"]["galenic"]["build"]["dockerfile"]
    ).is_file()
    for service in whole["services"].values():
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert source in whole["volumes"] or (DEPLOY / source).is_file(), mount
        assert (DEPLOY / f"{service['env_file']}.example").is_file()
    settings = dict(line.split("=", 1) for line in lines_of("compose.env.example"))
    assert f":{settings['GALENIC_DATABASE_PASSWORD']}@database/galenic" in settings["GALENIC_DATABASE"]
    assert whole["services"]["galenic"]["read_only"] is True


def lines_of(name: str) -> list[str]:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["environment.example", "compose.env.example"])
def test_the_settings_of_an_example_exist(name: str) -> None:
    known = (DEPLOY.parent / "src" / "galenic" / "settings.py").read_text(encoding="utf-8")
    for line in lines_of(name):
        setting = line.split("=")[0]
        assert setting in known or setting in ("POSTGRES_USER", "POSTGRES_PASSWORD", "GALENIC_DATABASE_PASSWORD"), setting


def test_the_database_is_made_for_a_user_who_is_no_superuser(cluster: str) -> None:
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("psql is not installed")
    words = [psql, "--host", cluster, "--username", "galenic", "--set=ON_ERROR_STOP=1", "--set=password=it's secret"]
    text = (DEPLOY / "create-database.sql").read_text(encoding="utf-8").replace("galenic", "galenic_made")
    done = subprocess.run([*words, "postgres"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    engine = sa.create_engine(f"postgresql+psycopg://galenic_made@/galenic_made?host={cluster}", isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        assert c.execute(sa.text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")).one() == (
            False,
            False,
        )
        c.execute(sa.text("CREATE TABLE made (id int)"))
    engine.dispose()
    drop = "DROP DATABASE galenic_made WITH (FORCE); DROP ROLE galenic_made;"
    for statement in drop.split("; "):
        subprocess.run([*words, "--command", statement, "postgres"], check=True, capture_output=True)


def test_caddy_accepts_its_file() -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed")
    words = [caddy, "validate", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nginx_accepts_its_file(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    key, certificate = tmp_path / "server.key", tmp_path / "server.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=x"]
    subprocess.run(make, check=True, capture_output=True)
    own = (DEPLOY / "nginx.conf").read_text(encoding="utf-8").replace("/etc/galenic", str(tmp_path))
    paths = " ".join(f"{kind}_temp_path {tmp_path};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "whole.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {paths} {own} }}", encoding="utf-8"
    )
    done = subprocess.run(
        [nginx, "-t", "-e", "stderr", "-c", tmp_path / "whole.conf"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
