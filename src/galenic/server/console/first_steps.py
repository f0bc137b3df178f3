"""First steps of a fresh installation: a checklist for its officers, until everything on it is done."""

from dataclasses import dataclass

from galenic import store
from galenic.installation import Installation
from galenic.server.console.session import CurrentUser

OFFICERS = ("security-officer", "privacy-officer")


@dataclass(frozen=True)
class FirstStep:
    """A step of the checklist. place: the page where it is done, empty where the user may not open it; by: the role that does it."""

    title: str
    reason: str
    done: bool
    place: str
    by: str


def first_steps(installation: Installation, user: CurrentUser) -> list[FirstStep]:
    """The checklist in the order to work through; empty if the user is no officer, or once all steps are done."""
    if not user.holds(*OFFICERS):
        return []
    steps = [*_people_steps(installation, user), *_data_steps(installation)]
    shown = [
        FirstStep(title, reason, done, place if user.holds(*roles) else "", roles[0].replace("-", " "))
        for title, reason, done, place, roles in steps
    ]
    return [] if all(step.done for step in shown) else shown


Step = tuple[str, str, bool, str, tuple[str, ...]]


def _people_steps(installation: Installation, user: CurrentUser) -> list[Step]:
    active = [p for p in installation.people.all() if p.state == "active"]
    security = [p for p in active if "security-officer" in p.roles]
    privacy = [p for p in active if "privacy-officer" in p.roles]
    passkeys = installation.people.credentials.passkeys(user.account.name)
    return [
        (
            "Invite a second security officer",
            "From then on, two people approve every change of roles.",
            len(security) > 1,
            "/people",
            ("security-officer",),
        ),
        (
            "Add a passkey to your account",
            "Passkeys resist phishing, and signatures need one tap.",
            bool(passkeys),
            "/account",
            OFFICERS,
        ),
        (
            "Invite a privacy officer and the people who work with the data",
            "A privacy officer declares budgets and signs releases.",
            bool(privacy) and len(active) > len({p.name for p in security + privacy}),
            "/people",
            ("security-officer",),
        ),
    ]


def _data_steps(installation: Installation) -> list[Step]:
    with_rows = any(int(str(d["next_row"])) > 0 for d in store.list_datasets(installation.db, "home"))
    return [
        (
            "Import data",
            "Tables are uploaded here. FHIR and OMOP are imported on the command line.",
            with_rows,
            "/data",
            ("integration-engineer",),
        ),
        (
            "Record consents",
            "Synthetic data is made only from patients who agreed.",
            store.has_facts(installation.db, "consent", "given"),
            "/consent",
            ("privacy-officer",),
        ),
        (
            "Declare a privacy budget",
            "It limits how much all results together may reveal about one patient.",
            bool(installation.ledger.populations()),
            "/budget",
            ("privacy-officer",),
        ),
        (
            "Record care relations",
            "Clinicians see the records of their own patients only.",
            store.has_facts(installation.db, "care", "given"),
            "/care",
            ("integration-engineer", "privacy-officer", "security-officer"),
        ),
        (
            "Make a backup",
            "On the command line: galenic backup create FOLDER",
            bool(store.backups(installation.db)),
            "/keys",
            ("security-officer",),
        ),
    ]
