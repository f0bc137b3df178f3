"""parse(write(x)) == x, each in its own format: a FHIR resource, an OMOP row, a MEDS event."""

import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
from hypothesis import example, given, settings
from hypothesis import strategies as st

from galenic.records import columnar, escape_formulas, fhir
from galenic.records.fhir.bundle_bytes import SplitBundle, resource_bytes, split_bundle
from galenic.records.fhir.stored_resource import restore_resource
from galenic.records.meds import read_meds, write_meds
from galenic.records.omop import Omop
from galenic.schema import TIMELINE

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
DECIMAL = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
LEAF = st.one_of(TEXT.filter(bool), st.booleans(), DECIMAL.map(fhir.ExactNumber))
NODE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(TEXT.filter(bool), inner, max_size=3),
    max_leaves=12,
)


def same(a: object, b: object) -> bool:
    """Alike to the last digit: a number that floats keep may come back as a float that is written the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return fhir.write_json({"x": a}) == fhir.write_json({"x": b})  # type: ignore[dict-item]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXT.filter(bool), NODE, min_size=1, max_size=5))
def test_a_fhir_resource_comes_back_to_the_last_digit(resource: dict) -> None:
    raw = fhir.write_json(resource)
    assert same(fhir.parse(raw).exact, resource)
    assert fhir.write_json(fhir.parse(raw).exact) == raw
    assert same(restore_resource(raw.decode(), {}), resource)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(TEXT.filter(lambda t: t not in ("", "resource")), NODE, max_size=3), min_size=1, max_size=3),
    st.sampled_from([None, 1, 2, 4]),
)
@example([{"0": [fhir.ExactNumber("20000000000000000000")]}], 1)  # more than 64 bits
def test_every_resource_of_a_bundle_is_found_byte_for_byte(resources: list[dict], indent: int | None) -> None:
    import json

    plain = [json.loads(fhir.write_json({"resourceType": "Basic", **r})) for r in resources]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in plain]}
    raw = json.dumps(bundle, indent=indent, ensure_ascii=False).encode()
    found = resource_bytes(raw, fhir.parse(raw).resource)
    assert [{"resource": fhir.parse(f or b"").resource} for f in found] == fhir.parse(raw).resource["entry"]
    assert all(f in raw for f in found if f)
    apart = split_bundle(raw)
    assert apart is None or (apart.bundle, apart.bytes_of) == (fhir.parse(raw).resource, found)
    assert apart is None or apart.refers == [fhir.references(r) for r in plain]
    assert (
        apart is not None or indent is None or any("resource" in str(r) or '"' in str(r) or "\\" in str(r) for r in resources)
    )


def test_a_bundle_is_taken_apart_only_where_that_is_what_it_says() -> None:
    good = (
        b'{\n  "resourceType": "Bundle",\n  "entry": [\n    {\n      "resource": {\n        "id": "a"\n      }\n    }\n  ]\n}'
    )
    assert split_bundle(good) == SplitBundle(
        {"resourceType": "Bundle", "entry": [{"resource": {"id": "a"}}]}, [b'{\n        "id": "a"\n      }'], [[]]
    )
    for old, new in (
        (b'"id": "a"', b'"id": "a", "id": "b"'),  # a name twice
        (b'"entry": [', b'"entry": [],\n  "entry": ['),
        (b"}\n    }\n  ]", b"}\n    }\n  ] x"),
        (b'"entry"', b'"other"'),
        (b'"id": "a"', b'"id": tru'),
        (b"      }\n    }", b"    }"),
    ):
        assert split_bundle(good.replace(old, new)) is None, new


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="=+-@"), min_size=1, max_size=8)
CELL = st.one_of(st.none(), WORDS, st.sampled_from(["a b", 'say "x"', "a,b", "1.10", "0", "line\nbreak"]))
SAFE = CELL


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SAFE, SAFE, SAFE), min_size=1, max_size=6))
def test_omop_rows_come_back_from_csv_and_from_documents(rows: list[tuple]) -> None:
    table = pa.table(
        {
            "person_id": [str(i + 1) for i in range(len(rows))],
            **{
                n: pa.array([r[i] for r in rows], pa.string())
                for i, n in enumerate(("gender_source_value", "year_of_birth", "extra"))
            },
        }
    )
    assert columnar.unpack(columnar.pack(table)).equals(table)
    with tempfile.TemporaryDirectory() as name:
        pacsv.write_csv(escape_formulas(table), Path(name) / "person.csv", pacsv.WriteOptions(quoting_style="needed"))
        omop = Omop(Path(name))
        back = pa.concat_tables(omop.rows("person")).drop_columns("_person").select(table.column_names)
        order = [int(p) - 1 for p in back["person_id"].to_pylist()]
        assert back.to_pylist() == [table.to_pylist()[i] for i in order]
        omop.close()


EVENT = st.fixed_dictionaries(
    {
        "subject_id": st.integers(1, 5),
        "time": st.one_of(st.none(), st.integers(-(10**15), 4 * 10**15)),
        "code": TEXT.filter(bool),
        "numeric_value": st.one_of(st.none(), st.floats(width=32, allow_nan=False)),
        "text_value": CELL,
        "end_time": st.one_of(st.none(), st.integers(0, 10**15)),
        "unit": CELL,
        "value_text": CELL,
        "utc_offset": st.one_of(st.none(), st.integers(-840, 840)),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=12))
def test_meds_events_come_back_from_files_and_from_documents(events: list[dict]) -> None:
    rows = sorted(events, key=lambda e: (e["subject_id"], e["time"] is not None, e["time"] or 0))
    table = pa.table([pa.array([r.get(f.name) for r in rows], f.type) for f in TIMELINE], schema=TIMELINE)
    with tempfile.TemporaryDirectory() as name:
        write_meds([table], Path(name) / "set", name="x")
        back = pa.concat_tables(read_meds(Path(name) / "set"))
    assert same_rows(back, table)
    assert same_rows(columnar.unpack(columnar.pack(table), table.schema), table)
    again = pa.schema([(f.name, columnar.type_of(str(f.type))) for f in table.schema])
    assert again == table.schema


def same_rows(a: pa.Table, b: pa.Table) -> bool:
    def plain(table: pa.Table) -> list[str]:
        rows = table.set_column(1, "time", table["time"].cast(pa.int64())).to_pylist()
        return sorted(repr({k: ("nan" if isinstance(v, float) and math.isnan(v) else v) for k, v in r.items()}) for r in rows)

    return plain(a) == plain(b)
