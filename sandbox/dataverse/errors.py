"""The refusals of the Web API: HTTP status, Dataverse error code and a message, in one place.

Codes and names are those of https://learn.microsoft.com/power-apps/developer/data-platform/reference/web-service-error-codes;
the messages are the stand-in's own and say what to change, because their readers are developers of this app.
"""

from __future__ import annotations

from typing import Final

PAYLOAD: Final = "0x80048d19"  # the body does not fit the entity type
QUERY: Final = "0x80060888"  # the address or a query option does not fit the model
INVALID_ARGUMENT: Final = "0x80040203"
DOES_NOT_EXIST: Final = "0x80040217"
DUPLICATE_RECORD: Final = "0x80040237"
VERSION_MISMATCH: Final = "0x80060882"
CONCURRENCY_OFF: Final = "0x8006088d"
OUT_OF_RANGE: Final = "0x80044330"
STRING_TOO_LONG: Final = "0x80044331"
INVALID_OPTION: Final = "0x8004431a"
INVALID_STATUS_FOR_STATE: Final = "0x80048408"
READ_ONLY_ROW: Final = "0x8004022e"
INVALID_STATE: Final = "0x80040233"
DURATION_MISMATCH: Final = "0x8004350a"
SCHEDULE_NOT_SET: Final = "0x80040275"
PARTY_TYPE: Final = "0x80043506"
PRIVILEGE_DENIED: Final = "0x80040220"
ACT_ON_BEHALF: Final = "0x8004a110"
INVALID_CHARACTERS: Final = "0x80040278"
USER_DISABLED: Final = "0x80040225"
ASSIGN_TO_DISABLED: Final = "0x8004022b"
NO_ROLES: Final = "0x80042f09"
DATE_OUT_OF_RANGE: Final = "0x80040239"
UNKNOWN_PROPERTY: Final = "0x8006088a"
PLUGIN_REFUSED: Final = "0x80040265"


class ODataError(Exception):
    """A refused request, answered as `{"error": {"code", "message"}}`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = INVALID_ARGUMENT,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, dict[str, str]]:
        """Return the error in the shape of the Web API."""
        return {"error": {"code": self.code, "message": self.message}}


class UnknownProperty(ODataError):
    """A body names a column that the table does not have; organisations answer it with one of two codes."""

    def __init__(self, name: str, table: str) -> None:
        super().__init__(
            f"Error identified in the payload: The property '{name}' does not exist on type "
            f"'Microsoft.Dynamics.CRM.{table}'.",
            code=PAYLOAD,
        )


def payload_error(reason: str) -> ODataError:
    """Refuse a body that the OData reader could not turn into the entity type."""
    return ODataError(f"Error identified in the payload: {reason}", code=PAYLOAD)


def query_error(reason: str, *, status: int = 400) -> ODataError:
    """Refuse an address or a query option."""
    return ODataError(reason, status=status, code=QUERY)


def missing_row(table: str, row_id: str) -> ODataError:
    """Refuse a reference to a row that is not there, be it the addressed row or a lookup's target."""
    return ODataError(f"{table} With Id = {row_id} Does Not Exist", status=404, code=DOES_NOT_EXIST)


def missing_privilege(privilege: str, *, user: str) -> ODataError:
    """Refuse what a user's security roles do not allow, be it the caller, who it acts for, or the owner."""
    return ODataError(
        f"Principal user (Id={user}, type=8) is missing {privilege} privilege; add it to the user's security role.",
        status=403,
        code=PRIVILEGE_DENIED,
    )


def without_roles(privilege: str, *, user: str) -> ODataError:
    """Refuse a user who has no security role at all."""
    return ODataError(
        f"The user with id {user} has not been assigned any roles. They need a role with the {privilege} privilege.",
        status=403,
        code=NO_ROLES,
    )


def no_access(right: str, *, user: str, record: str) -> ODataError:
    """Refuse what a user may do in general, but not with this record."""
    return ODataError(
        f"SecLib::AccessCheckEx failed. ObjectID: {record}, CallingUser: {user}, AccessRights: {right}.",
        status=403,
        code=PRIVILEGE_DENIED,
    )
