"""Everyday kinds of tables: each is read rightly, or refused with what to do; nothing is lost in silence."""

from pathlib import Path

import pytest

from input_kinds_made import KINDS, InputKind, judge


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_everyday_kind_of_table_is_right_or_clearly_refused(kind: InputKind, tmp_path: Path) -> None:
    assert judge(kind, tmp_path) == ""


def test_there_are_many_kinds_and_each_is_named_once() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 60
