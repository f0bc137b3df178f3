"""How much of the code runs before a local `galenic table synthesize FILE` reads the rows of the table.

Counted are the files of src/galenic in which at least one function is called between the start of the command and the first time
that rows are read (for the estimate of the cost), in a new installation. The check that the file is a table comes before and
does not end the count; module bodies, which run on import, do not count.

    python benchmarks/architecture_synthesize.py [SRC]

SRC: another src folder to count (for example that of an older commit in a worktree of its own).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

COUNTER = """
import os, sys, threading
from pathlib import Path
import galenic
from galenic.cli import run

ROOT = os.path.dirname(galenic.__file__) + os.sep
seen, reading = set(), []

def called(frame, event, _argument):
    code = frame.f_code
    if reading or event != "call" or code.co_name == "<module>" or not code.co_filename.startswith(ROOT):
        return
    back = frame.f_back
    if code.co_name == "opener" and back is not None and back.f_code.co_filename != code.co_filename:
        reading.append(sorted(seen))
    seen.add(code.co_filename.removeprefix(ROOT))

threading.setprofile(called)
sys.setprofile(called)
run(["table", "synthesize", sys.argv[1], "--patient", "patient_id", "--drop", "discharged", "--json"])
sys.setprofile(None)
Path(sys.argv[2]).write_text("\\n".join(reading[0]))
"""


def synthesize_files(src: Path = ROOT / "src") -> list[str]:
    """The files of src/galenic that take part before the rows of the table are read."""
    with tempfile.TemporaryDirectory() as folder:
        table, found = Path(folder) / "patients.csv", Path(folder) / "files.txt"
        lines = [f"P{i:05d},{20 + i % 60},{'female' if i % 2 else 'male'},2024-01-01" for i in range(400)]
        table.write_text("\n".join(["patient_id,age_years,sex,discharged", *lines]) + "\n", encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(src), "GALENIC_HOME": str(Path(folder) / "home")}
        subprocess.run([sys.executable, "-c", COUNTER, table, found], check=True, env=environment, stdout=subprocess.DEVNULL)
        return found.read_text(encoding="utf-8").split()


if __name__ == "__main__":
    files = synthesize_files(Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else ROOT / "src")
    print("\n".join(files))
    print(f"{len(files)} files run before the table is read")
