"""Identity out of text: found by several layers, replaced by a policy."""

from galenic.privacy.text.dates import move
from galenic.privacy.text.find import Finder
from galenic.privacy.text.lists import Gazetteer, read_lists
from galenic.privacy.text.models import LANGUAGES, finder_for, measured, states
from galenic.privacy.text.names import is_name
from galenic.privacy.text.note import TextFindings, deidentify_text
from galenic.privacy.text.policy import BUILT_IN, DeidentificationPolicy, Kind, kinds, read_policy
from galenic.privacy.text.replace import Replacer, tells_old_age
from galenic.privacy.text.report_page import render_report
from galenic.privacy.text.stated_identifiers import StatedIdentifiers
from galenic.privacy.text.tagger import Tagger, typed

__all__ = [
    "BUILT_IN",
    "LANGUAGES",
    "DeidentificationPolicy",
    "Finder",
    "Gazetteer",
    "Kind",
    "Replacer",
    "StatedIdentifiers",
    "Tagger",
    "TextFindings",
    "deidentify_text",
    "finder_for",
    "is_name",
    "kinds",
    "measured",
    "move",
    "read_lists",
    "read_policy",
    "render_report",
    "states",
    "tells_old_age",
    "typed",
]
