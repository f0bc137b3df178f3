"""De-identification's figures on text that nothing here was trained on, beside Presidio's rules and scrubadub. `deidentify.py ID ...` runs some."""

import csv
import gzip
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from deid_planted import planted, sources
from deid_structured import images, tables
from faker.providers.person.en_US import Provider as EnglishNames
from galenic.privacy import text as deid
from galenic.records.terminology import Terminology
from rows import peer, row, write

sys.path.insert(0, str(Path(__file__).parents[1] / "training" / "deid"))
from medical import INNER, held  # which names training never saw
from meddocan import cases

DATA = Path(os.environ.get("GALENIC_DATA", Path(__file__).parents[2] / "shared" / "data"))
GUARD = DATA / "guard"
Spans = list[tuple[int, int, str]]
Find = Callable[[list[str]], list[list[tuple[int, int]]]]
# of presidio-research: what Safe Harbor names. ORGANIZATION, TITLE, PREFIX, NRP, AGE are counted neither way.
PHI = frozenset("PERSON STREET_ADDRESS ADDRESS GPE LOCATION ZIP_CODE DATE_TIME PHONE_NUMBER EMAIL_ADDRESS US_SSN IP_ADDRESS DOMAIN_NAME US_DRIVER_LICENSE CREDIT_CARD IBAN_CODE".split())  # fmt: skip
PLANTED = frozenset("NAME LOCATION ORGANIZATION DATE PHONE EMAIL MRN SSN PLAN URL IP AGE".split())
UNSURE = "?"  # stood in the text before anything was planted, and may identify: counted neither way


@dataclass
class Score:
    """Signs are letters and digits. per: (all, found) by class."""

    documents: list[tuple[int, int, int, int, bool, int]] = field(
        default_factory=list
    )  # gold, found, rest, touched, leaks, identifiers
    per: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def shares(self, chosen: np.ndarray | None = None) -> dict[str, float]:
        rows = np.array(self.documents, float)
        rows = rows if chosen is None else rows[chosen]
        with_phi = rows[rows[:, 0] > 0]
        found = {
            "recall": rows[:, 1].sum() / rows[:, 0].sum(), "over": rows[:, 3].sum() / rows[:, 2].sum(),
            "leakfree": 1 - with_phi[:, 4].mean(), "identifiers": with_phi[:, 5].mean(),
        }  # fmt: skip
        return {name: float(share) for name, share in found.items()}

    def interval(self, name: str) -> list[float]:
        """95 %, documents drawn again 500 times."""
        rng = np.random.default_rng(1)
        n = len(self.documents)
        drawn = [self.shares(rng.integers(0, n, n))[name] for _ in range(500)]
        return [round(float(q), 4) for q in np.quantile(drawn, (0.025, 0.975))]


def score(texts: list[tuple[str, Spans]], found: list[list[tuple[int, int]]], phi: frozenset[str]) -> Score:
    out = Score()
    for (text, spans), hits in zip(texts, found, strict=True):
        sign = np.fromiter((c.isalnum() for c in text), bool, len(text))
        gold, other, red = (np.zeros(len(text), bool) for _ in range(3))
        for a, b in hits:
            red[a:b] = True
        leaks, count = False, 0
        for a, b, kind in spans:
            if kind not in phi:
                other[a:b] = True
                continue
            gold[a:b] = True
            own = sign[a:b]
            count += 1
            out.per[kind][0] += int(own.sum())
            out.per[kind][1] += int((own & red[a:b]).sum())
            leaks |= bool((own & ~red[a:b]).any())
        rest = sign & ~gold & ~other
        out.documents.append((int((gold & sign).sum()), int((gold & sign & red).sum()), int(rest.sum()), int((rest & red).sum()), leaks, count))  # fmt: skip
    return out


def presidio_research() -> list[tuple[str, Spans]]:
    out = []
    for name in ("synth_dataset_v2", "generated_large"):
        for one in json.loads(gzip.decompress((GUARD / "presidio-research" / f"{name}.json.gz").read_bytes())):
            out.append((one["full_text"], [(s["start_position"], s["end_position"], s["entity_type"]) for s in one["spans"]]))
    return out


BEFORE = re.compile(
    r"\b(?:\d{1,2}/\d{1,2}(?:/\d+)?|\d{1,2}/\d{4}|(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"(?: \d+)?(?:,? \d{4})?|(?:19|20)\d\d|\d+(?=[- ]year))",
    re.I,
)


