"""Constraints and relations: every kind, with the ends of ranges, missing values and contradictions."""

import pyarrow as pa
import pytest

from galenic.errors import DescriptionError
from galenic.schema import Column, Constraint, Relation, Table
from galenic.schema.constraint import all_hold, check_kinds, check_names, concerns, decides, holds
from galenic.schema.relation import ancestors, children, in_order


def table(**values: list) -> Table:
    kinds = {"a": "numeric", "b": "numeric", "c": "numeric", "day": "date", "word": "category"}
    types = {"numeric": pa.float64(), "date": pa.date32(), "category": pa.string()}
    arrays = {
        n: pa.array(v, pa.int32() if kinds[n] == "date" else types[kinds[n]]).cast(types[kinds[n]]) for n, v in values.items()
    }
    return Table(pa.table(arrays), tuple(Column(n, kinds[n]) for n in values))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(Constraint("order", columns=("a", "b")), [True, True, False, True, True], id="may stay equal"),
        pytest.param(Constraint("order", columns=("a", "b"), strict=True), [True, False, False, True, True], id="must rise"),
        pytest.param(Constraint("range", columns=("a",), low=2, high=3), [False, True, True, True, True], id="both ends"),
        pytest.param(Constraint("range", columns=("a",), low=2), [False, True, True, True, True], id="low alone"),
        pytest.param(Constraint("range", columns=("a",), high=2), [True, True, False, True, True], id="high alone"),
        pytest.param(Constraint("range", columns=("a", "b"), high=2), [True, True, False, True, False], id="of two columns"),
    ],
)
def test_a_row_keeps_a_rule_up_to_its_end_and_where_a_value_is_missing(rule: Constraint, expected: list[bool]) -> None:
    rows = table(a=[1.0, 2.0, 3.0, None, 2.0], b=[2.0, 2.0, 2.0, 1.0, 4.0])
    assert holds(rows, rule).tolist() == expected


def test_a_sum_holds_within_its_tolerance() -> None:
    rows = table(a=[3.0, 3.5, 3.75, None], b=[1.0, 1.0, 1.0, 1.0], c=[2.0, 2.0, 2.0, 2.0])
    assert holds(rows, Constraint("sum", columns=("a", "b", "c"), tolerance=0.5)).tolist() == [True, True, False, True]
    assert holds(rows, Constraint("sum", columns=("a", "b", "c"))).tolist() == [True, False, False, True]


def test_an_order_of_three_columns_holds_of_each_pair() -> None:
    rows = table(a=[1.0, 1.0, 3.0], b=[2.0, 3.0, 2.0], c=[3.0, 2.0, 4.0])
    assert holds(rows, Constraint("order", columns=("a", "b", "c"))).tolist() == [True, False, False]


def test_implies_speaks_of_rows_where_all_conditions_hold() -> None:
    rows = table(word=["x", "x", "y", None, "x"], a=[1.0, 2.0, 9.0, 9.0, None], b=[5.0, 5.0, 5.0, 5.0, 6.0])
    rule = Constraint("implies", when={"word": ("x",), "b": ("5",)}, then={"a": ("1", "3")})
    assert concerns(rows, rule).tolist() == decides(rows, rule).tolist() == [True, True, False, False, False]
    assert holds(rows, rule).tolist() == [True, False, True, True, True]
    missing = Constraint("implies", when={"word": ()}, then={"a": ("9",)})
    assert concerns(rows, missing).tolist() == [False, False, False, True, False]
    assert holds(rows, missing).tolist() == [True] * 5
    both = Constraint("implies", when={"word": ("x",)}, then={"a": ("1", "2"), "b": ("5",)})
    assert holds(rows, both).tolist() == [True, True, True, True, False]


def test_dates_are_compared_as_days_and_words_are_not_numbers() -> None:
    rows = table(day=[10, 20], a=[10.0, 19.0], word=["1", "2"])
    assert holds(rows, Constraint("order", columns=("day", "a"))).tolist() == [True, False]
    assert concerns(rows, Constraint("implies", when={"day": ("20",)}, then={"a": ("1",)})).tolist() == [False, True]
    with pytest.raises(DescriptionError, match="holds categories"):
        holds(rows, Constraint("range", columns=("word",), low=0))
    with pytest.raises(DescriptionError, match="with text"):
        concerns(rows, Constraint("implies", when={"a": ("many",)}, then={"day": ("1",)}))


def test_a_rule_decides_rows_in_which_all_that_it_compares_is_there() -> None:
    rows = table(a=[1.0, None, 3.0], b=[1.0, 2.0, None])
    assert decides(rows, Constraint("order", columns=("a", "b"))).tolist() == [True, False, False]
    rules = (Constraint("range", columns=("a",), high=2), Constraint("range", columns=("b",), low=2))
    assert all_hold(rows, rules).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": "smaller"}, id="unknown kind"),
        pytest.param({"kind": "order", "columns": ("a",)}, id="an order of one column"),
        pytest.param({"kind": "sum", "columns": ("a",)}, id="a sum of nothing"),
        pytest.param({"kind": "range", "low": 1}, id="a range of no column"),
        pytest.param({"kind": "range", "columns": ("a",)}, id="a range without ends"),
        pytest.param({"kind": "range", "columns": ("a",), "low": 2, "high": 1}, id="ends the wrong way round"),
        pytest.param({"kind": "range", "columns": ("a",), "low": 2, "high": float("nan")}, id="an end that is no number"),
        pytest.param({"kind": "implies", "when": {"a": ("1",)}}, id="nothing follows"),
        pytest.param({"kind": "implies", "then": {"a": ("1",)}}, id="follows from nothing"),
    ],
)
def test_a_rule_that_says_nothing_or_contradicts_itself_is_refused(fields: dict) -> None:
    with pytest.raises(DescriptionError, match="constraint"):
        Constraint(**fields)


