"""Version of a resource as an entry of the search index, and the location of the newest version."""

from collections.abc import Iterable
from dataclasses import dataclass

from galenic.errors import StoreError


class IndexReplacedError(StoreError):
    """The file of the search index does not exist any more, because an erasure replaced it by a copy."""


@dataclass(slots=True)
class IndexEntry:
    """One version of a resource as it is indexed. tokens (parameter, system, code), texts (parameter, normalized text, text as
    written), spans (parameter, low, high), amounts (parameter, low, high, system, code, unit), links (parameter, name); live: current
    and not deleted."""

    row: int
    resource_type: str
    id: str
    subject: int
    is_patient: bool
    updated: int
    live: bool
    tokens: Iterable[tuple[str, str, str]] = ()
    texts: Iterable[tuple[str, str, str]] = ()
    spans: Iterable[tuple[str, int, int]] = ()
    amounts: Iterable[tuple[str, float, float, str, str, str]] = ()
    links: Iterable[tuple[str, str]] = ()

    @property
    def name(self) -> str:
        """Type/id."""
        return f"{self.resource_type}/{self.id}"


@dataclass(frozen=True, slots=True)
class ResourceLocation:
    """Location of the newest version of a resource. is_live: True if that version is not a deletion."""

    row: int
    subject: int
    is_patient: bool
    is_live: bool
