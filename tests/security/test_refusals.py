"""Counts of refusals reach the audit log, also when an installation is closed before their minute is over."""

from pathlib import Path

import pytest

from galenic.errors import StoreError
from galenic.installation import open_installation
from galenic.security import refusals
from galenic.security.refusals import PER_ADDRESS, RefusalLog


def test_closing_writes_the_refusals_that_were_only_counted(tmp_path: Path) -> None:
    installation = open_installation(tmp_path)
    for _ in range(PER_ADDRESS + 7):
        installation.audit.refusals.add("session.refused", "nobody", "203.0.113.9")
    installation.close()

    again = open_installation(tmp_path)
    counted = [row for row in again.audit.entries() if row.resource == "several"]
    again.close()
    assert [(row.action, row.detail["count"]) for row in counted] == [("session.refused", 7)]


def test_a_full_disk_does_not_end_the_thread_of_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_detail: object) -> None:
        raise StoreError("the disk is full. Make room.")

    logged: list[str] = []
    monkeypatch.setattr(refusals.telemetry, "log", lambda _level, message, **_fields: logged.append(message))
    log = RefusalLog(full)
    log._counted["session.refused", "203.0.113.9"] = 3
    log._flush_in_time()
    assert logged == ["refusals could not be written to the audit log"]
