"""Files of a bulk export, encrypted under a key that is destroyed with them."""

import shutil

from galenic import store
from galenic.installation import Installation
from galenic.security import BUILDS

BULK_BUILD = "bulk"  # kind of build


def drop_bulk(installation: Installation, build: str) -> None:
    """Deletes the files of a bulk export and their key."""
    shutil.rmtree(installation.shards / build, ignore_errors=True)
    if any(b["id"] == build for b in store.list_builds(installation.db, kind=BULK_BUILD)):
        store.drop_build(installation.db, build, installation.shards)
        installation.tree.drop(BUILDS + int(build.rpartition("-")[2]))
