"""Which privileges users hold, and the refusal where one was taken away.

The application user's are taken away by the switches, anybody's by `rights`. Who acts for another has the rights that
both have, on each record (https://learn.microsoft.com/power-apps/developer/data-platform/impersonate-another-user).
"""

from __future__ import annotations

from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from sandbox.dataverse.callers import Caller
from sandbox.dataverse.errors import missing_privilege, no_access, without_roles
from sandbox.dataverse.store import Store

ACT_ON_BEHALF_PRIVILEGE: Final = "prvActOnBehalfOfAnotherUser"
OVERRIDE_CREATED_ON_PRIVILEGE: Final = "prvOverrideCreatedOnCreatedBy"
READ: Final = {
    "appointment": "prvReadActivity",
    "activityparty": "prvReadActivity",
    "contact": "prvReadContact",
    "lead": "prvReadLead",
    "opportunity": "prvReadOpportunity",
    "account": "prvReadAccount",
    "systemuser": "prvReadUser",
    "team": "prvReadTeam",
}
APPEND_TO: Final = {
    "contact": "prvAppendToContact",
    "lead": "prvAppendToLead",
    "opportunity": "prvAppendToOpportunity",
    "account": "prvAppendToAccount",
    "systemuser": "prvAppendToUser",
}
PRIVILEGES: Final = (
    "prvCreateActivity",
    "prvWriteActivity",
    "prvDeleteActivity",
    "prvAppendActivity",
    "prvAppendToActivity",
    "prvAssignActivity",
    "prvShareActivity",
    "prvReadEntity",
    "prvReadAttribute",
    *dict.fromkeys(READ.values()),
    *APPEND_TO.values(),
    ACT_ON_BEHALF_PRIVILEGE,
    OVERRIDE_CREATED_ON_PRIVILEGE,
)


def require_privilege(name: str, *, store: Store, caller: Caller | None = None) -> None:
    """Refuse with 403 where the caller, the application user unless told otherwise, lacks this privilege."""
    for user in caller.users if caller else (store.app_user_id,):
        require_of(user, name, store=store)


def require_of(user: str, name: str, *, store: Store) -> None:
    """Refuse with 403 where this user lacks the privilege."""
    rights = store.rights_of(user)
    if not rights.roles:
        raise without_roles(name, user=user)
    taken = store.switches.missing_privileges if user == store.app_user_id else frozenset()
    if name in rights.missing_privileges | taken:
        raise missing_privilege(name, user=user)


def require_access(record: str, *, store: Store, caller: Caller) -> None:
    """Refuse with 403 where the caller may not use this record."""
    for user in caller.users:
        if record in store.rights_of(user).no_access:
            raise no_access("AppendToAccess", user=user, record=record)


def user_privileges(*, store: Store) -> dict[str, Any]:
    """Answer RetrieveUserPrivileges; what the switches take away is missing here too."""
    switches = store.switches
    missing = set(switches.missing_privileges) | store.rights_of(store.app_user_id).missing_privileges
    if switches.act_on_behalf == "refuse":
        missing.add(ACT_ON_BEHALF_PRIVILEGE)
    if switches.override_created_on != "grant":
        missing.add(OVERRIDE_CREATED_ON_PRIVILEGE)
    return {
        "RolePrivileges": [
            {
                "Depth": switches.privilege_depth,
                "PrivilegeId": str(uuid5(NAMESPACE_OID, name)),
                "BusinessUnitId": store.business_unit_id,
                "PrivilegeName": name,
                "RecordFilterId": "00000000-0000-0000-0000-000000000000",
                "RecordFilterUniqueName": "",
            }
            for name in PRIVILEGES
            if name not in missing
        ]
    }
