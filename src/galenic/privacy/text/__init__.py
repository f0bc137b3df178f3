"""De-identification of text: identifiers are detected by several layers and replaced by a policy."""

from galenic.privacy.text.dates import shift_date
from galenic.privacy.text.detector import Detector
from galenic.privacy.text.gazetteers import Gazetteer, read_gazetteer
from galenic.privacy.text.language_identification import reading_language
from galenic.privacy.text.languages import LANGUAGES, detector_accuracy, load_detector, state_names
from galenic.privacy.text.plausible_names import find_names, holds_names, may_be_name
from galenic.privacy.text.policy import BUILT_IN, DeidentificationPolicy, IdentifierKind, identifier_kinds, read_policy
from galenic.privacy.text.processor_time import check_time, time_limit
from galenic.privacy.text.replacement import Replacer, reveals_age_over_89
from galenic.privacy.text.report_page import render_report
from galenic.privacy.text.stated_identifiers import StatedIdentifiers
from galenic.privacy.text.surrogate_names import is_listed_name
from galenic.privacy.text.tagger import Tagger, decode_spans
from galenic.privacy.text.text_deidentification import TextFindings, deidentify_text
from galenic.privacy.text.unsupported_language import unsupported_languages
from galenic.privacy.text.vocabulary import common_words, is_note_word

__all__ = [
    "BUILT_IN",
    "LANGUAGES",
    "DeidentificationPolicy",
    "Detector",
    "Gazetteer",
    "IdentifierKind",
    "Replacer",
    "StatedIdentifiers",
    "Tagger",
    "TextFindings",
    "check_time",
    "common_words",
    "decode_spans",
    "deidentify_text",
    "detector_accuracy",
    "find_names",
    "holds_names",
    "identifier_kinds",
    "is_listed_name",
    "is_note_word",
    "load_detector",
    "may_be_name",
    "read_gazetteer",
    "read_policy",
    "reading_language",
    "render_report",
    "reveals_age_over_89",
    "shift_date",
    "state_names",
    "time_limit",
    "unsupported_languages",
]
