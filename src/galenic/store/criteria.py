"""What a search of resources asks, in the index's own terms: tests of one resource, and tests of what it refers to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """A code or an identifier. system: None for any, "" for none; code: None for any of the system."""

    name: str
    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """A reference to one of these names (Type/id, or an address elsewhere)."""

    name: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A text. how: starts, contains, exact (as written), under (a URI or one below it), over (a URI or one above it)."""

    name: str
    text: str
    how: str = "starts"


@dataclass(frozen=True, slots=True)
class DateRange:
    """A time. low, high: first and past-last µs of what was asked; prefix: one of R4's (eq, ne, gt, lt, ge, le, sa, eb, ap)."""

    name: str
    prefix: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Amount:
    """A number or quantity. low, high: what counts as equal; value: itself; unit: system ("" for any) and code, None for any."""

    name: str
    prefix: str
    value: float
    low: float
    high: float
    system: str = ""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """One of these names (Type/id), or of what the index calls them by."""

    names: tuple[str, ...]
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Updated:
    """When it was last changed; as Span."""

    prefix: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Present:
    """Whether it has any value of a parameter. names: each kind of table that may hold one is looked at."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Refers:
    """It refers, by this parameter, to a resource of a type that meets all of these."""

    name: str
    kind: str
    inner: tuple["OneOf", ...]


@dataclass(frozen=True, slots=True)
class Referred:
    """A resource of a type that meets all of these refers to it by this parameter."""

    name: str
    kind: str
    inner: tuple["OneOf", ...]


@dataclass(frozen=True, slots=True)
class Both:
    """The test and the condition hold."""

    test: "Criterion"
    beside: "OneOf"


Criterion = Both | Link | Token | Text | DateRange | Amount | Named | Updated | Present | Refers | Referred


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of the tests holds; negated: none does."""

    tests: tuple[Criterion, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What to sort by: a parameter's name, the kind of its values (string, date, number, updated, name), and which way."""

    name: str
    type: str
    down: bool = False


@dataclass(frozen=True, slots=True)
class ResourceQuery:
    """Resources of a type that meet all conditions. shown: only those about these subjects and about no patient; None: all."""

    kind: str
    conditions: tuple[OneOf, ...] = ()
    order: tuple[Order, ...] = ()
    shown: frozenset[int] | None = None
    shown_as: str = ""  # what the set of subjects is called, while it is the same


@dataclass(frozen=True, slots=True)
class Hit:
    """A resource that was found: its row, name and whose it is; patient: whether that is a patient."""

    row: int
    name: str
    subject: int
    patient: bool
