"""Ten minutes of atheris over the readers of untrusted files; what broke once is a case of its own elsewhere."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install atheris")
def test_no_input_breaks_a_reader(tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "patient").write_text('{"resourceType":"Patient","id":"a","birthDate":"2020-02-30","_birthDate":{"id":"x"}}')
    (examples / "observation").write_text(
        '{"resourceType":"Observation","status":"final","code":{"text":"a"},"subject":{"reference":"Patient/a"},"valueQuantity":{"value":1.10}}'
    )
    (examples / "bundle").write_text('{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic"}}]}')
    (examples / "mapping").write_text('[[event]]\ncode = "X"\ntime = "a"\n')
    words = [sys.executable, ROOT / "scripts" / "fuzz_readers.py", "600", examples]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "Done" in done.stderr
