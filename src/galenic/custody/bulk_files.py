"""Files of bulk exports, encrypted with a key that is destroyed with them, and leftovers of interrupted uploads."""

import shutil
import time

from galenic import store
from galenic.installation import Installation
from galenic.security import BUILDS

BULK_BUILD = "bulk"  # kind of build
ABANDONED = 3_600  # seconds after which an upload is no longer in progress


def drop_bulk(installation: Installation, build: str) -> None:
    """Deletes the files of a bulk export and their key."""
    shutil.rmtree(installation.shards / build, ignore_errors=True)
    if any(b["id"] == build for b in store.list_builds(installation.db, kind=BULK_BUILD)):
        store.drop_build(installation.db, build, installation.shards)
        installation.tree.drop(BUILDS + int(build.rpartition("-")[2]))


def drop_abandoned_uploads(installation: Installation) -> None:
    """Deletes uploads that an ended process left an hour ago or more."""
    folder = installation.home / "incoming"
    for upload in folder.iterdir() if folder.is_dir() else ():
        if time.time() - upload.stat().st_mtime > ABANDONED:
            shutil.rmtree(upload, ignore_errors=True)
