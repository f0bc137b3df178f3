"""Links in the resources of a transaction: targets of fullUrls, absolute URLs and conditional references."""

from galenic.custody.fhir.bundle_entries import TransactionEntry
from galenic.custody.fhir.messages import RequestContext, Resource
from galenic.custody.fhir.staged_search import StagedSearch
from galenic.errors import ConflictError


def resolve_links(search: StagedSearch, context: RequestContext, entry: TransactionEntry, exact: Resource) -> None:
    """Replaces every link in an entry's resource that refers to a resource of this server. A conditional reference is resolved
    after all entries, and may refer to one of them (R4, HTTP, 3.1.0.11.2)."""
    from galenic.records.fhir import base_of, rename_links  # noqa: PLC0415

    names, base = search.names, base_of(entry.url)

    def resolve(text: str, is_reference: bool) -> str:
        link, mark, fragment = text.partition("#")
        name = names.get(link) or (names.get(f"{base}/{link}") if base else None)
        if name is not None:
            return name + mark + fragment
        if not is_reference:
            return text
        if text.startswith(f"{context.base}/"):
            return text.removeprefix(f"{context.base}/")
        if "?" in text and not text.startswith("http"):
            return _conditional(search, text)
        return text

    rename_links(exact, resolve)


def _conditional(search: StagedSearch, text: str) -> str:
    known = search.references.get(text)
    if known is not None:
        return known
    resource_type, _, query = text.partition("?")
    found = search.find(resource_type, search.resolve_pairs(resource_type, query), final=True)
    if found is None:
        raise ConflictError(
            f"a conditional reference to a {resource_type} has no match. Nothing was written. Correct the condition, or "
            "create the resource first."
        )
    search.references[text] = found
    return found
