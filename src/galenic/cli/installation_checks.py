"""Checks of an installation: files, database, audit log, keys, people, budgets, jobs, backups, search indexes."""

import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from galenic import custody, store
from galenic.cli.environment_checks import OK, PROBLEM, WARNING, Check
from galenic.errors import GalenicError, MissingExtraError, StateError
from galenic.installation import Installation
from galenic.jobs import job_queue
from galenic.security import APPROVERS

QUICK = 200_000  # audit entries that are verified in a few seconds
BACKUP_AGE = timedelta(days=7)
NEARLY_SPENT = 0.9


def installation_checks(installation: Installation) -> Iterator[Check]:
    """Every check of an installation, in the order of the report. A check that fails is itself a problem."""
    checks: tuple[tuple[str, Callable[[Installation], Check]], ...] = (
        ("Permissions", permissions_check),
        ("Database", database_check),
        ("Audit log", audit_check),
        ("Clock", clock_check),
        ("Root key", root_check),
        ("Recovery key", recovery_check),
        ("People", people_check),
        ("Budgets", budget_check),
        ("Jobs", jobs_check),
        ("Backups", backup_check),
        ("Search indexes", index_check),
    )
    for name, check in checks:
        try:
            yield check(installation)
        except MissingExtraError as error:
            yield Check(name, WARNING, "Not checked: an optional part is not installed.", str(error))
        except GalenicError as error:
            yield Check(name, PROBLEM, "The check failed.", str(error))


def permissions_check(installation: Installation) -> Check:
    """Files that other users of this machine can read or write."""
    home = installation.home
    private = [
        home,
        home / "keys",
        *home.glob("keys/*"),
        *home.glob("galenic.db*"),
        *home.glob("root/*"),
        *home.glob("escrow/*private*"),
    ]
    open_to_others = [place for place in private if place.exists() and stat.S_IMODE(place.stat().st_mode) & 0o077]
    if open_to_others:
        names = ", ".join(str(place) for place in open_to_others[:3])
        more = f" and {len(open_to_others) - 3} more" if len(open_to_others) > 3 else ""
        return Check("Permissions", PROBLEM, f"Other users can read: {names}{more}.", f"chmod -R go-rwx {home}")
    return Check("Permissions", OK, "Keys and database are readable by their owner only.")


def database_check(installation: Installation) -> Check:
    """Whether the database answers, in the schema of this version."""
    names = [str(d["name"]) for d in store.list_datasets(installation.db, "home")]
    kind = "SQLite" if installation.db.is_sqlite else "PostgreSQL"
    return Check("Database", OK, f"{kind} answers, with the schema of this version. Data sets: {len(names)}.")


def audit_check(installation: Installation) -> Check:
    """Whether the audit log is complete; a long one is left to `galenic audit verify`."""
    size, _root = installation.audit.head()
    if size > QUICK:
        return Check("Audit log", OK, f"{size:,} entries, not verified here.", "Verify all of them: galenic audit verify")
    faults, count = installation.audit.faults()
    if faults:
        return Check("Audit log", PROBLEM, faults[0], "Call the security officer. All findings: galenic audit verify")
    return Check("Audit log", OK, f"{count:,} entries verified.")


def clock_check(installation: Installation) -> Check:
    """Whether the clock is not behind the newest audit entry."""
    newest, now = installation.audit.latest_time(), datetime.now(UTC).isoformat(timespec="seconds")
    if newest and newest[:19] > now[:19]:
        return Check(
            "Clock",
            PROBLEM,
            f"The clock ({now[:19]}) is behind the newest audit entry ({newest[:19]}).",
            "Set the clock of this machine.",
        )
    return Check("Clock", OK, f"{now[:19]} UTC.")


def root_check(installation: Installation) -> Check:
    """Whether the root key can be read, where records are stored."""
    if not store.list_datasets(installation.db, "home") and not Path(installation.settings.root).exists():
        return Check("Root key", WARNING, "The encrypted record store is not initialized.", "galenic init")
    installation.tree.root()
    inside = Path(installation.settings.root).is_relative_to(installation.home)
    if inside:
        return Check(
            "Root key",
            WARNING,
            "The root key is in the home folder.",
            "In production: set GALENIC_ROOT before galenic init.",
        )
    return Check("Root key", OK, "The root key can be read.")


