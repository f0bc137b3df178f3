"""Units of measure by UCUM: whether one is a unit, whether two measure the same, and values from one in the other."""

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
    """The unit, or None where UCUM has no such one."""
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
    """The value in another unit of the same quantity. RecordError where one is no unit of UCUM, or they measure different things:
    mmol/L become mg/dL only for a known substance, which `quality.analytes` knows."""
    units = [_unit(unit), _unit(wanted)]
    for code, found in zip((unit, wanted), units, strict=True):
        if found is None:
            raise RecordError(f"{code!r} is not a UCUM unit (UCUM is case-sensitive: mg/dL, mm[Hg], Cel). Correct it.")
    from pint.errors import PintError  # noqa: PLC0415

    try:
        return float(_registry().Quantity(value, units[0]).to(units[1]).magnitude)
    except PintError:
        raise RecordError(f"{unit} and {wanted} measure different quantities. Name two units of the same quantity.") from None
