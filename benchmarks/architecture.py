"""Figures about the shape of the code: how many source files take part in one request."""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import FrameType
from typing import Any, Self

SOURCES = Path(__file__).parents[1] / "src" / "galenic"


class CallRecorder:
    """Records which files of src/galenic have a function that is called, in this thread and in those that start after it was
    entered. Module and class bodies do not count."""

    def __init__(self) -> None:
        self._recording = False
        self._files: set[str] = set()

    def __enter__(self) -> Self:
        sys.setprofile(self._called)
        threading.setprofile(self._called)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _called(self, frame: FrameType, event: str, _argument: object) -> None:
        if self._recording and event == "call" and frame.f_code.co_flags & CO_OPTIMIZED:
            self._files.add(frame.f_code.co_filename)

    def files_of(self, work: Callable[[], Any]) -> list[str]:
        """Files in which a function was called while `work` ran."""
        self._files.clear()
        self._recording = True
        try:
            work()
        finally:
            self._recording = False
        return sorted(str(Path(f).relative_to(SOURCES)) for f in self._files if Path(f).is_relative_to(SOURCES))


def files_touched_by(work: Callable[[], Any]) -> list[str]:
    """Files of src/galenic in which a function is called while `work` runs, in its thread and in those that it starts."""
    with CallRecorder() as recorder:
        return recorder.files_of(work)


def search_files(count: int = 50) -> list[str]:
    """Files that take part in `GET /Patient?name=` on a served installation with simulated patients, after earlier requests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from galenic.custody import server_session  # noqa: PLC0415
    from galenic.server import setup  # noqa: PLC0415
    from server_made import a_server  # noqa: PLC0415

    with CallRecorder() as recorder, tempfile.TemporaryDirectory() as folder, a_server(Path(folder) / "home") as client:
        ehr = client("ehr")
        setup.import_simulated_records(ehr.installation, server_session(ehr.installation), Path(folder), count=count)
        ehr.repository.catch_up()
        ehr.make({"resourceType": "Patient", "name": [{"family": "Architect"}]})

        def search() -> None:
            assert ehr.found("Patient?name=architect")

        for _ in range(20):  # every thread of the server has served
            search()
        time.sleep(1)  # longer than the interval at which the index is refreshed
        return recorder.files_of(search)


if __name__ == "__main__":
    files = search_files()
    print("\n".join(files))
    print(len(files), "files take part in GET /Patient?name=")
