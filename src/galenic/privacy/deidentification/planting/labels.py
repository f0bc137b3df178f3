"""Identifiers to plant after the labels and headings of a narrative, which alone reveal their kind."""

from html import escape

from galenic.privacy.deidentification.planting.copies import Planting
from galenic.privacy.deidentification.planting.identifiers import Plant

HEADS = {"Age": ("age", "95"), "Next of kin": ("name", "Word"), "Provider": ("name", "Word"), "Record number": ("record", "")}
_FORMS = (
    "<paragraph>{head}: <content>{value}</content></paragraph>",
    "<paragraph><content>Sex:</content> male <content>{head}:</content> {value}</paragraph>",
    "<paragraph>{head}:<br/>{value}</paragraph>",
    "<list><item>{head}: <content>{value}</content></item></list>",
    "<paragraph>{head}</paragraph><paragraph>{value}</paragraph>",
)
_XHTML = {"paragraph": "p", "content": "b", "list": "ul", "item": "li"}


def plant_behind_labels(planting: Planting, stratum: str, *, xhtml: bool) -> tuple[str, list[Plant]]:
    """(markup, its plants): a kind of identifier for each form; "" if the policy keeps all kinds. xhtml: else the markup of C-CDA."""
    markup, plants = "", list[Plant]()
    heads = [(head, kind, like) for head, (kind, like) in HEADS.items() if kind not in planting.kept]
    if not heads:
        return markup, plants
    first = int(planting.maker.rng.integers(len(heads)))
    for number, form in enumerate(_FORMS):
        head, kind, like = heads[(first + number) % len(heads)]
        value, day = planting.maker.value(kind, like)
        plants.append(Plant(stratum, kind, value, day))
        markup += form.format(head=head, value=escape(value))
    for name, other in _XHTML.items() if xhtml else ():
        markup = markup.replace(f"<{name}>", f"<{other}>").replace(f"</{name}>", f"</{other}>")
    return markup, plants
