"""Everyday kinds of tables: how many are read rightly, or refused with what to do. The kinds are those of tests/input_kinds_made.py."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from input_kinds_made import KINDS, InputKind, judge


def verdict(kind: InputKind) -> str:
    """What is wrong with how a kind is handled; a crash counts as wrong."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return judge(kind, Path(folder))
        except Exception as error:  # noqa: BLE001  # a crash is a result here
            return f"crash: {type(error).__name__}"


def measure(row: Callable[..., dict]) -> list[dict]:
    """The share of kinds that are right or clearly refused, and the worst case: those that crash."""
    wrong = {kind.name: found for kind in KINDS if (found := verdict(kind))}
    for name, found in wrong.items():
        print(f"  {name}: {found[:200]}")
    right = f"{len(KINDS) - len(wrong)} of {len(KINDS)}"
    crashes = sum(found.startswith("crash") for found in wrong.values())
    return [
        row("input-kinds", "everyday input kinds right or clearly refused", "kinds", right, "all of at least 60", not wrong),
        row("input-crashes", "everyday input kinds that end in a crash", "kinds", crashes, "0", crashes == 0),
    ]
