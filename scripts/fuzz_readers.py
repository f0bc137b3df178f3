"""Fuzzes the readers of untrusted files with atheris: python scripts/fuzz_readers.py SECONDS [FOLDER of examples].

Whatever bytes come, a reader gives a value or a GalenicError; anything else ends the run with the input that did it. What broke once is a
case of tests/records.
"""

import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["galenic.records"]):
    from galenic.errors import GalenicError
    from galenic.records.fhir import parse, restore_resource, validate_resource, write_json
    from galenic.records.fhir.parsing import read_ndjson
    from galenic.records.fhir.preparation import prepare_document
    from galenic.records.fhir.stored_resource import display_of
    from galenic.records.fhir.to_events import resource_to_events
    from galenic.records.mapping import events_of, parse_mapping

import collections

import pyarrow as pa

PLACE = Path(tempfile.mkdtemp()) / "fuzz.ndjson"


def one(data: bytes) -> None:
    """One input through every reader of FHIR."""
    try:
        document = parse(data)
    except GalenicError:
        document = None
    if document is not None:
        issues = validate_resource(document.resource)
        assert write_json(parse(write_json(document.exact)).exact) == write_json(document.exact)
        if not any(i.level == "error" for i in issues):
            for event in resource_to_events(restore_resource(data.removeprefix(b"\xef\xbb\xbf").decode(), {})).events:
                display_of(document.resource, event.code)
        prepare_document([(1, data)])
    PLACE.write_bytes(data)
    try:
        for line in read_ndjson(PLACE):
            assert line.document is not None or line.fault
    except GalenicError:
        pass
    try:
        text = data.decode()
        events_of(parse_mapping(text), pa.table({"a": ["1"]}), collections.Counter())
    except (GalenicError, UnicodeDecodeError, KeyError):
        pass


if __name__ == "__main__":
    seconds, corpus = sys.argv[1], sys.argv[2:]
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", *corpus], one)
    print(f"begun {time.ctime()}", flush=True)
    atheris.Fuzz()
