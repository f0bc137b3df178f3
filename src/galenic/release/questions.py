"""Questions of signers to the requester of a run, and the answers. A question does not block a signature."""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from galenic.errors import AccessDeniedError, OptionError, ReleaseRefusedError, UnknownNameError
from galenic.installation import Installation
from galenic.release.run import Run
from galenic.release.status import RunStatus, run_status
from galenic.schema import plain_line
from galenic.security import Fact, FactReader, Session, is_active, roles_of, tell

SHORTEST, LONGEST = 10, 1_000  # characters
MOST_OPEN = 20  # questions of one run without an answer


@dataclass(frozen=True)
class Question:
    """A question about a run. key: of its fact; asker, requester: accounts; at, answered_at: ISO 8601; answer: empty while it is open."""

    key: str
    run: str
    asker: str
    requester: str
    text: str
    at: str
    answer: str = ""
    answered_at: str = ""

    @classmethod
    def of(cls, fact: Fact) -> "Question":
        """The question in a fact."""
        texts = {n: str(fact.get(n, "")) for n in ("requester", "text", "at", "answer", "answered_at")}
        return cls(fact.key, fact.label, fact.who, **texts)


def may_be_asked(installation: Installation, status: RunStatus) -> bool:
    """Whether signers can ask about a run: it waits for signatures, and its requester has an account to answer with."""
    return status.state == "signing" and installation.people.get(status.by) is not None


def ask_question(installation: Installation, session: Session, run_id: str, text: str) -> Question:
    """Asks the requester of a run, as one of its signers. AccessDeniedError for others, ReleaseRefusedError where nobody can answer."""
    status = run_status(installation, run_id)
    if not may_be_asked(installation, status):
        raise ReleaseRefusedError(
            f"run {run_id} takes no questions: it is {status.state}, or its requester has no account here."
        )
    question, now = _checked(text, "question"), _now()
    body = (("text", question), ("at", now), ("requester", status.by))
    fact = Fact("question", f"{run_id}/{secrets.token_hex(8)}", "open", session.who, label=run_id, body=body)

    def plan(facts: FactReader) -> list[Fact]:
        if not set(status.roles) & set(roles_of(facts, session.who)) or not is_active(facts, session.who):
            raise AccessDeniedError(f"signers of run {run_id} can ask: {' or '.join(status.roles)}.")
        if session.who == status.by:
            raise AccessDeniedError("you requested this run. Its signers ask, and you answer.")
        if sum(f.state == "open" for f in facts.of("question", label=run_id)) >= MOST_OPEN:
            raise ReleaseRefusedError(f"run {run_id} has {MOST_OPEN} questions without an answer. Wait for an answer.")
        return [fact]

    installation.facts.change(plan, actor=session.who)
    return Question.of(fact)


def answer_question(installation: Installation, session: Session, key: str, text: str) -> Question:
    """Answers a question as the requester of its run, once. The asker gets a notice. UnknownNameError for anybody else's question."""
    answer, now = _checked(text, "answer"), _now()

    def plan(facts: FactReader) -> list[Fact]:
        fact = facts.one("question", key)
        if fact is None or fact.get("requester") != session.who or not is_active(facts, session.who):
            raise UnknownNameError("there is no such question for you.")
        if fact.state != "open":
            raise OptionError("this question is answered already. Load the page again to read the answer.")
        return [replace(fact, state="answered", body=(*fact.body, ("answer", answer), ("answered_at", now)))]

    (fact,) = installation.facts.change(plan, actor=session.who)
    answered = Question.of(fact)
    title = run_status(installation, answered.run).details.title
    tell(
        installation.facts,
        answered.asker,
        f"Your question about “{title}” was answered. Read the answer on the page of the release.",
    )
    return answered


def questions_of(installation: Installation, run_id: str) -> tuple[Question, ...]:
    """Questions about a run, oldest first."""
    found = [Question.of(f) for f in installation.facts.of("question", label=run_id)]
    return tuple(sorted(found, key=lambda q: (q.at, q.key)))


def unanswered_questions(installation: Installation, requester: str) -> tuple[Question, ...]:
    """Questions that wait for an answer of an account, of runs that still exist, oldest first."""
    found = [Question.of(f) for f in installation.facts.of("question") if f.state == "open"]
    own = [q for q in found if q.requester == requester and Run(installation, q.run).stored]
    return tuple(sorted(own, key=lambda q: (q.at, q.key)))


def _checked(text: str, label: str) -> str:
    line = plain_line(text, label, LONGEST)
    if len(line) < SHORTEST:
        raise OptionError(f"the {label} has {len(line)} characters. Expected at least {SHORTEST}. Write a sentence.")
    return line


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
