"""Which privileges the application user holds, and the refusal where one was taken away by the switches."""

from __future__ import annotations

from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from sandbox.dataverse.errors import missing_privilege
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


def require_privilege(name: str, *, store: Store) -> None:
    """Refuse with 403 where the switches took this privilege away."""
    if name in store.switches.missing_privileges:
        raise missing_privilege(name)


def user_privileges(*, store: Store) -> dict[str, Any]:
    """Answer RetrieveUserPrivileges; what the switches take away is missing here too."""
    switches = store.switches
    missing = set(switches.missing_privileges)
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
