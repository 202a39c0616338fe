"""Who a request counts for: the application user, or somebody it acts for.

https://learn.microsoft.com/power-apps/developer/data-platform/webapi/impersonate-another-user-web-api
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.dataverse.errors import (
    ACT_ON_BEHALF,
    USER_DISABLED,
    ODataError,
    missing_row,
    query_error,
)
from sandbox.dataverse.store import Row, Store
from sandbox.dataverse.values import parse_guid

BY_USER_ID: Final = "MSCRMCallerID"
BY_OBJECT_ID: Final = "CallerObjectId"
OBJECT_ID_COLUMN: Final = "azureactivedirectoryobjectid"


@dataclass(frozen=True, slots=True)
class Caller:
    """The user a row will name as its author, and the user who really sent the request where that is another one."""

    user_id: str
    on_behalf_id: str | None = None

    @property
    def users(self) -> tuple[str, ...]:
        """Everybody whose rights a request needs: what either of two lacks, both lack."""
        return tuple(filter(None, (self.on_behalf_id, self.user_id)))


def resolve_caller(headers: Mapping[str, str], *, store: Store) -> Caller:
    """Read the impersonation headers; an id of the other header's kind is silently ignored, as it is there."""
    user = _impersonated(headers, store=store)
    if user is None or user.id == store.app_user_id:
        return Caller(store.app_user_id)
    if store.switches.act_on_behalf == "refuse":
        raise ODataError(
            "User does not have the privilege to act on behalf of another user; grant prvActOnBehalfOfAnotherUser.",
            status=403,
            code=ACT_ON_BEHALF,
        )
    if user.values["isdisabled"]:
        raise ODataError(f"The user {user.id} is disabled.", status=403, code=USER_DISABLED)
    return Caller(user.id, store.app_user_id)


def _impersonated(headers: Mapping[str, str], *, store: Store) -> Row | None:
    users = store.rows["systemuser"]
    for header in (BY_OBJECT_ID, BY_USER_ID):
        if header not in headers:
            continue
        given = parse_guid(headers[header])
        if given is None:
            raise query_error(f"The header {header} is not a GUID.")
        by_object_id = next((row for row in users.values() if row.values[OBJECT_ID_COLUMN] == given), None)
        by_user_id = users.get(given)
        if by_object_id is None and by_user_id is None:
            raise missing_row("systemuser", given)
        found = by_object_id if header == BY_OBJECT_ID else by_user_id
        if found is not None:
            return found
    return None
