"""Records that probably belong to one person, by Fellegi and Sunter's model (JASA 64, 1969), fitted by Splink."""

import logging
import re
import warnings
from typing import Any

import pyarrow as pa

from galenic.errors import MissingExtraError
from galenic.records.source import Source
from galenic.schema import Finding, NotMeasured

NAMES = {  # meaning of columns, by their names
    "given": r"^(given|first|fore)_?name$|^given$|^first$",
    "family": r"^(family|last|sur)_?name$|^family$|^surname$",
    "birth": r"^(birth_?date|date_of_birth|dob|birth)$",
    "sex": r"^(sex|gender)$",
    "postcode": r"^(post_?code|postal_code|zip|zip_?code)$",
    "phone": r"^(phone|telephone|phone_number|mobile)$",
    "email": r"^e_?mail(_address)?$",
    "number": r"^(mrn|ssn|nhs_number|national_id|insurance_number)$",
}
LIKELY = 0.95  # probability from which two records count as one person
MOST = 500_000  # records that are compared


def find_duplicates(source: Source) -> Finding | NotMeasured:
    """Share of records that probably duplicate a person; names, birth dates and addresses distinguish persons."""
    columns = {what: n for what, pattern in NAMES.items() for n in source.names if re.match(pattern, n.lower())}
    if not {"family", "birth"} & columns.keys() or len(columns) < 3:
        return NotMeasured("quality.duplicates", "needs a family name or a birth date, and two more of " + ", ".join(NAMES))
    frame = _frame(source, columns)
    if frame.num_rows > MOST:
        return NotMeasured(
            "quality.duplicates", (f"more than {MOST:,} records; compare a part of them, or group them by patient")
        )
    if frame.num_rows < 20:
        return NotMeasured("quality.duplicates", f"only {frame.num_rows} records")
    pairs = _pairs(frame, set(columns))
    if isinstance(pairs, str):
        return NotMeasured("quality.duplicates", pairs)
    again = {max(a, b) for a, b, _ in pairs}
    where = [
        {"where": f"rows {min(a, b) + 1} and {max(a, b) + 1}", "share": p, "what": f"probability {p:.3f}"}
        for a, b, p in sorted(pairs, key=lambda t: -t[2])[:50]
    ]
    method = f"Fellegi-Sunter on {', '.join(sorted(columns))}; probability of at least {LIKELY}"
    return Finding("quality.duplicates", len(again) / frame.num_rows, method, detail={"columns": where, "pairs": len(pairs)})


def _frame(source: Source, columns: dict[str, str]) -> pa.Table:
    parts = []
    for _, batch in source.raw(list(columns.values())):
        cells = {}
        for what, name in columns.items():
            texts = [_plain(t, what) for t in batch[name].cast(pa.string()).to_pylist()]
            cells[what] = pa.array(texts, pa.string())
        parts.append(pa.table(cells))
    frame = pa.concat_tables(parts) if parts else pa.table({c: pa.array([], pa.string()) for c in columns})
    return frame.append_column("unique_id", pa.array(range(frame.num_rows), pa.int64()))


def _plain(text: str | None, what: str) -> str | None:
    if text is None:
        return None
    text = text.strip().casefold()
    if what in ("phone", "number", "postcode"):
        text = re.sub(r"\W", "", text)
    return text or None


def _pairs(frame: pa.Table, there: set[str]) -> list[tuple[int, int, float]] | str:
    """(row, row, probability) of likely pairs, or the reason why there are none."""
    try:
        import splink.comparison_library as compare  # noqa: PLC0415
        from splink import Linker, SettingsCreator, block_on  # noqa: PLC0415
        from splink.backends.duckdb import DuckDBAPI  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("the search for duplicates needs the package splink", "linkage") from None
    fuzzy = {"given": [0.9], "family": [0.92, 0.85]}
    comparisons: list[Any] = [
        compare.JaroWinklerAtThresholds(c, fuzzy[c])
        if c in fuzzy
        else compare.LevenshteinAtThresholds(c, [1])
        if c in ("birth", "number", "phone")
        else compare.ExactMatch(c)
        for c in sorted(there)
    ]
    keys = [k for k in (("birth",), ("family", "given"), ("family", "postcode"), ("number",), ("phone",)) if set(k) <= there]
    blocks: list[Any] = [block_on(*k) for k in keys]
    prior = _prior(frame, sorted(there & {"birth", "family", "given"}))
    settings = SettingsCreator(
        "dedupe_only", comparisons, blocks, probability_two_random_records_match=prior, retain_matching_columns=False
    )
    level = logging.getLogger("splink").level
    logging.getLogger("splink").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            linker = Linker(DuckDBAPI().register(frame), settings, log_level=logging.CRITICAL)
            return _fitted(linker, blocks)
    finally:
        logging.getLogger("splink").setLevel(level)


def _prior(frame: pa.Table, keys: list[str]) -> float:
    """Prior probability that two records belong to one person: pairs that agree in all keys are assumed to be four fifths of
    all; at least one pair."""
    counts = frame.drop_null().group_by(keys).aggregate([("unique_id", "count")])["unique_id_count"].to_pylist()
    pairs = sum(n * (n - 1) / 2 for n in counts) / 0.8
    return float(max(pairs, 1.0)) / float(frame.num_rows * (frame.num_rows - 1) / 2)


def _fitted(linker: Any, blocks: list[Any]) -> list[tuple[int, int, float]]:
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for block in blocks[:2]:
        # the prior was counted; agreement probabilities among persons are estimated within each block
        linker.training.estimate_parameters_using_expectation_maximisation(
            block, fix_probability_two_random_records_match=False
        )
    found = linker.inference.predict(threshold_match_probability=LIKELY).as_record_list()
    return [(int(r["unique_id_l"]), int(r["unique_id_r"]), float(r["match_probability"])) for r in found]
