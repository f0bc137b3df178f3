"""Release of artifacts: evidence, policy, decision, run folder, signatures, register, recall and verification."""

from galenic.release.artifact import ArtifactKind, Engine, ResourceUsage, RunContent, RunOutcome, StoredRun, WorkflowResult
from galenic.release.artifacts import ARTIFACTS, workflow_content
from galenic.release.attestation import MEANING, attest, statement_of
from galenic.release.budget_reservation import require_population, reserve_budget
from galenic.release.croissant import croissant_metadata
from galenic.release.deidentified import CopyRequest, DeidentifiedRun, deidentify_run
from galenic.release.erasure import forget, retrain_tasks
from galenic.release.finding_text import FindingText, finding_text, findings_markdown
from galenic.release.glossary_terms import Term, glossary, glossary_markdown
from galenic.release.policy import SHIPPED, Decision, ReleasePolicy, decide, load_policy, parse_policy
from galenic.release.quality_floor import decide_quality
from galenic.release.questions import Question, answer_question, ask_question, may_be_asked, questions_of, unanswered_questions
from galenic.release.register import downloaded_by, list_releases, read_recall_notice, recall_release, write_release
from galenic.release.residual_risk import residual_risk
from galenic.release.run import Run, RunRequest, RunState, report_page
from galenic.release.run_summary import plain_summary, run_cautions, run_criteria
from galenic.release.signature import Signature
from galenic.release.signing import Signer, reject_run, require_second_person, sign_off, sign_with_key, signing_key
from galenic.release.status import RunStatus, run_status, run_statuses
from galenic.release.summary import Caution, Criterion, list_cautions, list_criteria
from galenic.release.table_artifact import Preview, TableContent
from galenic.release.verification import check_release, trust_of, trust_of_release, trust_of_run
from galenic.release.verify_release import NotVerifiedError, verify

__all__ = [
    "ARTIFACTS",
    "MEANING",
    "SHIPPED",
    "ArtifactKind",
    "Caution",
    "CopyRequest",
    "Criterion",
    "Decision",
    "DeidentifiedRun",
    "Engine",
    "FindingText",
    "NotVerifiedError",
    "Preview",
    "Question",
    "ReleasePolicy",
    "ResourceUsage",
    "Run",
    "RunContent",
    "RunOutcome",
    "RunRequest",
    "RunState",
    "RunStatus",
    "Signature",
    "Signer",
    "StoredRun",
    "TableContent",
    "Term",
    "WorkflowResult",
    "answer_question",
    "ask_question",
    "attest",
    "check_release",
    "croissant_metadata",
    "decide",
    "decide_quality",
    "deidentify_run",
    "downloaded_by",
    "finding_text",
    "findings_markdown",
    "forget",
    "glossary",
    "glossary_markdown",
    "list_cautions",
    "list_criteria",
    "list_releases",
    "load_policy",
    "may_be_asked",
    "parse_policy",
    "plain_summary",
    "questions_of",
    "read_recall_notice",
    "recall_release",
    "reject_run",
    "report_page",
    "require_population",
    "require_second_person",
    "reserve_budget",
    "residual_risk",
    "retrain_tasks",
    "run_cautions",
    "run_criteria",
    "run_status",
    "run_statuses",
    "sign_off",
    "sign_with_key",
    "signing_key",
    "statement_of",
    "trust_of",
    "trust_of_release",
    "trust_of_run",
    "unanswered_questions",
    "verify",
    "workflow_content",
    "write_release",
]
