"""Writes docs/asvs.md: OWASP ASVS 5.0, levels 1 and 2, row by row. The standard's rows are read from GALENIC_FACTS."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

if __name__ == "__main__":
    from asvs_made import count, table

    (ROOT / "docs" / "asvs.md").write_text(table(), encoding="utf-8")
    print("{} of {} rows are checked".format(*count()))
