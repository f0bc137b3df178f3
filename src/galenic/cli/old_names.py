"""Names of commands and options of earlier versions. They work for one version, are not in the help, and print a hint."""

MOVED = {
    "describe": "table describe",
    "synthesize": "table synthesize",
    "synthesize-related": "table synthesize-related",
    "impute": "table impute",
    "evaluate": "table evaluate",
    "audit-engine": "table audit-engine",
    "import": "records import",
    "export": "records export",
    "datasets": "records list",
    "search": "records search",
    "index": "records index",
    "quality": "records quality",
    "simulate": "records simulate",
    "check": "fhir validate",
    "code": "terminology",
    "consent": "patient consent",
    "relate": "patient care-relation",
    "access": "patient access",
    "erase": "patient erase",
    "verify-receipt": "patient verify-receipt",
    "reveal": "patient reveal",
    "sign": "release sign",
    "register": "release list",
    "recall": "release recall",
    "give-role": "people grant-role",
    "withdraw-role": "people revoke-role",
    "review": "people review-emergency",
    "approve": "people approve-export",
    "key": "keys create",
    "rotate": "keys rotate",
    "recover-root": "keys recover-root",
    "client": "clients",
    "provider": "server identity-provider",
    "metrics": "server metrics",
    "work": "server worker",
    "restore": "backup restore",
    "version": "--version",
}
"""New name by old name, where the old name is no group today."""

OPTIONS = {
    "deidentify": {"--policy": "--deidentification-policy"},
    "serve": {"--key": "--certificate-key", "--clients": "--client-authority", "--clients-port": "--client-port"},
    "table synthesize": {"--policy": "--release-policy", "--out": "--report"},
    "table synthesize-related": {"--policy": "--release-policy"},
    "table evaluate": {"--policy": "--release-policy"},
    "records import": {"--as": "--dataset", "--ids": "--namespace", "--base": "--source-url"},
    "records export": {"--as": "--format"},
    "records simulate": {"--as": "--format"},
    "records quality": {"--out": "--report", "--repair": "--repaired-table"},
    "release write": {"--policy": "--release-policy", "--trust": "--trust-out"},
    "backup restore": {"--keys": "--keys-from"},
    "clients add": {"--purpose": "--purposes", "--longest": "--max-hours"},
    "clients app": {"--shown": "--display-name"},
    "clients token": {"--purpose": "--purposes"},
    "server identity-provider": {"--client": "--client-id", "--shown": "--display-name"},
    "patient verify-receipt": {"--patient": "--patient-id"},
}
"""New option by old option, by command of today."""

HELP = ("-h", "--help")
VERBS = frozenset(["add", "create", "delete", "get", "help", "list", "ls", "new", "remove", "set", "spend", "status"])


def current_words(words: list[str], groups: dict[str, frozenset[str]]) -> tuple[list[str], list[str]]:
    """(the words of a command line with the names of today, a hint for each old name). groups: commands by group."""
    words, hint = _current_command(words, groups)
    words, hints = _current_options(words)
    return words, [hint, *hints] if hint else hints


def _current_options(words: list[str]) -> tuple[list[str], list[str]]:
    """(the words with the options of today, a hint for each old option)."""
    renamed = OPTIONS.get(" ".join(words[:2]), {}) if words[0] not in OPTIONS else OPTIONS[words[0]]
    new, hints = [], []
    for word in words:
        option, sign, value = word.partition("=")
        if option in renamed:
            hints.append(f"renamed: use {renamed[option]}")
            word = renamed[option] + sign + value
        new.append(word)
    return new, hints


def _current_command(words: list[str], groups: dict[str, frozenset[str]]) -> tuple[list[str], str]:
    name, rest = words[0], words[1:]
    if name in MOVED:
        new = MOVED[name].split()
        return [*new, *rest], _hint(new)
    collision = COLLISIONS.get(name)
    if collision is None or (rest and (rest[0] in groups[name] or rest[0] in HELP)):
        return words, ""
    new, rest = collision(rest)
    return ([name, *new, *rest], _hint([name, *new])) if new else (words, "")


def _hint(new: list[str]) -> str:
    return f"renamed: use galenic {' '.join(new)}"


def _release(rest: list[str]) -> tuple[list[str], list[str]]:
    """`galenic release RUN FOLDER` wrote a release. One word alone, or letters alone, are a mistyped command: a run has digits."""
    return (["write"] if len(rest) > 1 and not (rest[0].isalpha() and rest[0].islower()) else []), rest


def _budget(rest: list[str]) -> tuple[list[str], list[str]]:
    """`galenic budget [NAME]` showed budgets; with --epsilon it declared one. A usual verb is a mistyped command."""
    if rest and rest[0] in VERBS:
        return [], rest
    return [("declare" if any(word.startswith("--epsilon") for word in rest) else "show")], rest


def _backup(rest: list[str]) -> tuple[list[str], list[str]]:
    """`galenic backup FOLDER --key NAME` wrote a backup."""
    return (["create"] if len(rest) > 1 else []), rest


def _audit(rest: list[str]) -> tuple[list[str], list[str]]:
    """`galenic audit [--json]` showed the audit log."""
    return (["show"] if not rest or rest[0].startswith("-") else []), rest


def _jobs(rest: list[str]) -> tuple[list[str], list[str]]:
    """`galenic jobs [--work] [--cancel JOB] [--resume JOB]` did what are commands now."""
    for option, command in (("--cancel", "cancel"), ("--resume", "resume"), ("--work", "run")):
        for position, word in enumerate(rest):
            if word == option or word.startswith(f"{option}="):
                job = [word.partition("=")[2]] if "=" in word else []
                return [command], [*rest[:position], *job, *rest[position + 1 :]]
    return (["list"] if not rest or rest[0].startswith("-") else []), rest


COLLISIONS = {"release": _release, "budget": _budget, "backup": _backup, "audit": _audit, "jobs": _jobs}
"""Groups of today whose names were commands: (the new command or none, its words) by the words after the name."""
