"""De-identification's figures on images and tables: deid.dicom and deid.kanon, beside dicom-anonymizer, anonypy's Mondrian and pycanon."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pydicom
from galenic.privacy.anonymization import AnonymizationMethod, PrivacyModel, anonymize, quasi_identifier
from galenic.privacy.deidentification.rules.dicom_profile import profile_table as profile
from galenic.records import dicom
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from rows import peer, row
from galenic.privacy import deidentification

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[2] / "shared" / "data"))
TEXTS = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR")
TIMES = {"DA": "19550723", "DT": "19550723112233.456", "TM": "112233.456", "AS": "044Y"}
SMALL = 200_000  # bytes of a small file


def value(vr: str, number: int) -> object:
    """A value that can be told again; None for types that hold none."""
    if vr in TEXTS:
        return f"ZQXV{number:05d}"
    return {**TIMES, "UI": f"1.2.3.55555.{number}", "DS": "44.5", "IS": "4455", "CS": f"Z{number}", "OB": b"ZQXV", "OW": b"ZQXV", "UN": b"ZQXV"}.get(vr)  # fmt: skip


def filled() -> Dataset:
    """Every attribute of Table E.1-1 that a file may hold, and private ones."""
    ds = Dataset()
    for number, tag in enumerate(
        int(t, 16) for t in profile() if "X" not in t and t[:4] not in ("0000", "0002") and t != "00420011"
    ):
        vr = dictionary_VR(tag).split(" or ", maxsplit=1)[0]
        if vr == "SQ":
            inner = Dataset()
            inner.PatientName, inner.StudyDate = "ZQXVsequence", "19550723"
            ds.add_new(tag, vr, [inner])
        elif value(vr, number) is not None:
            ds.add_new(tag, vr, value(vr, number))
    ds.add_new(0x00091001, "LO", "ZQXVprivate")
    return ds


def everything() -> Dataset:
    ds, inner, deep, item = filled(), filled(), filled(), Dataset()
    item.ConceptCodeSequence = [deep]
    inner.add_new(0x00089215, "SQ", [item])
    ds.add_new(0x00082218, "SQ", [inner])
    ds.add_new(0x60003000, "OW", b"ZQXV")
    ds.add_new(0x50003000, "OW", b"ZQXV")
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.55555.1", "MR"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


MARK = re.compile(r"ZQXV|1\.2\.3\.55555|^19550723|^112233|^044Y$|^Z\d+$")


def marks(ds: Dataset) -> int:
    return sum(1 for e in ds.iterall() if e.VR != "SQ" and MARK.search(str(e.value)))


def their(source: Path, target: Path) -> None:
    from dicomanonymizer import anonymize_dicom_file  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anonymize_dicom_file(str(source), str(target))


def images() -> list[dict]:
    """deid.dicom: marked attributes of the profile whose value is gone, at three depths and private; small files a second."""
    place = Path(tempfile.mkdtemp())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        everything().save_as(place / "all.dcm", enforce_file_format=True)
        before = marks(pydicom.dcmread(place / "all.dcm"))
        deidentification.deidentify([place / "all.dcm"], place / "out")
        left = marks(pydicom.dcmread(place / "out" / "all.dcm"))
        try:
            their(place / "all.dcm", place / "theirs.dcm")
            others: object = round(1 - marks(pydicom.dcmread(place / "theirs.dcm")) / before, 4)
        except Exception as error:  # noqa: BLE001  # said in the row
            others = f"failed: {error.__class__.__name__}"
    handled = 1 - left / before
    what = f"marked attributes of Table E.1-1 (2024b) handled, top, nested twice and private, of {before:,}"
    rows = [row("deid.dicom", what, "share", round(handled, 4), "1.0", handled == 1, peers={"dicom-anonymizer 2.1.0": others})]
    small = [f for f in sorted((Path(pydicom.__file__).parent / "data").rglob("*.dcm")) if f.stat().st_size < SMALL]
    (place / "small").mkdir()
    for number, file in enumerate(small):
        try:
            dicom.read(file)
        except Exception:  # noqa: BLE001  # broken on purpose: pydicom's tests of its own errors
            continue
        for copy in range(48):
            shutil.copy(file, place / "small" / f"f{number:03d}{chr(97 + copy % 24)}{'xy'[copy // 24]}.dcm")
    files = sorted((place / "small").iterdir())
    out = {
        name
        for _, name in deidentification.deidentify(
            files, place / "first", deidentification.DeidentificationOptions(workers=2)
        ).files
    }
    files = [f for f in files if f.name in out]  # the others are refused, as screens that may show anything
    speed: dict[str, object] = {}
    for workers in (1, 2):
        best = 0.0
        for attempt in range(3):
            start = time.perf_counter()
            deidentification.deidentify(
                files, place / f"small-{workers}-{attempt}", deidentification.DeidentificationOptions(workers=workers)
            )
            best = max(best, len(files) / (time.perf_counter() - start))
        speed[f"ours, {workers} process{'es' * (workers > 1)}"] = round(best, 1)
    start, ended = time.perf_counter(), 0
    for number, file in enumerate(files[::16]):
        try:
            their(file, place / f"t{number}.dcm")
            ended += 1
        except Exception:  # noqa: BLE001
            continue
    speed["dicom-anonymizer 2.1.0, 1 process"] = round(ended / (time.perf_counter() - start), 1)
    what = f"pydicom's own files under {SMALL // 1000} kB per second of two processes on two cores, {len(files):,} that are not refused, best of 3"
    rows.append(row("deid.dicom.speed", what, "files/s", round(best, 1), ">= 200", best >= 200, peers=speed))
    shutil.rmtree(place)
    return rows


# tables

QUASI = {"age": "number", "sex": "category", "race": "category", "edu": "number", "income": "category", "num.co": "number"}


def loss(values: dict[str, np.ndarray], parts: list[np.ndarray]) -> float:
    """Normalised certainty penalty of any grouping, from the values themselves."""
    total = 0.0
    for name, kind in QUASI.items():
        own = values[name]
        if kind == "number":
            width = np.ptp(own.astype(float))
            total += sum(len(p) * np.ptp(own[p].astype(float)) for p in parts) / width
        else:
            many = len(np.unique(own)) - 1
            total += sum(len(p) * (len(np.unique(own[p])) - 1) for p in parts) / many
    return total / len(QUASI) / sum(map(len, parts))


def _codes(values: dict[str, np.ndarray]) -> tuple[tuple, np.ndarray]:
    columns, codes = [], []
    for name, kind in QUASI.items():
        texts = [f"{v:g}" if kind == "number" else str(v) for v in np.unique(values[name])]
        column = quasi_identifier(name, kind, texts)
        place = {v: i for i, v in enumerate(column.values)}
        _, inverse = np.unique(values[name], return_inverse=True)
        columns.append(column)
        codes.append(np.array([place[t] for t in texts])[inverse])
    return tuple(columns), np.column_stack(codes).astype(np.int32)


def million(n: int = 1_000_000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "age": np.clip(rng.normal(50, 18, n), 0, 100).round(), "sex": rng.choice(["f", "m"], n), "race": rng.choice(list("abcdef"), n, p=[0.6, 0.15, 0.1, 0.08, 0.05, 0.02]),
        "edu": rng.integers(0, 22, n).astype(float), "income": rng.choice([f"i{i}" for i in range(40)], n), "num.co": np.clip(rng.exponential(5, n), 0, 60).round(),
    }  # fmt: skip


def tables() -> list[dict]:
    """deid.kanon: a million rows of six columns at k = 5; what is lost on SUPPORT2, beside anonypy's Mondrian; k by pycanon."""
    columns, codes = _codes(million())
    seconds = {}
    for method in ("mondrian", "global"):
        start = time.perf_counter()
        anonymize(columns, codes, PrivacyModel(5), AnonymizationMethod(method, 0.02))
        seconds[method] = time.perf_counter() - start
    rate = codes.size / max(seconds.values())
    beside = {f"ours, {m}": round(s, 1) for m, s in seconds.items()} | {
        "rows times columns per second, the slower": round(rate)
    }
    slow = max(seconds.values())
    rows = [row("deid.kanon", "seconds for 1,000,000 rows of 6 quasi-identifiers at k = 5, the slower of two methods", "s", round(slow, 1), "< 60", slow < 60, peers=beside)]  # fmt: skip
    frame = pacsv.read_csv(DATA / "tabular" / "support2.csv").to_pandas()
    frame = frame.rename(columns={frame.columns[0]: "row"}).dropna(subset=list(QUASI)).reset_index(drop=True)
    values = {n: frame[n].to_numpy() for n in QUASI}
    columns, codes = _codes(values)
    made = {m: anonymize(columns, codes, PrivacyModel(5), AnonymizationMethod(m, 0.02)) for m in ("mondrian", "global")}
    check = {
        m: {
            c.name: [names[i] for i in label[a.released].tolist()]
            for c, label, names in zip(columns, a.group_labels, a.label_names, strict=True)
        }
        for m, a in made.items()
    }
    asked = {
        "table": {n: v.tolist() for n, v in values.items()}, "categories": [n for n, k in QUASI.items() if k == "category"], "quasi": list(QUASI), "k": 5, "check": check,
    }  # fmt: skip
    script = Path(__file__).parent / "peers" / "kanon.py"
    got = json.loads(
        subprocess.run([peer("kanon"), script], input=json.dumps(asked), capture_output=True, text=True, check=True).stdout
    )
    from galenic.privacy.anonymization import partition_rows  # noqa: PLC0415

    own = partition_rows(codes, PrivacyModel(5))
    order = np.argsort(own, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(own[order])) + 1)
    ours, theirs = loss(values, parts), loss(values, [np.array(p) for p in got["partitions"]])
    peers = {
        "anonypy's Mondrian": round(theirs, 5),
        "k of ours by pycanon, mondrian": got["k"]["mondrian"],
        "k of ours by pycanon, global": got["k"]["global"],
    }
    peers |= {"loss of ours, global": round(made["global"].loss, 5), "anonypy's seconds": round(got["seconds"], 1)}
    good = ours <= theirs and min(got["k"].values()) >= 5
    what = f"information loss (NCP) at k = 5 on SUPPORT2, {len(frame):,} rows of six columns"
    rows.append(row("deid.kanon.loss", what, "NCP", round(ours, 5), "<= a checked Mondrian's", good, peers=peers))
    return rows


if __name__ == "__main__":
    json.dump(images() + tables(), sys.stdout, indent=1)
