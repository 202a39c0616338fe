"""The one tree of errors that the app raises on purpose.

SyncError
├── BadDelivery          what came in is not a delivery: answer 400 (or 401, 413), nothing is stored
├── NotStored            a delivery could not be stored, and its call cannot wait (any longer): answer 503
├── BadMapping           the mapping file is wrong: every problem listed
├── BadSettings          the environment is wrong: every problem listed
├── Unmappable           a value that the mapping cannot turn into a column: dead letter
├── RowConflict          somebody else changed the table row: load it again
└── RemoteError          a service refused or could not be reached
    ├── Transient        may pass by itself: put the message back
    └── Permanent        will not pass by itself: dead letter with the reason
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal


class SyncError(Exception):
    """Base of every error in this tree.

    `merged` tells whether the event that failed is remembered in the meeting's row, so that a later event of the same
    meeting carries it out too. `meeting` is the key of the row that it belongs to, where that is known.
    """

    merged = False
    meeting = ""


class BadDelivery(SyncError):
    """A request that is not a verified delivery. `code` and `message` go to the caller: nothing secret in them."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class NotStored(SyncError):
    """A delivery could not be stored, and its call cannot wait for storage, or no longer.

    `reason`: `bounds`, no more can be held; `waited`, it was held for as long as a call may last; `copy`, it is a copy
    of one that is held on.
    """

    def __init__(self, reason: Literal["bounds", "waited", "copy"]) -> None:
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


class Unmappable(SyncError):
    """A value of a meeting that no column can take, for example an end before its start."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class RowConflict(SyncError):
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


def told(problem: Mapping[str, Any]) -> str:
    """What one of pydantic's problems says to somebody who does not know our classes, nor that we check in Python."""
    if problem["type"] in {"model_type", "dict_type"}:
        return "An object was expected, in braces"
    if problem["type"] in {"tuple_type", "list_type"}:
        return "A list was expected, in brackets"
    if problem["type"] == "too_short":
        return "This is empty; at least 1 is needed"
    return str(problem["msg"]).removeprefix("Value error, ")
