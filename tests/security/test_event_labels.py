"""Events of the audit log have plain labels, in the console and in the reference."""

import ast
import re
from pathlib import Path

from galenic.security import event_label, event_labels
from galenic.security.facts import KINDS
from plain_language import LABEL_BANNED, ROOT, Text, faults

WRITES = {"append", "post", "post_later", "ticket"}


def events_in_source() -> set[str]:
    """Names of events that some module writes to the audit log, as far as they are written out."""
    found = set()
    for module in (ROOT / "src" / "galenic").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES and node.args:
                first, target = node.args[0], ast.unparse(node.func.value)
                if isinstance(first, ast.Constant) and (target.endswith("audit") or target in {"self", "self._log()"}):
                    found.add(first.value)
    return found


def test_each_event_and_each_kind_of_fact_has_a_label() -> None:
    written = events_in_source()
    assert {"gate.denied", "house.founded", "session.opened", "signed"} <= written, "the search finds events"
    assert not (written | {f"fact.{kind}" for kind in KINDS}) - set(event_labels())


def test_labels_are_plain_and_no_two_are_equal() -> None:
    labels = list(event_labels().values())
    assert len(set(labels)) == len(labels)
    assert not [fault for text in labels for fault in faults(Text("event label", text, label=True))]
    assert LABEL_BANNED, "the check knows banned forms"


def test_a_row_about_several_facts_names_each_and_an_unknown_event_keeps_its_name() -> None:
    assert event_label("fact.person+credential") == "Account changed; Sign-in method changed"
    assert event_label("gate.break-glass") == "Emergency access"
    assert event_label("of.another.version") == "of.another.version"


def test_the_reference_lists_every_event_with_its_label() -> None:
    page = Path(ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    table = page.partition("<!-- events -->")[2].partition("<!-- /events -->")[0]
    assert dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.M)) == event_labels()
