"""Resource types that SMART scopes name."""

from galenic.errors import OptionError
from galenic.security import SCOPE


def require_known_types(scopes: str) -> None:
    """Raise OptionError for a scope with an unknown FHIR R4 resource type: a misspelled scope would be approved and have no
    effect."""
    from galenic.records.fhir import r4  # noqa: PLC0415

    named = {text: match["type"] for text in scopes.split() if (match := SCOPE.match(text))}
    unknown = [text for text, name in named.items() if name != "*" and name not in r4().resources]
    if unknown:
        raise OptionError(
            f"the scopes {', '.join(unknown)} name resource types that do not exist in FHIR R4. Expected for example "
            "system/Observation.rs, or * for every type."
        )
