"""Files of a model: a description as JSON, arrays as .npy inside an .npz; no pickle, so reading one runs nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from galenic.errors import RecordError


def write_model(folder: Path, engine: str, version: str, about: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Writes both files; the folder must not exist."""
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "mixture.npz", **arrays)
    text = json.dumps({"engine": engine, "version": version, **about}, indent=1)
    (folder / "model.json").write_text(text, encoding="utf-8")


def read_model(folder: Path, engine: str, version: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(description, arrays). RecordError if the files cannot be read, or if another engine or version wrote them."""
    try:
        about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        with np.load(folder / "mixture.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(f"{folder} holds no readable model ({type(error).__name__}). Give the folder save() wrote.") from None
    if (about.get("engine"), about.get("version")) != (engine, version):
        raise RecordError(f"{folder} was written by another engine; this is {engine} {version}. Fit again.")
    return about, arrays


def dataclass_fields(saved: dict[str, Any]) -> dict[str, Any]:
    """Fields of a dataclass as JSON gives them back, with lists as tuples again."""
    return {k: _tuples(v) for k, v in saved.items()}


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value
