"""Sentences that a technical editor would change, of 200 drawn from pages, help, console and errors.

python benchmarks/usability_sentences.py SEED draws 200 sentences and prints them, numbered. An editor who has not written them reads them and
lists in usability_sentences.toml each that has to change, with the reason. The figure is the number of these.
"""

import ast
import random
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
DRAWN, SHORTEST = 200, 4  # sentences; words


def error_messages() -> Iterator[str]:
    """Texts of exceptions in the source, with … for each value."""
    for path in sorted((ROOT / "src" / "galenic").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                for argument in node.exc.args:
                    if isinstance(argument, ast.JoinedStr):
                        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in argument.values)
                    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def sentences() -> list[str]:
    """All sentences of four words or more, each once, sorted."""
    import plain_language as plain  # noqa: PLC0415  # the harvest of tests/test_language.py

    texts = [t.words for t in (*plain.of_documents(), *plain.of_help(), *plain.of_templates())]
    found = {s.strip() for text in (*texts, *error_messages()) for s in re.split(r"(?<=[.!?])\s+", text)}
    return sorted(s for s in found if len(s.split()) >= SHORTEST)


def draw(seed: int) -> list[str]:
    """Sentences drawn at random without repetition."""
    return random.Random(seed).sample(sentences(), DRAWN)  # a sample, no secret


def measure(row: Callable[..., dict[str, object]]) -> list[dict[str, object]]:
    """The row of the judged sentences."""
    judged = tomllib.loads((Path(__file__).parent / "usability_sentences.toml").read_text(encoding="utf-8"))
    changed = judged.get("changed", [])
    about = {
        "drawn from": len(sentences()),
        "judged at commit": judged["commit"],
        "seed": judged["seed"],
        "earlier rounds": judged.get("earlier", []),
    }
    what = f"sentences a technical editor would change, of {DRAWN} drawn"
    return [row("usability.sentences", what, "sentences", len(changed), "<= 5", len(changed) <= 5, peers=about)]


if __name__ == "__main__":
    for number, sentence in enumerate(draw(int(sys.argv[1])), 1):
        print(f"{number}. {sentence}")
