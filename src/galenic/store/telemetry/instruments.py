"""Telemetry of a running installation: structured logs, spans and metrics. None of them contains patient data."""

import contextlib
import json
import os
import sys
import threading
import unicodedata
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from galenic.errors import StoreError

REGISTRY = CollectorRegistry()
DECISIONS = Counter("galenic_gate_decisions_total", "Access decisions", ["outcome"], registry=REGISTRY)
BROKEN_GLASS = Counter("galenic_broken_glass_total", "Emergency accesses", registry=REGISTRY)
REQUESTS = Histogram(
    "galenic_request_seconds",
    "HTTP requests",
    ["method", "class"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    registry=REGISTRY,
)
ROWS = Counter("galenic_rows_total", "Rows of patient data read or written", ["action"], registry=REGISTRY)
ERASURES = Counter("galenic_erasures_total", "Patients erased", registry=REGISTRY)
AUDIT_COMMITS = Histogram(
    "galenic_audit_commit_rows", "Audit rows per commit", registry=REGISTRY, buckets=(1, 2, 4, 8, 16, 32, 64, 256)
)


class Durations(Collector):
    """Histogram that costs its caller a tenth of a microsecond, because values are counted only when it is read."""

    BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)  # s

    def __init__(self, name: str, about: str) -> None:
        self._name, self._about = name, about
        self._waiting: deque[float] = deque()
        self._counts, self._sum = [0] * (len(self.BOUNDS) + 1), 0.0
        self._turn = threading.Lock()

    def observe(self, seconds: float) -> None:
        """Records one duration."""
        self._waiting.append(seconds)
        if len(self._waiting) > 5_000:  # not scraped: store the sums, not the list
            self._settle()

    def _settle(self) -> None:
        with self._turn, contextlib.suppress(IndexError):
            while True:
                seconds = self._waiting.popleft()
                self._counts[bisect_left(self.BOUNDS, seconds)] += 1
                self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as Prometheus reads it: cumulative counts."""
        self._settle()
        totals = list(accumulate(self._counts))
        buckets = [(str(b), float(n)) for b, n in zip((*self.BOUNDS, "+Inf"), totals, strict=True)]
        yield HistogramMetricFamily(self._name, self._about, buckets=buckets, sum_value=self._sum)


PASS_SECONDS = Durations("galenic_gate_pass_seconds", "Duration of an access decision, from opening to closing")
REGISTRY.register(PASS_SECONDS)

FIELDS = frozenset(
    {
        "who",
        "resource",
        "decision",
        "review_by",
        "action",
        "rows",
        "seconds",
        "dataset",
        "job",
        "step",
        "error",
        "count",
        "folder",
        "request",
    }
)
_place: Path | None = None


def log_to(place: Path) -> None:
    """Also writes the log to a file, one JSON object per line."""
    global _place  # noqa: PLW0603  # one log per process, as with the standard library's
    _place = place


def log(level: str, message: str, **fields: object) -> None:
    """Writes one structured line: to stderr from "warning" on, and always to the log file. Only known fields are accepted, so
    that no caller can log a cell by accident."""
    strange = sorted(set(fields) - FIELDS)
    if strange:
        raise StoreError(f"the fields {strange} may not be logged. Expected some of {sorted(FIELDS)}.")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "level": level, "message": message, **{k: _safe(v) for k, v in fields.items()}})
    if level in ("warning", "error"):
        sys.stderr.write(line + "\n")
    if _place is not None:
        with contextlib.suppress(OSError):  # a full disk must not stop the work; the error is reported elsewhere
            _place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(_place, "a", encoding="utf-8", opener=_private) as file:
                file.write(line + "\n")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _safe(value: object) -> object:
    if isinstance(value, int | float | bool) or value is None:
        return value
    return "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else "?" for c in str(value))[:200]


def span(name: str, **attributes: str | int) -> contextlib.AbstractContextManager[object]:
    """OpenTelemetry span; it does nothing until the application has set up a tracer provider."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN
    named = {f"galenic.{key}": value for key, value in attributes.items()}
    return trace.get_tracer("galenic").start_as_current_span(f"galenic.{name}", attributes=named)


_NO_SPAN: contextlib.AbstractContextManager[object] = contextlib.nullcontext()


def metrics() -> str:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY).decode()
