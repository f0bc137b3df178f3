"""Resource types that SMART scopes name."""

from galenic.errors import OptionError
from galenic.security import SCOPE


def require_known_types(scopes: str) -> None:
    """OptionError for a scope of a resource type that FHIR R4 does not have: a misspelled one would be approved and give nothing."""
    from galenic.records.fhir import r4  # noqa: PLC0415

    named = {text: match["type"] for text in scopes.split() if (match := SCOPE.match(text))}
    unknown = [text for text, name in named.items() if name != "*" and name not in r4().resources]
    if unknown:
        raise OptionError(
            f"the scopes {', '.join(unknown)} name resource types that FHIR R4 does not have. Expected some like "
            "system/Observation.rs, or * for every type."
        )
