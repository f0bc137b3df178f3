"""Options of a de-identification: policy, language, key and how the work is divided."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from galenic.errors import OptionError
from galenic.privacy import text

MIN_KEY_BYTES = 32
MINUTES_PER_FILE = 60.0  # of processor time: twice what the largest note takes


@dataclass(frozen=True)
class DeidentificationOptions:
    """Options that the caller chooses.

    policy: the name of a built-in policy, or the path of a TOML file. language: of free text. model: path of a tagger that
    replaces the one that is shipped. key: 32 bytes or more that determine surrogates and tokens; without one, a random key is
    used and forgotten at the end, so that nothing can be traced back. day_first: 03/04/2020 means 3 April. table: overrides of
    the policy's [table] section (quasi, sensitive, k, l, t, method, fraction, rare). workers: processes that share the files;
    the output does not depend on it. engine: pool (this machine) or ray. other_languages: refuse or redact
    notes in a language without a validated detector; such parts of other files are always redacted. measured: measure the recall
    on planted identifiers. minutes_per_file: of processor time, after which a file is refused.
    """

    policy: str = "safe-harbor"
    language: str = "en"
    model: str = ""
    key: bytes | None = None
    day_first: bool = False
    table: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    engine: str = "pool"
    other_languages: str = "refuse"
    measured: bool = True
    minutes_per_file: float = MINUTES_PER_FILE

    def __post_init__(self) -> None:
        if self.key is not None and len(self.key) < MIN_KEY_BYTES:
            raise OptionError(f"the key has {len(self.key)} bytes. Expected at least {MIN_KEY_BYTES} bytes of random data.")
        if self.other_languages not in ("refuse", "redact"):
            raise OptionError(f"--other-languages is {self.other_languages!r}. Expected refuse or redact.")
        if self.minutes_per_file <= 0:
            raise OptionError(f"--minutes-per-file is {self.minutes_per_file:g}. Expected more than 0.")

    def settings(self, key: bytes) -> "RunSettings":
        """Settings that every process of the run needs. Raise OptionError if the policy cannot be read."""
        policy = text.read_policy(self.policy)
        policy = replace(policy, table={**policy.table, **self.table})
        return RunSettings(policy, self.language, self.model, key, self.day_first, self.other_languages, self.minutes_per_file)


@dataclass(frozen=True)
class RunSettings:
    """Settings of one run, with the parsed policy and the drawn key."""

    policy: text.DeidentificationPolicy
    language: str
    model: str
    key: bytes
    day_first: bool
    other_languages: str = "refuse"
    minutes_per_file: float = MINUTES_PER_FILE

    def to_json(self) -> dict[str, Any]:
        """JSON for a worker process."""
        return {**asdict(self), "key": self.key.hex()}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "RunSettings":
        """Settings from the result of `to_json`."""
        policy = text.DeidentificationPolicy(**raw["policy"])
        plain = {k: raw[k] for k in ("language", "model", "other_languages", "minutes_per_file")}
        return cls(policy=policy, key=bytes.fromhex(raw["key"]), day_first=bool(raw["day_first"]), **plain)