def planted_notes() -> list[tuple[str, Spans]]:
    """With the names, dates and ages that stood there before marked as unsure."""
    data = planted(GUARD)
    names = {n.lower() for n in (*EnglishNames.first_names, *EnglishNames.last_names)}
    small: dict[str, int] = defaultdict(int)
    for text, _ in data:
        for word in re.findall(r"[a-z]+", text):
            small[word] += 1
    out = []
    for text, spans in data:
        mine = [
            m.span()
            for m in re.finditer(r"[A-Za-z']+", text)
            if m[0].lower() in names and (m[0][0].isupper() or small[m[0]] < 3)
        ]
        mine += [m.span() for m in BEFORE.finditer(text)]
        free = [(a, b, UNSURE) for a, b in mine if not any(a < d and c < b for c, d, _ in spans)]
        out.append((text, spans + free))
    return out


def ours(texts: list[str]) -> list[list[tuple[int, int]]]:
    """What is found as an identifier; ages to 89 are none."""
    detector = deid.load_detector("en")
    out = []
    for text in texts:
        spans = detector.find(text)
        old = [s for s in spans if s.kind != "age" or int("".join(c for c in text[s.start : s.end] if c.isdigit()) or 0) > 89]
        out.append([(s.start, s.end) for s in old])
    return out


def other(name: str, texts: list[str]) -> tuple[list[list[tuple[int, int]]], float]:
    script = Path(__file__).parent / "peers" / f"{name}.py"
    done = subprocess.run([peer(name), script], input=json.dumps(texts), capture_output=True, text=True, check=True)
    got = json.loads(done.stdout)
    return [[(a, b) for a, b in spans] for spans in got["spans"]], sum(map(len, texts)) / 1e6 / got["seconds"]


SETS = {"presidio-research": (presidio_research, PHI), "planted in ACI and MTS validation": (planted_notes, PLANTED)}


def unseen() -> list[dict]:
    """deid.unseen, deid.leakfree, deid.over: worst and mean of both sets; peers on the same texts."""
    shares, peers = {}, {}
    rows = []
    for name, (load, phi) in SETS.items():
        texts = load()
        own = score(texts, ours([t for t, _ in texts]), phi)
        shares[name] = (own.shares(), own)
        for rival in ("presidio", "scrubadub"):
            got = score(texts, other(rival, [t for t, _ in texts])[0], phi).shares()
            peers[rival, name] = got
        classes = {k: round(b / a, 3) for k, (a, b) in sorted(own.per.items())}
        what = f"{name}: {len(texts)} texts, {own.shares()['identifiers']:.1f} identifiers per text that has any; recall of signs by class"
        rows.append(
            row(
                f"deid.class.{name.split()[0]}",
                what,
                "share",
                round(own.shares()["recall"], 4),
                "shown",
                None,
                interval=own.interval("recall"),
                peers=classes,
            )
        )
    for ident, key, better, target in (
        ("deid.unseen", "recall", min, ">= 0.93 worst, >= 0.96 mean"), ("deid.leakfree", "leakfree", min, ">= 0.75 worst"), ("deid.over", "over", max, "<= 0.006"),
    ):  # fmt: skip
        each = {name: s[key] for name, (s, _) in shares.items()}
        worst = better(each, key=lambda n: each[n])
        mean = sum(each.values()) / len(each)
        met = {"recall": each[worst] >= 0.93 and mean >= 0.96, "leakfree": each[worst] >= 0.75, "over": each[worst] <= 0.006}[
            key
        ]
        beside = {f"{r}, {n}": round(s[key], 4) for (r, n), s in peers.items()}
        beside |= {f"ours, {n}": round(v, 4) for n, v in each.items()} | {"ours, mean": round(mean, 4)}
        rows.append(row(ident, f"{key} on text never trained on, worst set ({worst})", "share", round(each[worst], 4), target, met, interval=shares[worst][1].interval(key), peers=beside))  # fmt: skip
    return rows


def hard_negatives(seed: int = 20261121) -> list[str]:
    """Diseases called after people, drugs with doses, anatomy: ICD-10-CM's titles, drugs of MIMIC's and eICU's demo tables. The names
    among them are those that training held out."""
    rng = random.Random(seed)
    table = Terminology()._table("http://hl7.org/fhir/sid/icd-10-cm")
    assert table is not None
    titles = [str(t) for t in table.rows["display"].to_pylist()]
    called = sorted({t for t in titles if any(held(w) for w in INNER.findall(t))})
    parts = sorted({t for t in titles if re.search(r"\b(?:artery|nerve|tendon|muscle|bone|joint|vein)\b", t) and len(t) < 90})
    drugs = set()
    for place, column in (("mimic3demo/PRESCRIPTIONS.csv.gz", "drug"), ("eicudemo/medication.csv.gz", "drugname")):
        with gzip.open(DATA / "clinicalml" / place, "rt", encoding="utf-8") as file:
            drugs |= {r[column].strip() for r in csv.DictReader(file) if r[column].strip() and held(r[column].split()[0])}
    doses = [
        f"Continue {d} {rng.choice((5, 10, 25, 40, 81, 250, 500))} mg {rng.choice(('daily', 'twice a day', 'every 8 hours', 'as needed'))}."
        for d in sorted(drugs)
    ]
    return [*rng.sample(called, min(150, len(called))), *rng.sample(parts, 150), *rng.sample(doses, min(150, len(doses)))]


