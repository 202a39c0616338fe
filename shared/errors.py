"""The one tree of errors that the app raises on purpose, and one way to put an error into words.

SyncError
├── BadDelivery             what came in is not a delivery, or asks for what cannot be: answer 400 (or 401, 413)
├── NotStored               a delivery could not be stored, and its call cannot wait (any longer): answer 503
├── BadConfiguration        something that the admin wrote is wrong: every problem listed
│   ├── BadMapping          the mapping file
│   └── BadSettings         the environment
│       └── AnothersAccount the storage account holds another organisation's data
├── Unmappable              a value that the mapping cannot turn into a column: dead letter
├── BadRow                  a row of an export that cannot be read: reported with its place (admin/export.py)
├── LostRace                something is no longer as it was known: load it again and decide anew
│   └── RowConflict         somebody else changed the table row
├── FenceRefused            somebody else changed the appointment, or made it: look at it again (meeting/ports.py)
├── TargetMissing           the appointment is not there, or a record that it points at (meeting/ports.py)
├── AppointmentClosed       the appointment is closed to changes: open it first (meeting/ports.py)
├── TableMissing            a table that is only looked at was never made: it holds nothing (admin/readonly.py)
├── RefreshTokenRefused     Outreach takes this refresh token no more: try another (outreach/tokens.py)
└── RemoteError             a service refused or could not be reached
    ├── Transient           may pass by itself: put the message back
    │   └── NewerLayout     a newer version of the app has stored it: leave it alone (storage/layout.py)
    └── Permanent           will not pass by itself: dead letter with the reason
        └── Refused         Dynamics refused a write: do without the columns that it is about (meeting/ports.py)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal


class SyncError(Exception):
    """Base of every error in this tree.

    `merged` says whether the event that failed is remembered in the meeting's row, so that a later event of the same
    meeting carries it out too. `meeting` is the key of the row that it belongs to, where that is known. `sentence` is
    for errors that have the same words each time.
    """

    sentence: ClassVar[str] = ""
    merged = False
    meeting = ""


class BadDelivery(SyncError):
    """A request that is not a verified delivery. `code` and `message` go to the caller: nothing secret in them.

    `kept`: whether it is kept until a secret fits it; `full`, there was no room; `failed`, it could not be stored.
    """

    kept: Literal["no", "yes", "full", "failed"] = "no"

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class NotStored(SyncError):
    """A delivery could not be stored, and its call cannot wait for storage, or no longer.

    `reason`: `bounds`, no more can be held; `waited`, it was held for as long as a call may last; `copy`, it is a copy
    of one that is held on; `full`, no more can be kept of what cannot be verified yet.
    """

    def __init__(self, reason: Literal["bounds", "waited", "copy", "full"]) -> None:
        super().__init__(f"The delivery could not be stored ({reason}).")
        self.reason = reason


class BadConfiguration(SyncError):
    """Something the admin wrote is wrong. `problems` holds one sentence each, with what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class BadMapping(BadConfiguration):
    """The mapping file cannot be used."""


class BadSettings(BadConfiguration):
    """The settings in the environment cannot be used."""


class AnothersAccount(BadSettings):
    """The storage account holds another organisation's data: nothing is taken in, and nothing there is touched."""


class Unmappable(SyncError):
    """A value of a meeting that no column can take, for example an end before its start."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class LostRace(SyncError):
    """Somebody else was quicker, or a look showed something new: begin again with what is there now."""


class RowConflict(LostRace):
    """The table row changed since it was loaded (HTTP 409 or 412 of Table Storage)."""


class RemoteError(SyncError):
    """A service answered with an error, or did not answer.

    `service` is one of `dataverse`, `outreach`, `storage`, `identity`; `reason` is a sentence for the journal;
    `code` the service's own error code; `request_id` what its support asks for.
    """

    def __init__(
        self,
        reason: str,
        *,
        service: str,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.service = service
        self.status = status
        self.code = code
        self.request_id = request_id


class Transient(RemoteError):
    """May pass by itself. `retry_after` (seconds) where the service said how long."""

    def __init__(
        self,
        reason: str,
        *,
        service: str,
        status: int | None = None,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, service=service, status=status, code=code, request_id=request_id)
        self.retry_after = retry_after


class Permanent(RemoteError):
    """Will be refused again however often it is sent."""


def called(service: str) -> str:
    """What people call a service: Dataverse is the name of an API, and the system behind it is Dynamics."""
    return "Dynamics" if service == "dataverse" else service.capitalize()


def problem_in_words(problem: Mapping[str, Any]) -> str:
    """What one of pydantic's problems says to somebody who does not know our classes, nor that we check in Python."""
    if problem["type"] in {"model_type", "dict_type"}:
        return "An object was expected, in braces"
    if problem["type"] in {"tuple_type", "list_type"}:
        return "A list was expected, in brackets"
    if problem["type"] == "too_short":
        return "This is empty; at least 1 is needed"
    return str(problem["msg"]).removeprefix("Value error, ")


