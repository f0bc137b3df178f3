"""Faults found from outside, measured from outside: each part attacks a running installation through its public interfaces.

python benchmarks/faults.py [PART ...] runs some parts; without a name all.
"""

import importlib
import sys

from rows import row, write

PARTS = ("races", "propagate", "visible", "replay", "anonymous", "slow", "erasure")


def main(names: list[str]) -> None:
    """Measures the named parts, or all, and writes results/faults.json after each."""
    for name in names or PARTS:
        write("faults", importlib.import_module(f"faults_{name}").measure(row))


if __name__ == "__main__":
    main(sys.argv[1:])
