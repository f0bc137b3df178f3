"""Resource types of access decisions: the facts that a decision needs, and the rows that it covers.

A resource is named TYPE/NAME, for example `dataset/clinic` or `record/clinic/17`. A new type is one class here, one line in
RESOURCE_TYPES and its rules in the policy.
"""

from typing import Protocol

from galenic.store import Rows

NOBODY = -1  # no patient has this subject id


class FactLookup(Protocol):
    """Facts that a resource type may look up."""

    def is_known_dataset(self, name: str) -> bool:
        """True if there is a data set with that name."""

    def is_allowed_destination(self, name: str) -> bool:
        """True if connections to this destination are currently allowed."""


class ResourceType(Protocol):
    """One type of resource."""

    cedar_name: str  # entity type in Cedar text
    has_relations: bool  # True if a patient's care relations and consents can decide

    def dataset(self, name: str) -> str:
        """Data set that the resource belongs to; empty for none."""

    def subject(self, name: str) -> str:
        """Subject id of the patient that the resource is about, as text; empty for none."""

    def missing(self, name: str, action: str, facts: FactLookup) -> str:
        """Id of the reason if a required fact is missing; empty otherwise."""

    def rows(self, name: str) -> Rows:
        """Rows that an allowed decision covers, unless its obligations say otherwise."""


def rows_of_subject(text: str) -> Rows:
    """Rows of one subject id; of no patient if the text is not a subject id."""
    return Rows(subject=int(text) if text.isdecimal() else NOBODY)


class InstallationType:
    """house/NAME: the installation itself, and any type without facts of its own."""

    cedar_name = "House"
    has_relations = False

    def dataset(self, _name: str) -> str:
        """Empty."""
        return ""

    def subject(self, _name: str) -> str:
        """Empty."""
        return ""

    def missing(self, _name: str, _action: str, _facts: FactLookup) -> str:
        """Empty: no fact is required."""
        return ""

    def rows(self, _name: str) -> Rows:
        """All rows."""
        return Rows()


class DatasetType(InstallationType):
    """dataset/DATASET: a data set as a whole."""

    cedar_name = "Dataset"

    def dataset(self, name: str) -> str:
        """The name itself."""
        return name

    def missing(self, name: str, action: str, facts: FactLookup) -> str:
        """The data set must exist, unless it is being imported."""
        return "no-dataset" if action != "import" and not facts.is_known_dataset(self.dataset(name)) else ""


class DirectoryType(DatasetType):
    """directory/DATASET: the part of a data set that is about no patient (places, medications, staff)."""

    cedar_name = "Directory"

    def dataset(self, name: str) -> str:
        """The first part of the name."""
        return name.partition("/")[0]

    def rows(self, _name: str) -> Rows:
        """No patient's rows; shared documents are read by name."""
        return Rows(subject=NOBODY)


class RecordType(DatasetType):
    """record/DATASET/SUBJECT: one patient's part of a data set."""

    cedar_name = "Record"
    has_relations = True

    def dataset(self, name: str) -> str:
        """The first part of the name."""
        return name.partition("/")[0]

    def subject(self, name: str) -> str:
        """The second part of the name."""
        return name.partition("/")[2]

    def rows(self, name: str) -> Rows:
        """The patient's rows."""
        return rows_of_subject(self.subject(name))


class SubjectType(InstallationType):
    """subject/SUBJECT: one patient across all data sets."""

    cedar_name = "Subject"

    def subject(self, name: str) -> str:
        """The name itself."""
        return name

    def rows(self, name: str) -> Rows:
        """The patient's rows."""
        return rows_of_subject(name)


class DestinationType(InstallationType):
    """outside/DESTINATION: another system that this installation may connect to."""

    cedar_name = "Outside"

    def missing(self, name: str, _action: str, facts: FactLookup) -> str:
        """The destination must be registered."""
        return "" if facts.is_allowed_destination(name) else "no-destination"


RESOURCE_TYPES: dict[str, ResourceType] = {
    "dataset": DatasetType(),
    "subject": SubjectType(),
    "house": InstallationType(),
    "record": RecordType(),
    "directory": DirectoryType(),
    "outside": DestinationType(),
}
UNKNOWN_TYPE: ResourceType = InstallationType()  # no rule of a policy can name it, so it is refused


def resource_type(resource: str) -> tuple[ResourceType, str]:
    """The type of a resource and its name within the type."""
    kind, _, name = resource.partition("/")
    return RESOURCE_TYPES.get(kind, UNKNOWN_TYPE), name
