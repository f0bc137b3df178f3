"""Partitioned work in this process, in a pool of processes, or on Ray, with byte-identical results."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from galenic.errors import MissingExtraError, OptionError, StoreError, UnknownNameError
from galenic.store.files import file_aside

Work = Callable[[str], bytes]
ENGINES = ("here", "pool", "ray")
TRIES = 3


def run_partitions(
    work: Work, parts: Sequence[str], folder: Path, *, engine: str = "pool", workers: int | None = None
) -> list[Path]:
    """Runs work(part) for each part; the returned bytes become folder/00000, 00001, … in the order of `parts`.

    A part with an existing file is not run again, so an interrupted run continues where it stopped. `work` must be a function
    of a module, and return the same bytes for the same part.
    """
    if engine not in ENGINES:
        raise UnknownNameError(f"{engine!r} is not an engine that can run partitions. Expected one of {', '.join(ENGINES)}.")
    if len(set(parts)) != len(parts):
        raise OptionError("some parts are listed twice. Name each part once, so that its work is not done twice.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    places = [folder / f"{i:05d}" for i in range(len(parts))]
    for _ in range(TRIES):
        open_parts = [(part, place) for part, place in zip(parts, places, strict=True) if not place.exists()]
        if not open_parts:
            break
        try:
            _RUN[engine](work, open_parts, workers or os.cpu_count() or 1)
        except BrokenProcessPool:
            continue  # a worker was killed: its finished parts remain
    for aside in folder.glob(".*.aside"):  # left by killed workers; no other run uses the folder
        aside.unlink(missing_ok=True)
    left = sum(not p.exists() for p in places)
    if left:
        raise StoreError(
            f"{left} of {len(parts)} parts were not completed after {TRIES} attempts, because workers were killed. "
            "Check the memory, then run it again."
        )
    return places


def _one(work: Work, part: str, place: str) -> None:
    with file_aside(Path(place)) as aside:
        aside.write_bytes(work(part))


def _here(work: Work, parts: list[tuple[str, Path]], _workers: int) -> None:
    for part, place in parts:
        _one(work, part, str(place))


def _pool(work: Work, parts: list[tuple[str, Path]], workers: int) -> None:
    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(_one, work, part, str(place)) for part, place in parts]:
            done.result()


def _ray(work: Work, parts: list[tuple[str, Path]], workers: int) -> None:
    try:
        import ray  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("partitions on Ray need the package ray", "ray") from None
    if not ray.is_initialized():
        here = {
            "env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        }  # workers import `work` from where this process does
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, runtime_env=here)
    remote = ray.remote(max_retries=TRIES)(_one)
    ray.get([remote.remote(work, part, str(place)) for part, place in parts])


_RUN = {"here": _here, "pool": _pool, "ray": _ray}