@dataclass(frozen=True, slots=True)
class Described:
    """An error in words: what a route answers, the journal keeps, a log line says, a page or a command shows.

    status       the HTTP status of a route that meets it
    code         what it is in a word; a service's own code, where it has one
    sentence     what happened; nothing secret and nothing personal in it
    advice       what to do next; empty where the sentence says it
    service      the service that refused or is away
    request_id   what the support of that service asks for
    retry_after  seconds that a service asked to be left alone
    may_pass     trying again may help
    unforeseen   an error in the app: not an outage, so patience has another end
    paused       nothing was sent, so this was no attempt
    merged       what the event said is remembered
    meeting      the row that it belongs to, where that is known
    """

    status: int
    code: str
    sentence: str
    advice: str = ""
    service: str = ""
    request_id: str = ""
    retry_after: float | None = None
    may_pass: bool = False
    unforeseen: bool = False
    paused: bool = False
    merged: bool = False
    meeting: str = ""

    @property
    def words(self) -> str:
        """What happened and what to do."""
        return f"{self.sentence} {self.advice}".strip()

    @property
    def refusal(self) -> str:
        """The code of the answer that a route or a command gives."""
        return f"{self.service}_unavailable" if self.service else self.code


def describe(error: BaseException) -> Described:
    """`error` in words. One that is not of the tree is an error in the app: its own words may hold a person's data."""
    name = type(error).__name__
    match error:
        case BadDelivery():
            return Described(error.status, error.code, error.message)
        case NotStored():
            return Described(503, "storage_unavailable", str(error), "Send it again.", may_pass=True)
        case BadConfiguration():
            return Described(503, "not_configured", " ".join(error.problems))
        case Unmappable():
            advice = "Correct it in Outreach or in the mapping file, then send it again."
            return Described(422, error.code, error.reason, advice, merged=error.merged, meeting=error.meeting)
        case RowConflict():
            return Described(503, "row_conflict", "Table row changed meanwhile.", "Try again.", may_pass=True)
        case RemoteError():
            return _described(error)
        case SyncError():
            sentence = error.sentence or str(error) or name
            return Described(500, name, sentence, merged=error.merged, meeting=error.meeting)
        case TimeoutError():
            return Described(503, "timeout", "No answer in time.", _WAIT, may_pass=True)
        case _:
            sentence = f"An error in the app itself ({name}); its log says where."
            return Described(500, "unforeseen", sentence, may_pass=True, unforeseen=True)


_WAIT = "It may pass by itself: try again in a while."
_NOT_LET_IN = {
    "dataverse": "Check the identity (az login on a laptop), and that its user exists in Dynamics.",
    "outreach": "Check the Outreach credentials in the settings.",
    "identity": "On a laptop: az login.",
}


def _described(error: RemoteError) -> Described:
    passes = isinstance(error, Transient)
    # A refusal says itself what is missing, and so does whatever else answers at a service's address.
    if error.status == 401 or error.service == "identity":
        advice = _NOT_LET_IN.get(error.service, "")
    elif passes and error.status != 403 and not error.code.startswith("not_") and error.service != "settings":
        advice = _WAIT
    else:
        advice = ""
    return Described(
        503,
        error.code or str(error.status or ""),
        error.reason,
        advice,
        service=error.service,
        request_id=error.request_id,
        retry_after=error.retry_after if isinstance(error, Transient) else None,
        may_pass=passes,
        paused=passes and error.code == "paused",
        merged=error.merged,
        meeting=error.meeting,
    )
