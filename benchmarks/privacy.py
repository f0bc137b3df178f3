"""Privacy of synthetic tables and de-identification, measured from outside: each part uses only the command line and public Python.

python benchmarks/privacy.py [PART ...] runs some parts; without a name all.
"""

import importlib
import sys
from pathlib import Path

from rows import row, write

PARTS = ("neighbor", "bugs", "tables", "records", "language")


def main(names: list[str]) -> None:
    """Measures the named parts, or all that exist, and writes results/privacy.json after each."""
    existing = [name for name in PARTS if (Path(__file__).parent / f"privacy_{name}.py").exists()]
    for name in names or existing:
        write("privacy", importlib.import_module(f"privacy_{name}").measure(row))


if __name__ == "__main__":
    main(sys.argv[1:])
