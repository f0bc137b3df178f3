"""Pages of data sets: list, quality, upload of a table."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, Response

from galenic import records, store
from galenic.custody import ImportRequest, import_table, record_consent
from galenic.errors import GalenicError, RecordError, UnknownNameError
from galenic.jobs import PURPOSE, quality_page, stored_quality, submit_quality
from galenic.server.console.paging import page_of, router_of
from galenic.server.console.redirects import SignedMessage, read_message, redirect_to
from galenic.server.console.rendering import REPORT_POLICY, Message, TypedForm
from galenic.server.console.session import Console, CurrentUser

Text = Annotated[str, Form(max_length=400)]
READERS = ("researcher", "data-scientist", "privacy-officer", "integration-engineer", "auditor")
MEASURERS = ("researcher", "data-scientist", "privacy-officer")
IMPORTERS = ("integration-engineer",)
CONSENTING = ("yes", "true", "1", "given")  # values of a consent column
MOST_ROWS, MOST_BYTES = 2_000_000, 2**29  # of a table that is uploaded, in memory

NOTHING_TYPED = TypedForm({"name": "", "patient": "", "agreed": ""})


class FieldError(RecordError):
    """An error that belongs to one field of a form."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class DatasetPages:
    """The pages of data sets."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.installation = console.installation

    def routes(self) -> APIRouter:
        """Every address."""
        return router_of(
            [
                ("GET", "/data", self.list_datasets),
                ("POST", "/data/bring", self.upload),
                ("GET", "/data/{name}/quality", self.show_quality),
                ("POST", "/data/{name}/quality", self.measure_quality),
            ]
        )

    def list_datasets(self, request: Request, message: SignedMessage = "", find: str = "", page: int = 1) -> Response:
        """The data sets in custody."""
        user = self.console.require_user(request, *READERS)
        return self._render(request, user, read_message(message), find, page)

    def _render(
        self,
        request: Request,
        user: CurrentUser,
        message: Message | None,
        find: str = "",
        page: int = 1,
        *,
        typed: TypedForm = NOTHING_TYPED,
    ) -> Response:
        every = (d for d in store.list_datasets(self.installation.db, user.session.tenant) if find in str(d["name"]))
        shown, more = page_of(every, page)
        counts = store.count_rows(self.installation.db, user.session.tenant)
        return self.console.render(
            request,
            "data.html",
            message=message,
            user=user,
            form=typed.values,
            errors=typed.errors,
            datasets=[
                {**d, "rows": counts.get(str(d["name"]), 0), "quality": stored_quality(self.installation, str(d["name"]))}
                for d in shown
            ],
            find=find,
            page=page,
            more=more,
            measures=user.holds(*MEASURERS),
            brings=user.holds(*IMPORTERS),
        )

    def _require_dataset(self, user: CurrentUser, name: str) -> None:
        if not any(d["name"] == name for d in store.list_datasets(self.installation.db, user.session.tenant)):
            raise UnknownNameError("there is no such data set.")

    def show_quality(self, request: Request, name: str) -> Response:
        """The quality report of a data set, as a document that runs no script."""
        self._require_dataset(self.console.require_user(request, *READERS), name)
        headers = {"Content-Security-Policy": REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return HTMLResponse(quality_page(self.installation, name), headers=headers)

    def measure_quality(self, request: Request, name: str, csrf: Text) -> Response:
        """Submits a measurement of the quality of a data set."""
        user = self.console.require_form(request, csrf, *MEASURERS)
        self._require_dataset(user, name)
        return redirect_to(f"/jobs/{submit_quality(self.installation, user.session, name)}")

    def upload(
        self, request: Request, csrf: Text, name: Text, patient: Text, table: Annotated[UploadFile, File()], agreed: Text = ""
    ) -> Response:
        """Imports an uploaded table. agreed: its column that says who consented to synthetic data."""
        user = self.console.require_form(request, csrf, *IMPORTERS)
        ending = Path(table.filename or "").suffix.lower()
        form = {"name": name.strip(), "patient": patient.strip(), "agreed": agreed.strip()}
        try:
            if ending not in (".csv", ".parquet"):
                raise FieldError("table", "This is no file .csv or .parquet. Choose another file.")
            incoming = self.installation.home / "incoming"
            incoming.mkdir(exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=incoming) as folder:
                file = Path(folder) / f"table{ending}"
                _save(table, file)
                text = self._import(
                    user, records.read(file), ImportRequest(form["name"], patient=form["patient"]), form["agreed"]
                )
        except FieldError as error:
            message = Message("Nothing was imported. Correct the marked field, and choose the file again.", error=True)
            return self._render(request, user, message, typed=TypedForm(form, {error.field: str(error)}))
        except GalenicError as error:
            return self._render(request, user, Message.of_error(error), typed=TypedForm(form))
        return redirect_to("/data", text)

    def _import(self, user: CurrentUser, table: records.Source, request: ImportRequest, consent_column: str) -> str:
        """Imports the table and the consents in it; returns the message for the user."""
        require_small(table)
        for field, column in (("patient", request.patient), ("agreed", consent_column)):
            if column not in ("", *table.names):
                raise FieldError(field, f"The table has no column {column!r}. Its columns: {', '.join(table.names[:20])}.")
        result = import_table(self.installation, user.session, table, request)
        consenting = _consenting(table, request.patient, consent_column) if consent_column else []
        if consent_column:
            record_consent(self.installation, user.session, request.dataset, consenting, PURPOSE)
        imported = f"Imported {result.new:,} rows of {result.patients:,} patients as {request.dataset}."
        return f"{imported} {len(consenting):,} patients agreed to synthetic data."


def _consenting(table: records.Source, patient: str, consent_column: str) -> list[str]:
    """The patients whose consent column says so, each once."""
    consenting: dict[str, None] = {}
    for batch in table.open([patient, consent_column]):
        pairs = zip(batch[patient].to_pylist(), batch[consent_column].to_pylist(), strict=True)
        consenting |= {str(p): None for p, value in pairs if str(value).strip().lower() in CONSENTING}
    return list(consenting)


def require_small(table: records.Source) -> None:
    """RecordError if the table has more than MOST_ROWS rows or MOST_BYTES bytes in memory. Counted while reading: a small file may
    hold any number of equal rows, and of long values."""
    rows = size = 0
    for batch in table.open(None):
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows > MOST_ROWS:
            raise RecordError(f"the table has more than {MOST_ROWS:,} rows. Bring it in with: galenic records import")
        if size > MOST_BYTES:
            raise RecordError(
                f"the table has more than {MOST_BYTES:,} bytes in memory. Bring it in with: galenic records import"
            )


def _save(upload: UploadFile, file: Path) -> None:
    """Writes an upload to a file that only this process's user can read, from the start."""
    with open(file, "xb", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
        while block := upload.file.read(2**20):
            out.write(block)
