"""Search of the whole output for identifiers that the input's records state, by words and numbers, independently of the
detector."""

import re
from itertools import pairwise
from pathlib import Path

from galenic.privacy.deidentification.output_text import texts_of
from galenic.privacy.deidentification.run import DeidentificationRun, ResidualSearch
from galenic.privacy.deidentification.stated_values import SearchTerms, alphanumeric, terms_of_records, terms_of_tables

_WORD = re.compile(r"[^\W_]+(?:[@.+-][^\W_]+)*")
_CELL = re.compile(r"[^,\t\n\r\";]+")


def search_residuals(outputs: list[Path], run: DeidentificationRun) -> ResidualSearch:
    """Search files for numbers of at least five digits, e-mail addresses, and given names next to family names."""
    return _search(outputs, terms_of_records(run))


def search_table_values(outputs: list[Path], files: list[Path], run: DeidentificationRun) -> ResidualSearch:
    """Search files for the values of the input tables' identifier columns, also as complete cells."""
    return _search(outputs, terms_of_tables(files, run))


def _search(outputs: list[Path], terms: SearchTerms) -> ResidualSearch:
    numbers, places = terms.numbers, 0
    for text in (t for output in outputs for t in texts_of(output)) if terms.count else ():
        words = [w.casefold() for w in _WORD.findall(text)]
        places += sum(w in numbers or (any(c.isdigit() for c in w) and alphanumeric(w) in numbers) for w in words)
        places += sum(pair in terms.name_pairs for pair in pairwise(words)) if terms.name_pairs else 0
        cells = (m[0].strip().casefold() for m in _CELL.finditer(text)) if terms.cells else ()
        places += sum(cell in terms.cells and cell not in numbers for cell in cells)  # those are counted as words
    return ResidualSearch(terms.count, places, terms.fields, terms.is_complete)