def hard() -> list[dict]:
    """deid.hard: hard negatives in which anything is touched."""
    texts = hard_negatives()
    touched = sum(bool(s) for s in ours(texts)) / len(texts)
    peers = {r: round(sum(bool(s) for s in other(r, texts)[0]) / len(texts), 4) for r in ("presidio", "scrubadub")}
    peers |= {"cloud services (published, other texts; not run here)": "0.88 to 0.97"}
    what = f"{len(texts)} hard negatives (eponyms, drugs with doses, anatomy) in which something is touched"
    return [row("deid.over.hard", what, "share", round(touched, 4), "<= 0.04", touched <= 0.04, peers=peers)]


def meddocan() -> list[dict]:
    """deid.meddocan: typed F1 of exact spans, and cases without a leak, on the dev split."""
    detector = deid.load_detector("es")
    assert detector.tagger is not None
    right = wrong = lost = leaks = 0
    given = cases(GUARD, "dev")
    for case in given:
        gold = set(case.spans)
        bounds, p = detector.tagger.tag(case.text)
        found = set(deid.decode_spans(detector.tagger.labels, bounds, p))
        right, wrong, lost = right + len(gold & found), wrong + len(found - gold), lost + len(gold - found)
        red = np.zeros(len(case.text), bool)
        for a, b in [(s.start, s.end) for s in detector.find(case.text)] + [(a, b) for a, b, _ in found]:
            red[a:b] = True
        kept = [(a, b) for a, b, label in gold if label in detector.kinds]
        leaks += any(c.isalnum() and not red[a + i] for a, b in kept for i, c in enumerate(case.text[a:b]))
    f1 = 2 * right / (2 * right + wrong + lost)
    leakfree = 1 - leaks / len(given)
    what = f"MEDDOCAN dev, {len(given)} cases, {sum(len(c.spans) for c in given) / len(given):.0f} spans per case"
    peers = {
        "precision": round(right / (right + wrong), 4),
        "recall": round(right / (right + lost), 4),
        "best (published, from memory, test split)": 0.97,
    }
    return [
        row("deid.meddocan", f"typed F1 of exact spans, {what}", "F1", round(f1, 4), ">= 0.955", f1 >= 0.955, peers=peers),
        row(
            "deid.meddocan.leakfree",
            f"cases without a leak (sex and kinship identify nobody), {what}",
            "share",
            round(leakfree, 4),
            ">= 0.7",
            leakfree >= 0.7,
            peers={"a CRF on its test split (shared facts)": 0.596},
        ),
    ]


def speed() -> list[dict]:
    """deid.speed: found and replaced, MB/s, one process."""
    os.environ["OMP_NUM_THREADS"] = "1"
    texts = [t for _, t in sources(GUARD)]
    detector, policy = deid.load_detector("en"), deid.read_policy("safe-harbor")
    for text, _ in planted_notes():  # its words become known, as after the first minutes of any run
        detector.find(text)
    best = 0.0
    for _ in range(3):
        detector._cache.clear()  # no text is cached
        replacer = deid.Replacer(policy, b"k" * 32, deid.state_names())
        start = time.process_time()
        for text in texts:
            deid.deidentify_text(text, detector, replacer)
        best = max(best, sum(map(len, texts)) / 1e6 / (time.process_time() - start))
    peers = {f"{r} (finding only)": round(other(r, texts)[1], 3) for r in ("presidio", "scrubadub")}
    what = f"MB of notes and dialogues per second of one core, found and replaced, {len(texts):,} texts, best of 3"
    return [row("deid.speed", what, "MB/s", round(best, 3), ">= 0.5", best >= 0.5, peers=peers)]


GROUPS = {"unseen": unseen, "hard": hard, "meddocan": meddocan, "speed": speed, "dicom": images, "kanon": tables}


def main() -> None:
    for group in sys.argv[1:] or list(GROUPS):
        write("deidentify", GROUPS[group]())


if __name__ == "__main__":
    main()