def recovery_check(installation: Installation) -> Check:
    """Whether a recovery copy of the root key exists, and its private key is somewhere else."""
    if not installation.escrow.public.exists():
        return Check("Recovery key", WARNING, "There is no recovery copy of the root key.", "galenic init")
    if installation.escrow.private.exists():
        advice = f"Move it to a safe: {installation.escrow.private}"
        return Check("Recovery key", WARNING, "The private recovery key is still on this machine.", advice)
    return Check("Recovery key", OK, "A recovery copy exists. Its private key is not on this machine.")


def people_check(installation: Installation) -> Check:
    """Whether two people can approve and sign."""
    active = [person for person in installation.people.all() if person.state == "active"]
    if active:
        approve = [person for person in active if set(APPROVERS) & set(person.roles)]
        if len(approve) < 2:
            advice = "Invite a second person in the console, or: galenic people grant-role ACCOUNT ROLE"
            return Check("People", WARNING, f"{len(approve)} of {len(active)} accounts can approve. Two are needed.", advice)
        return Check("People", OK, f"{len(active)} accounts, {len(approve)} of them can approve.")
    owners = {
        str(fact.get("person")) for fact in installation.facts.of("grant") if fact.state == "given" and fact.get("fingerprint")
    }
    if len(owners) < 2:
        advice = "Start the console (galenic serve), or create keys: galenic keys create NAME --role ROLE --person PERSON"
        return Check("People", WARNING, f"{len(owners)} people have a key. Two are needed to sign a release.", advice)
    return Check("People", OK, f"{len(owners)} people have keys.")


def budget_check(installation: Installation) -> Check:
    """Privacy budgets that are nearly spent."""
    statements = custody.budget_statements(installation)
    spent = [s.population for s in statements if s.rho_limit and s.rho_spent >= NEARLY_SPENT * s.rho_limit]
    if spent:
        return Check("Budgets", WARNING, f"Nearly spent: {', '.join(spent)}.", "See who spent them: galenic budget show")
    return Check("Budgets", OK, f"{len(statements)} declared, none nearly spent.")


def jobs_check(installation: Installation) -> Check:
    """Whether a worker runs where jobs wait."""
    with job_queue(installation) as queue:
        jobs = queue.all(1_000)
    waiting = [job for job in jobs if job.state in ("ENQUEUED", "PENDING")]
    failed = [job for job in jobs if job.state == "ERROR"]
    worker = store.lock_holder(installation.db, installation.home, "worker")
    if waiting and not worker:
        return Check(
            "Jobs",
            WARNING,
            f"{len(waiting)} jobs wait, and no worker is running.",
            "galenic jobs run, or start the server: galenic serve",
        )
    if failed:
        return Check("Jobs", WARNING, f"{len(failed)} jobs have failed.", "galenic jobs list, then galenic jobs resume JOB")
    return Check("Jobs", OK, f"{len(waiting)} waiting. The worker is {'running' if worker else 'not running'}.")


def backup_check(installation: Installation) -> Check:
    """Age and reach of backups."""
    rows = store.backups(installation.db)
    if not rows:
        advice = "galenic backup create FOLDER --key NAME --second NAME"
        state = WARNING if store.list_datasets(installation.db, "home") else OK
        return Check("Backups", state, "There is no backup.", advice if state == WARNING else "")
    lost = [str(row["folder"]) for row in rows if not Path(str(row["folder"])).is_dir()]
    if lost:
        return Check(
            "Backups",
            WARNING,
            f"Not reached: {', '.join(lost[:3])}. Erasures do not reach them.",
            "Mount the folder again, or delete that backup.",
        )
    made = datetime.fromisoformat(str(rows[-1]["made_at"]))
    age = datetime.now(UTC) - (made if made.tzinfo else made.replace(tzinfo=UTC))
    finding = f"The newest of {len(rows)} is {age.days} days old."
    if age > BACKUP_AGE:
        return Check("Backups", WARNING, finding, "galenic backup create FOLDER --key NAME --second NAME")
    return Check("Backups", OK, finding)


def index_check(installation: Installation) -> Check:
    """Whether searches find what is stored."""
    checked = 0
    for dataset in store.list_datasets(installation.db, "home"):
        name = str(dataset["name"])
        if not store.list_builds(installation.db, name):
            continue
        try:
            result = custody.check_index(installation, name)
        except StateError:
            continue  # builds of other kinds only
        checked += 1
        if not result.is_consistent:
            return Check(
                "Search indexes", PROBLEM, f"The search index of {name} does not match the stored data.", result.advice
            )
    return Check("Search indexes", OK, f"{checked} checked.")
