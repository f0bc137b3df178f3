"""Writer of FHIR resources: a folder of NDJSON files by type, or one Bundle."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import IO

FULL_URL_BASE = "https://galenic.invalid/fhir"  # not resolvable: entries of a Bundle need absolute URLs


class FhirWriter:
    """Writes resources as NDJSON files by type into a folder, or as one Bundle file; `written` counts them by type."""

    def __init__(self, place: Path, written: Counter[str], *, bundle: bool = False) -> None:
        self.place, self.written, self.bundle = place, written, bundle
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "FhirWriter":
        if self.bundle:
            self._files[""] = self._stack.enter_context(self.place.open("wb"))
            self._files[""].write(b'{"resourceType":"Bundle","type":"collection","entry":[')
        return self

    def put(self, kind: str, resource_id: str, raw: bytes) -> None:
        """Writes one resource. raw: its JSON in one line."""
        if self.bundle:
            url = f"{FULL_URL_BASE}/{kind}/{resource_id}".encode()
            comma = b",\n" if self.written else b"\n"
            self._files[""].write(comma + b'{"fullUrl":"' + url + b'","resource":' + raw + b"}")
        else:
            if kind not in self._files:
                self._files[kind] = self._stack.enter_context((self.place / f"{kind}.ndjson").open("wb"))
            self._files[kind].write(raw + b"\n")
        self.written[kind] += 1

    def __exit__(self, *_error: object) -> None:
        if self.bundle:
            self._files[""].write(b"\n]}\n")
        self._stack.close()
