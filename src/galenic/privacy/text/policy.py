"""De-identification policies: the treatment of each kind of identifier; built-in ones, and the user's own as TOML."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from galenic.errors import ConfigurationError, UnknownNameError

TREATMENTS = ("redact", "mask", "generalise", "surrogate", "keep")
BUILT_IN = ("safe-harbor", "limited-data-set", "expert")


@dataclass(frozen=True)
class IdentifierKind:
    """Kind of identifier. letter: in Safe Harbor's list. direct: True if it identifies by itself (GDPR). parent: the more
    general kind, or ""."""

    name: str
    letter: str
    direct: bool
    text: str
    parent: str = ""


@dataclass(frozen=True)
class DeidentificationPolicy:
    """De-identification policy. treat: by kind of identifier, one of TREATMENTS. text: its purpose. dicom: options of PS3.15,
    masks, strict. table: quasi-identifiers, k, l, t and further options of tables. lists: the user's own names, a file for
    each kind."""

    name: str
    text: str
    treat: dict[str, str]
    dicom: dict[str, Any] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> str:
        return self.treat[kind]


@cache
def identifier_kinds() -> dict[str, IdentifierKind]:
    """Every kind of identifier, by name."""
    raw = tomllib.loads(files("galenic.privacy.text").joinpath("data/kinds.toml").read_text(encoding="utf-8"))
    return {name: IdentifierKind(name, one["letter"], one["gdpr"], one["text"], one.get("of", "")) for name, one in raw.items()}


def read_policy(name: str) -> DeidentificationPolicy:
    """Policy by name, or by the path of a TOML file. Raise UnknownNameError if there is none, and ConfigurationError if it is
    invalid."""
    if name in BUILT_IN:
        text = files("galenic.privacy.text").joinpath(f"data/{name}.toml").read_text(encoding="utf-8")
        return _policy(name, tomllib.loads(text))
    place = Path(name)
    if not place.exists():
        raise UnknownNameError(
            f"policy {name!r} is neither a file nor one of {', '.join(BUILT_IN)}. Give one of these names, or the "
            "path of a TOML file."
        )
    try:
        return _policy(place.stem, tomllib.loads(place.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{place.name} is not valid TOML ({error.__class__.__name__}). Expected a table [treat] with kinds and treatments."
        ) from None


def _policy(name: str, raw: dict[str, Any]) -> DeidentificationPolicy:
    treat = raw.get("treat", {})
    like = read_policy(raw["like"]) if raw.get("like") in BUILT_IN else None
    base = dict(like.treat) if like else {}
    wrong = sorted(set(treat) - set(identifier_kinds()))
    if wrong:
        raise ConfigurationError(
            f"policy {name!r} treats {', '.join(wrong)}, which are not kinds of identifiers. Expected some of "
            f"{', '.join(identifier_kinds())}."
        )
    base = {k: v for k, v in base.items() if identifier_kinds()[k].parent not in treat} | {k: str(v) for k, v in treat.items()}
    bad = sorted(k for k, v in base.items() if v not in TREATMENTS)
    if bad:
        raise ConfigurationError(
            f"policy {name!r}: {', '.join(bad)} has an unknown treatment. Expected one of {', '.join(TREATMENTS)}."
        )
    for kind in identifier_kinds().values():
        if kind.parent in base:
            base.setdefault(kind.name, base[kind.parent])
    absent = [k for k in identifier_kinds() if k not in base]
    if absent:
        raise ConfigurationError(
            f"policy {name!r} has no treatment for {', '.join(absent)}. Add them to [treat], or begin with like = "
            '"safe-harbor".'
        )
    parts = {part: {**(getattr(like, part) if like else {}), **raw.get(part, {})} for part in ("dicom", "table", "lists")}
    return DeidentificationPolicy(name, str(raw.get("text", "")), base, **parts)
