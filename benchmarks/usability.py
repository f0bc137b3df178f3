"""First hour of five users, measured by scripts that act as the user would: command line, Python, console in a browser, documents.

python benchmarks/usability.py [PART ...] runs some parts; without a name all.
"""

import importlib
import sys
from pathlib import Path

from rows import row, write

PARTS = ("first_rows", "clicks", "commands", "language", "inputs", "console", "sentences")


def main(names: list[str]) -> None:
    """Measures the named parts, or all that exist, and writes results/usability.json after each."""
    existing = [name for name in PARTS if (Path(__file__).parent / f"usability_{name}.py").exists()]
    for name in names or existing:
        write("usability", importlib.import_module(f"usability_{name}").measure(row))


if __name__ == "__main__":
    main(sys.argv[1:])