def test_a_rule_is_called_after_its_columns_unless_it_has_a_name() -> None:
    assert Constraint("range", columns=("a",), low=1, high=1).name == "range of a"
    assert Constraint("implies", when={"a": ("1",)}, then={"b": ("1",)}).named == ("a", "b")
    assert Constraint("range", "adult", ("a",), low=18).name == "adult"


def test_names_that_are_absent_or_taken_twice_are_refused() -> None:
    one, same = Constraint("range", columns=("a",), low=1), Constraint("range", columns=("a",), low=2)
    check_names((one,), ("a",))
    with pytest.raises(DescriptionError, match=r"names columns \['a'\], which do not exist"):
        check_names((one,), ("b",))
    with pytest.raises(DescriptionError, match="declared twice"):
        check_names((one, same), ("a",))


def rise(*columns: str, strict: bool = True) -> Constraint:
    return Constraint("order", columns=columns, strict=strict)


def test_rules_that_leave_no_value_or_go_in_a_circle_are_refused_before_anything_is_spent() -> None:
    kinds = {"a": "numeric", "b": "unknown"}
    low, high = Constraint("range", "l", ("a",), low=2), Constraint("range", "h", ("a",), high=2)
    check_kinds((low, high), kinds)
    with pytest.raises(DescriptionError, match="'l' and 'h' leave no value for 'a'"):
        check_kinds((low, Constraint("range", "h", ("a",), high=1.9)), kinds)
    check_kinds((rise("a", "b", strict=False), rise("b", "a", strict=False)), kinds)
    check_kinds((rise("a", "b"), rise("b", "c"), rise("a", "c")), kinds)
    for circle in ((rise("a", "b"), rise("b", "a", strict=False)), (rise("a", "b", "c"), rise("c", "a")), (rise("a", "a"),)):
        with pytest.raises(DescriptionError, match="before itself"):
            check_kinds(circle, kinds)
    for kind in ("category", "ordinal"):
        with pytest.raises(DescriptionError, match="hold categories"):
            check_kinds((low,), {"a": kind})


def relation(name: str, parent: str = "", **more: object) -> Relation:
    columns = (*(Column(n, "identifier") for n in ("id", "up", "other")), Column("day", "date"), Column("x", "numeric"))
    return Relation(name, columns, "id", parent, "up" if parent else "", **more)


def test_tables_come_with_parents_before_children_and_know_their_relatives() -> None:
    stays, labs, people = relation("stays", "people"), relation("labs", "stays"), relation("people")
    ordered = in_order((labs, stays, people))
    assert [r.name for r in ordered] == ["people", "stays", "labs"]
    assert [r.name for r in ancestors(labs, ordered)] == ["stays", "people"]
    assert [r.name for r in children(people, ordered)] == ["stays"]
    assert ancestors(people, ordered) == children(labs, ordered) == ()
    linked = relation("bills", "people", links={"other": "labs"})
    assert [r.name for r in in_order((linked, labs, stays, people))][-1] == "bills"


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ((relation("a"), relation("a")), "declared twice"),
        ((relation("a"), relation("b", "c")), "not declared"),
        ((relation("a"), relation("b", "a", links={"other": "z"})), "not declared"),
        ((relation("a"), relation("b", "c"), relation("c", "b")), "foreign keys of tables"),
        ((relation("a"), relation("b")), "have no parent"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(tables: tuple[Relation, ...], why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        in_order(tables)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"name": ""}, "a table's name"),
        ({"name": "a.b"}, "a table's name"),
        ({"name": "a@b"}, "a table's name"),
        ({"name": "a", "most": 0}, '"most" must be 1 or more'),
        ({"name": "a", "orphans": "keep"}, '"orphans" must be refuse or drop'),
        ({"name": "a", "since": "birth"}, '"since" must be calendar or parent'),
        ({"name": "a", "order": "x"}, "must be described with kind"),
        ({"name": "a", "order": "z"}, "do not exist"),
        ({"name": "a", "links": {"z": "b"}}, "do not exist"),
    ],
)
def test_a_table_that_is_described_wrongly_is_refused(fields: dict, why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        relation(**fields)


def test_a_foreign_key_needs_a_parent_and_marked_columns_are_kept_for_us() -> None:
    with pytest.raises(DescriptionError, match="only a table with a parent"):
        Relation("a", (Column("id"), Column("up")), "id", "", "up")
    with pytest.raises(DescriptionError, match="begin with"):
        Relation("a", (Column("id"), Column("@x")), "id")


def test_rows_of_a_patient_and_values_leave_out_keys_text_drops_and_sums() -> None:
    columns = (
        *(Column(n, "identifier") for n in ("id", "up", "other")),
        *(Column(n, "numeric") for n in ("x", "y", "sum")),
        Column("note", "text"),
        Column("gone", "numeric", role="drop"),
    )
    rule = Constraint("sum", columns=("sum", "x", "y"))
    table = Relation("a", columns, "id", "p", "up", most=1, links={"other": "b"}, constraints=(rule,))
    assert [c.name for c in table.values] == ["x", "y"]
    assert table.rows_of_a_patient == 1
    assert relation("a", "p").rows_of_a_patient == 20
    assert relation("a").rows_of_a_patient == 1
    assert relation("a", "p", order="day", orphans="drop", since="parent").order == "day"
