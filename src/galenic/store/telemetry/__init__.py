"""Telemetry without patient data: metrics, the log file and trace spans."""

from galenic.store.telemetry.instruments import (
    AUDIT_COMMITS,
    BROKEN_GLASS,
    DECISIONS,
    ERASURES,
    FIELDS,
    PASS_SECONDS,
    REQUESTS,
    log,
    log_to,
    metrics,
    span,
)

__all__ = [
    "AUDIT_COMMITS",
    "BROKEN_GLASS",
    "DECISIONS",
    "ERASURES",
    "FIELDS",
    "PASS_SECONDS",
    "REQUESTS",
    "log",
    "log_to",
    "metrics",
    "span",
]
