"""FHIR search request: the type that parsing produces and that the search index compiles to SQL."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenCriterion:
    """Matches a code or identifier. system: None for any, "" for none; code: None for any code of the system."""

    parameter: str
    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class ReferenceCriterion:
    """Matches a reference to one of these targets (Type/id, or an absolute URL)."""

    parameter: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StringCriterion:
    """Matches a text. comparison: starts, contains, exact (as written), below (a URI or one below it), above (or one above it)."""

    parameter: str
    text: str
    comparison: str = "starts"


@dataclass(frozen=True, slots=True)
class DateCriterion:
    """Matches a time. low, high: µs since 1970, high exclusive; prefix: one of R4's (eq, ne, gt, lt, ge, le, sa, eb, ap)."""

    parameter: str
    prefix: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class QuantityCriterion:
    """Matches a number or quantity. low, high: the range that counts as equal to value; system: "" for any; code: None for any."""

    parameter: str
    prefix: str
    value: float
    low: float
    high: float
    system: str = ""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class IdCriterion:
    """Matches resources by name (Type/id) or by the index's hash of the name."""

    names: tuple[str, ...]
    keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LastUpdatedCriterion:
    """Matches the time of the last change; prefix, low and high as in DateCriterion."""

    prefix: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PresenceCriterion:
    """Matches resources that have any value of a parameter. type: the type of the search parameter."""

    parameter: str
    type: str


@dataclass(frozen=True, slots=True)
class ChainCriterion:
    """Matches resources that refer, by this parameter, to a resource of a type that meets all conditions (chained search)."""

    parameter: str
    resource_type: str
    conditions: tuple["SearchCondition", ...]


@dataclass(frozen=True, slots=True)
class ReverseChainCriterion:
    """Matches resources to which a resource of a type that meets all conditions refers by this parameter (_has)."""

    parameter: str
    resource_type: str
    conditions: tuple["SearchCondition", ...]


@dataclass(frozen=True, slots=True)
class CompositeCriterion:
    """Matches resources that meet both the criterion and the condition."""

    criterion: "SearchCriterion"
    condition: "SearchCondition"


SearchCriterion = (
    CompositeCriterion
    | ReferenceCriterion
    | TokenCriterion
    | StringCriterion
    | DateCriterion
    | QuantityCriterion
    | IdCriterion
    | LastUpdatedCriterion
    | PresenceCriterion
    | ChainCriterion
    | ReverseChainCriterion
)


@dataclass(frozen=True, slots=True)
class SearchCondition:
    """Holds when any criterion matches; negated: when none does."""

    criteria: tuple[SearchCriterion, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of _sort: a parameter, the type of its values (string, date, number, updated, name), and the direction."""

    parameter: str
    type: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class SearchInclude:
    """One _include or _revinclude. source: the type that refers, "" for any; parameter "*": any; target: only that type, "" for any;
    iterate: also from resources that were included."""

    source: str
    parameter: str
    target: str
    iterate: bool


@dataclass(frozen=True, slots=True)
class SearchScope:
    """Subjects whose resources a search may return. key: identifies the set of subjects as long as it does not change."""

    subjects: frozenset[int]
    key: str


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search for resources of one type that meet all conditions. unknown: parameters that the type does not have; used: those
    that take part; scope: None for every subject."""

    resource_type: str
    conditions: tuple[SearchCondition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = 20
    summary: str = ""
    elements: tuple[str, ...] = ()
    total: str = ""
    includes: tuple[SearchInclude, ...] = ()
    reverse_includes: tuple[SearchInclude, ...] = ()
    unknown: tuple[str, ...] = ()
    used: tuple[tuple[str, str], ...] = ()
    scope: SearchScope | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A resource in the search index: its row, type, name (Type/id) and subject; is_patient: whether the subject is a patient."""

    row: int
    resource_type: str
    name: str
    subject: int
    is_patient: bool
