"""UCUM units: validation, comparison of quantities, and conversion of values."""

from functools import cache
from typing import TYPE_CHECKING, Any

from galenic.errors import RecordError

if TYPE_CHECKING:
    from ucumvert import PintUcumRegistry


@cache
def _registry() -> "PintUcumRegistry":
    from ucumvert import PintUcumRegistry  # noqa: PLC0415  # a second that only who asks for units pays

    return PintUcumRegistry()


@cache
def _unit(code: str) -> Any:
    """Unit, or None if UCUM does not have it."""
    from lark.exceptions import LarkError  # noqa: PLC0415
    from pint.errors import PintError  # noqa: PLC0415

    try:
        return _registry().from_ucum(code).units if code else None
    except (LarkError, PintError, ValueError, AttributeError):
        return None


def is_unit(code: str) -> bool:
    """True if UCUM (case sensitive) has the unit."""
    return _unit(code) is not None


def convert(value: float, unit: str, wanted: str) -> float:
    """Value in another unit of the same quantity. Raise RecordError if one is not a UCUM unit, or if they measure different
    quantities: mmol/L become mg/dL only for a known substance, which `quality.analytes` knows."""
    units = [_unit(unit), _unit(wanted)]
    for code, found in zip((unit, wanted), units, strict=True):
        if found is None:
            raise RecordError(f"{code!r} is not a UCUM unit (UCUM is case-sensitive: mg/dL, mm[Hg], Cel). Correct it.")
    from pint.errors import PintError  # noqa: PLC0415

    try:
        return float(_registry().Quantity(value, units[0]).to(units[1]).magnitude)
    except PintError:
        raise RecordError(f"{unit} and {wanted} measure different quantities. Name two units of the same quantity.") from None
