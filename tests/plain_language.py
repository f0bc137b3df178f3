"""Texts that people read (pages, help, templates), their reading grade, and forms that are banned from them."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import typer

from galenic.cli import app

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "src" / "galenic" / "server" / "console" / "templates"
HISTORY = (
    "docs/log.md",
    "docs/faults-repaired.md",
    "docs/decisions/",
    "docs/asvs.md",
    "docs/claims.md",
    "CHANGELOG.md",
)  # records, not instructions
LABELS = ("h1", "h2", "h3", "label", "th", "dt", "button", "legend", "summary", "a")
SHORT = 8  # words below which the formula says nothing

BANNED = {
    "cannot is one word": r"\bcan not\b",
    "metaphor": r"\b(?:in|of|to|by|the|this) (?:house|purse|glass|doors?|rooms?|judge)\b|\bbroken glass\b|\bbreaks? the glass\b"
    r"|\bfound(?:s|ed)? (?:custody|a house)\b|\bpast the gate\b|\bkeys? lent\b|\blent keys?\b|\bleaves the house\b|\bin custody\b",
    "inversion": r"\bwho(?:ever)? (?:is|are) \w+ (?:reads|signs|leaves|asks)\b|\bis told first\b|\bby their look\b",
    "British spelling": r"\b\w*(?:anonymis|organis|optimis|generalis|recognis|behaviour|colour|centre[sd]?\b|licence|artefact)\w*",
}  # reason: pattern, in any text
LABEL_BANNED = {
    "a label is a noun or a command": r"^(?:How(?!-to)|What|Whose|Which|Who|The same)\b",
    "a participle is no name": r"^(?:told|kept|taken|asked|found|given|made|said|left|held|went into|came|taken in|lent|bought|judged)$",
}  # reason: pattern, in labels

# Terms that the glossary explains. A reader who looks a term up once reads it as a common word, so each counts as two syllables.
TERMS = re.compile(
    r"^(?:galenic|patients?|privacy|synthetic|synthesi[sz]e[drs]?|synthesis|identif\w+|de-?identif\w+|re-identif\w+|epsilon|delta|differential|variation|policy|policies|"
    r"resources?|clinicians?|clinical|research\w*|categor\w+|columns?|metadata|terminolog\w+|observations?|encounters?|medications?|certificates?|"
    r"installation\w*|organization\w*|database|databases|postgresql|administrat\w+|officers?|security|authenticat\w+|authenticator|passkeys?|"
    r"integrity|signatures?|releases?|evidence|erasures?|simulated|distribution\w*|description\w*|attestation|auditors?|audit|budgets?|population|"
    r"engineers?|interval\w*|measured|table|tables|identity|identities|directory|directories|parameters?|application\w*|certificate|operations?|"
    r"verify|verified|verifier|verification|emergency|emergencies|repository|containers?|generat\w+|evaluat\w+|recommend\w+|information|python|json|hierarch\w+|"
    r"operator|consent\w*|purpose\w*|imaging|membership|terminology|quasi-identifiers?|documentation|guarantee\w*|mechanism\w*|median|numeric)$"
)


@dataclass(frozen=True)
class Text:
    """One paragraph, label or help line, and its place. label: True for headings, labels, columns of tables and buttons."""

    place: str
    words: str
    label: bool = False


def syllables(word: str) -> int:
    """Syllables of an English word, by its groups of vowels; a silent e at the end does not count."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    if not letters:
        return 1
    count = len(re.findall(r"[aeiouy]+", letters))
    if letters.endswith("e") and not letters.endswith(("le", "ee", "ye")) and count > 1:
        count -= 1
    if letters.endswith("ed") and not letters.endswith(("ted", "ded")) and count > 1:
        count -= 1
    return max(count, 1)


def grade(text: str, *, terms: bool = True) -> float | None:
    """Flesch-Kincaid grade (Kincaid and others 1975): 0.39 words per sentence + 11.8 syllables per word - 15.59; None if too short.

    terms: words of TERMS count as two syllables at most.
    """
    words = [w for w in re.findall(r"[^\W\d_][\w'’-]*", text)]
    if len(words) < SHORT:
        return None
    sentences = max(len(re.findall(r"[.!?:;](?=\s|$)", text)), 1)
    total = sum(min(syllables(w), 2) if terms and TERMS.match(w.lower()) else syllables(w) for w in words)
    return 0.39 * len(words) / sentences + 11.8 * total / len(words) - 15.59


