# ruff: noqa: E501  # sentences in other languages read as one line each
"""Texts in 12 languages and scripts without a validated detector, and English and Spanish notes, through `galenic deidentify`.

A language counts if in every try (a note, an English note with one paragraph of it, a short text, a cell of a table, a FHIR narrative)
no planted identifier comes out. English and Spanish notes of public data must not be refused. LANGUAGE_NOTES notes of each set.
"""

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[2] / "shared" / "data"))
NOTES = int(os.environ.get("LANGUAGE_NOTES", "60"))
ENGLISH = "The patient was admitted with chest pain and shortness of breath. Aspirin was started and she improved."
# by language: a note, a short text, and what in them identifies
TEXTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Japanese": ("佐藤美咲さんは大阪市北区に住んでおり、1961年7月9日に生まれました。電話は０６－１２３４－５６７８です。", "佐藤様",
        ("佐藤", "美咲", "大阪", "1961", "０６", "１２３４")),
    "Chinese": ("李桂芳于1961年7月9日出生，家住上海市浦东新区，联系电话13812345678。", "李桂芳", ("李桂芳", "1961", "上海", "13812345678")),
    "Korean": ("박순자 님은 부산에 거주하며 1961년 7월 9일생이고 전화번호는 010-1234-5678입니다.", "박순자 님",
        ("박순자", "부산", "1961", "1234-5678")),
    "Russian": ("Смирнова Анна проживает в Казани на улице Баумана, телефон 8 912 345 67 89.", "г-жа Смирнова", ("Смирнова", "Анна", "Казани", "Баумана", "345 67")),
    "Greek": ("Η κυρία Ελένη Νικολάου μένει στη Θεσσαλονίκη και γεννήθηκε το 1961.", "κα Νικολάου", ("Ελένη", "Νικολάου", "Θεσσαλονίκη", "1961")),
    "Arabic": ("السيدة خديجة حسن تسكن في بغداد ورقم هاتفها ٠٧٧٠١٢٣٤٥٦٧.", "السيدة خديجة", ("خديجة", "حسن", "بغداد", "٠٧٧٠")),
    "Hebrew": ("גברת שרה לוי גרה בירושלים ברחוב יפו, טלפון 050-1234567.", "גב׳ לוי", ("שרה", "לוי", "ירושלים", "1234567")),
    "Hindi": ("श्रीमती कमला वर्मा जयपुर में रहती हैं, फोन ९८७६५४३२१०।", "श्रीमती वर्मा", ("कमला", "वर्मा", "जयपुर", "९८७६")),
    "Thai": ("คุณมาลีอาศัยอยู่ที่ขอนแก่น โทร ๐๘๑-๒๓๔-๕๖๗๘", "คุณมาลี", ("มาลี", "ขอนแก่น", "๐๘๑")),
    "German": ("Frau Hoffmann wurde von ihrer Hausärztin in Bamberg überwiesen und lebt allein in der Gartenstraße.", "Fr. Hoffmann", ("Hoffmann", "Bamberg", "Gartenstraße")),
    "French": ("Madame Girard a été adressée par son médecin de Besançon et vit seule rue Pasteur.", "Mme Girard", ("Girard", "Besançon", "Pasteur")),
    "Turkish": ("Fatma Demir hanım İzmir'de kızının yanında kalıyor ve dün hastaneye getirildi.", "Sn. Demir", ("Fatma", "Demir", "İzmir")),
}  # fmt: skip


def galenic(folder: Path, out: Path) -> tuple[int, str]:
    """The exit code of `galenic deidentify`, and what it wrote and printed."""
    command = [sys.executable, "-m", "galenic", "deidentify", str(folder), "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    written = [p.read_text(encoding="utf-8") for p in sorted(out.rglob("*")) if p.is_file()] if out.exists() else []
    return done.returncode, "\n".join([*written, done.stdout, done.stderr])


def plant(folder: Path, note: str, short: str) -> None:
    """The tries of one language."""
    folder.mkdir()
    (folder / "note.txt").write_text(note, encoding="utf-8")
    (folder / "mixed.txt").write_text(f"{ENGLISH}\n\n{note}\n\n{ENGLISH}", encoding="utf-8")
    (folder / "short.txt").write_text(short, encoding="utf-8")
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("hemoglobin", "comment"))
        rows.writerows((f"{9 + i / 10:.1f}", (note, short, ENGLISH)[i % 3]) for i in range(12))
    narrative = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{note}</p><p>{short}</p></div>'
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": short}, "valueString": note, "note": [{"text": short}], "text": {"status": "generated", "div": narrative}}  # fmt: skip
    (folder / "observation.json").write_text(json.dumps(observation, ensure_ascii=False), encoding="utf-8")


def public_notes() -> dict[str, list[str]]:
    """English and Spanish notes."""
    with (DATA / "guard/aci-bench/valid.csv").open(encoding="utf-8") as file:
        english = [one["note"] for one in csv.DictReader(file)][:NOTES]
    with tarfile.open(DATA / "guard/meddocan/meddocan_brat_train_dev.tgz") as archive:
        names = [m for m in archive.getmembers() if m.name.endswith(".txt")][:NOTES]
        spanish = [io.TextIOWrapper(file, encoding="utf-8").read() for m in names if (file := archive.extractfile(m))]
    return {"English": english, "Spanish": spanish}


def measure(row: Callable[..., dict]) -> list[dict]:
    """Two rows: languages of which nothing planted comes out, and English and Spanish notes that are refused."""
    safe, leaks = 0, {}
    with tempfile.TemporaryDirectory() as name:
        for language, (note, short, planted) in TEXTS.items():
            folder = Path(name) / language
            plant(folder, note, short)
            code, written = galenic(folder, Path(name) / f"{language} out")
            out = [word for word in planted if word in written]
            if out or code not in (0, 1, 2):
                leaks[language] = f"{len(out)} of {len(planted)} identifiers, exit code {code}"
            else:
                safe += 1
        total, refused = 0, 0
        if DATA.exists():
            for language, texts in public_notes().items():
                folder = Path(name) / f"{language} notes"
                folder.mkdir()
                for i, text in enumerate(texts):
                    (folder / f"{i}.txt").write_text(text, encoding="utf-8")
                galenic(folder, out := Path(name) / f"{language} notes out")
                total += len(texts)
                refused += len(texts) - len(list(out.glob("*.txt")))
    what = "languages and scripts without a validated detector: no planted identifier out in 5 tries"
    rows = [
        row("privacy.language", what, f"of {len(TEXTS)} languages; worst {leaks or 'none'}", safe, "12", safe == len(TEXTS))
    ]
    if total:
        what = "public English and Spanish notes that are refused"
        rows.append(row("privacy.language.refused", what, f"of {total} notes", refused, "0", refused == 0))
    return rows
