"""Symbolic links among input files. A folder from elsewhere must not lead to files that its sender could not read."""

import os
from pathlib import Path

from galenic.errors import RecordError


def refuse_links(folder: Path) -> None:
    """Raise RecordError if a folder contains a symbolic link at any depth. The folder itself may be one, because its user named
    it."""
    for place, folders, files in os.walk(folder):
        for name in sorted((*folders, *files)):
            path = Path(place, name)
            if path.is_symlink():
                raise RecordError(f"{path} is a symbolic link; links are not followed. Give the path of the file itself.")