def plain(markdown: str) -> str:
    """The words of a line of Markdown: links by their text, code as one short word."""
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", markdown)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "it", text)
    return re.sub(r"<!--.*?-->|<[^>]+>|[*_#>]", "", text).strip()


def of_page(page: Path) -> Iterator[Text]:
    """Paragraphs, list items, headings and cells of a page of documentation, without code and generated tables."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<!-- ([\w ]+) -->\n.*?<!-- /\1 -->", "", text, flags=re.S)
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    place = str(page.relative_to(ROOT))
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
        lines = [
            line for line in block.splitlines() if not re.match(r"^ {4,}\S", line) or re.match(r"^\s*(?:[-*]|\d+\.) ", line)
        ]
        if not lines or (lines[0].startswith("    ") and not re.match(r"^\s*(?:[-*]|\d+\.) ", lines[0])):
            continue
        if lines[0].startswith("|"):
            rows = [line for line in lines if line.startswith("|") and not line.startswith("|--")]
            for i, line in enumerate(rows):
                yield from (Text(place, plain(c), label=i == 0) for c in line.strip("|").split("|") if c.strip())
            continue
        joined = plain(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", " ".join(line.strip() for line in lines)))
        if joined:
            yield Text(place, joined, label=lines[0].startswith("#"))


def pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def of_documents(*, history: bool = False) -> list[Text]:
    """Texts of all pages; of logs and records of decisions only with history."""
    chosen = [p for p in pages() if history or not str(p.relative_to(ROOT)).startswith(HISTORY)]
    return [text for page in chosen for text in of_page(page)]


def commands_below(command: click.Command, path: str = "galenic") -> Iterator[tuple[str, click.Command]]:
    """Every visible command with its full name."""
    for name, sub in getattr(command, "commands", {}).items():
        if not sub.hidden:
            yield f"{path} {name}", sub
            yield from commands_below(sub, f"{path} {name}")


def of_help() -> list[Text]:
    """Help of every command, group and option."""
    found = []
    for path, command in commands_below(typer.main.get_command(app)):
        found += [Text(path, plain(" ".join((command.help or "").split())))]
        for parameter in command.params:
            words = plain(" ".join(str(getattr(parameter, "help", None) or "").split()))
            if words:
                found.append(Text(f"{path} {parameter.name}", words))
    return found


def of_template(page: Path) -> Iterator[Text]:
    """Texts of a template, element by element; values of variables count as one word."""
    text = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}", " ", text, flags=re.S)
    text = re.sub(r"\{\{.*?\}\}", " it ", text, flags=re.S)
    place = str(page.relative_to(ROOT))
    inline = r"</?(?:strong|em|code|b|i|abbr|time|span|small|q|kbd)\b[^>]*>"
    for element, words in re.findall(r"<(\w+)\b[^>]*>([^<]*)", re.sub(inline, " ", text)):
        plain_words = " ".join(html.unescape(words).split())
        if re.search(r"[A-Za-z]{2}", plain_words):
            yield Text(place, plain_words, label=element in LABELS)


def of_templates() -> list[Text]:
    """Texts of the console."""
    return [text for page in sorted(TEMPLATES.rglob("*.html")) for text in of_template(page)]


def faults(text: Text) -> list[str]:
    """Banned forms in a text, each with its reason."""
    patterns = BANNED | (LABEL_BANNED if text.label else {})
    return [f"{text.place}: {why}: {text.words[:100]}" for why, p in patterns.items() if re.search(p, text.words, re.I)]


def too_hard(texts: list[Text], *, limit: float = 10.0, terms: bool = True) -> list[tuple[float, Text]]:
    """Texts over a grade, hardest first."""
    graded = [(g, text) for text in texts if (g := grade(text.words, terms=terms)) is not None]
    return sorted(((g, t) for g, t in graded if g > limit), key=lambda pair: -pair[0])


def share_over(texts: list[Text], *, terms: bool = True) -> float:
    """Share of the texts long enough to grade that are over grade 10."""
    graded = [text for text in texts if grade(text.words) is not None]
    return len(too_hard(graded, terms=terms)) / max(len(graded), 1)
