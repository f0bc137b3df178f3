"""Result rows of benchmarks, and peers in virtual environments of their own."""

import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = Path(os.environ.get("GALENIC_PEERS", HERE.parent / ".venv-peers"))


def peer(name: str) -> Path:
    """The Python of a peer's own environment, made from peers/NAME.txt when first needed."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    wanted = (HERE / "peers" / f"{name}.txt").read_text()
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "peers" / f"{name}.txt"], check=True)
        ready.write_text(wanted)
    return python


def machine() -> str:
    """Cores, memory and processor family."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {platform.machine()}, Python {platform.python_version()}"


def commit() -> str:
    """The commit measured, with a mark if the code differs from it (results and prose do not count)."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, cwd=HERE.parent, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "benchmarks/*.py", "benchmarks/peers", "constraints.txt")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")


COMMIT = commit()  # when the run starts


def row(
    ident: str,
    what: str,
    unit: str,
    ours: object,
    target: str,
    met: bool | None,
    *,
    interval: object = None,
    peers: dict | None = None,
) -> dict:
    """One row of results/NAME.json."""
    found = {
        "id": ident,
        "what": what,
        "unit": unit,
        "ours": ours,
        "interval": interval,
        "peers": peers or {},
        "target": target,
    }
    print(
        f"{ident:<22} {ours} {unit}  target {target}  {'met' if met else 'shown' if met is None else 'MISSED'}  {peers or ''}"
    )
    return {**found, "met": met}


def write(name: str, rows: list[dict]) -> None:
    """Writes results/NAME.json; rows measured earlier and not now stay, with the commit they were measured at."""
    about = {"commit": COMMIT, "machine": machine(), "command": f"make bench NAME={name}"}
    place = HERE / "results" / f"{name}.json"
    place.parent.mkdir(exist_ok=True)
    now = {r["id"]: {**r, **about} for r in rows}
    before = json.loads(place.read_text()) if place.exists() else []
    kept = [now.pop(r["id"], r) for r in before]
    place.write_text(json.dumps([*kept, *now.values()], indent=1) + "\n", encoding="utf-8")
    print(f"written to {place.relative_to(HERE.parent)}")


def zcdp_rho(epsilon: float, delta: float) -> float:
    """What peers that account by zCDP may spend (Canonne, Kamath & Steinke 2020, Proposition 12)."""

    def delta_of(rho: float) -> float:
        low, high = 1.01, (epsilon + 1) / (2 * rho) + 2
        for _ in range(200):
            alpha = (low + high) / 2
            low, high = (alpha, high) if (2 * alpha - 1) * rho - epsilon + math.log1p(-1 / alpha) < 0 else (low, alpha)
        return math.exp((alpha - 1) * (alpha * rho - epsilon) + alpha * math.log1p(-1 / alpha) - math.log(alpha - 1))

    low, high = 0.0, epsilon + 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle) <= delta else (low, middle)
    return low


def galenic(home: Path, *words: object, accept: tuple[int, ...] = (0,)) -> dict:
    """Runs a command of the command line with --json and returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "galenic", *map(str, words), "--json"],
        env={**os.environ, "GALENIC_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in accept:
        raise SystemExit(f"galenic {words[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)
