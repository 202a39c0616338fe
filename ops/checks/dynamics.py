"""Dynamics: who the app is there, what it may do, and whether the appointment table is as the mapping needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.columns import AREA as COLUMNS_AREA
from ops.columns import Columns, compare, read_live
from ops.findings import Finding
from shared.dataverse.client import Dataverse, document
from shared.dataverse.odata import quoted
from shared.errors import RemoteError, SyncError, describe
from shared.meeting.mapping import MappingFile
from shared.meeting.ports import TargetMissing
from shared.settings import Settings

AREA = "Dynamics"

# https://learn.microsoft.com/previous-versions/dynamicscrm-2016/developers-guide/gg328108(v=crm.8) for the create; a
# lookup that is set needs Append on the appointment and Append To on what it points at.
NEEDED: Mapping[str, str] = {
    "prvCreateActivity": "new appointments",
    "prvReadActivity": "comparing after a conflict",
    "prvWriteActivity": "changes, completion, cancellation",
    "prvAppendActivity": "regarding, and attendees",
    "prvAppendToActivity": "creating an appointment",
    "prvShareActivity": "creating an appointment",
    "prvAssignActivity": "the seller as owner",
    "prvReadContact": "attendees, regarding",
    "prvAppendToContact": "attendees, regarding",
    "prvReadLead": "attendees, regarding",
    "prvAppendToLead": "attendees, regarding",
    "prvReadOpportunity": "regarding",
    "prvAppendToOpportunity": "regarding",
    "prvReadUser": "owner, organizer, booker",
    "prvAppendToUser": "owner, organizer, booker",
}
OPTIONAL: Mapping[str, str] = {
    "prvOverrideCreatedOnCreatedBy": "Created On is the moment of the sync, not the booked date",
    "prvActOnBehalfOfAnotherUser": "Created By is the app's user, not the booker",
}
_WHERE = "Check DATAVERSE_URL."
_ROLE = "Add it to the security role of the app's user."
# https://learn.microsoft.com/dotnet/api/microsoft.crm.sdk.messages.privilegedepth, the narrowest first.
_DEPTHS = ("Basic", "Local", "Deep", "Global")


async def check_dynamics(dataverse: Dataverse, settings: Settings, *, saved: Columns | None) -> list[Finding]:
    """Everything about the organisation. `saved`: columns to hold the mapping against instead of the live ones."""
    found = await _organisation(dataverse, settings)
    if saved is None and any(finding.state == "problem" for finding in found[:1]):
        return [*found, Finding(COLUMNS_AREA, "skipped", "Not looked at before Dynamics answers.")]
    return found + await _columns(dataverse, settings.mapping, saved)


async def _organisation(dataverse: Dataverse, settings: Settings) -> list[Finding]:
    try:
        me = await dataverse.who_am_i()
    except SyncError as error:
        described = describe(error)
        return [Finding(AREA, "problem", f"Dynamics cannot be asked: {described.sentence}", described.advice or _WHERE)]
    found = [Finding(AREA, "ok", f"{settings.dataverse_url} answers; we are user {me['UserId']}.")]
    user, more = await _app_user(dataverse, settings, str(me["UserId"]))
    found += more
    if user is not None:
        found += await _privileges(dataverse, user)
    return [*found, await _concurrency(dataverse)]


async def _app_user(dataverse: Dataverse, settings: Settings, me: str) -> tuple[str | None, list[Finding]]:
    """The user whose privileges count: that of AZURE_CLIENT_ID, where it is set: a laptop's user is another."""
    if not settings.client_id:
        return me, []
    try:
        rows = await dataverse.find(
            "systemusers", filter_=f"applicationid eq {settings.client_id}", select="systemuserid,isdisabled", top=1
        )
    except RemoteError as error:
        what = f"The app's user cannot be looked up: {describe(error).sentence}"
        return None, [Finding(AREA, "problem", what, "Check AZURE_CLIENT_ID.")]
    if not rows:
        fix = "Power Platform admin center, your environment, Settings, Application users: add one with this id."
        return None, [Finding(AREA, "problem", f"No application user has client id {settings.client_id}.", fix)]
    if rows[0].get("isdisabled"):
        return None, [Finding(AREA, "problem", "The application user is disabled.", "Enable it in Dynamics.")]
    return str(rows[0]["systemuserid"]), [Finding(AREA, "ok", f"The app is user {rows[0]['systemuserid']}.")]


async def _privileges(dataverse: Dataverse, user: str) -> list[Finding]:
    path = f"/systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
    try:
        answer = document(await dataverse.request("GET", path))
    except SyncError as error:
        fix = "Look at the user's security role yourself; infra/README.md lists the privileges."
        return [Finding(AREA, "warning", f"Its privileges cannot be read: {describe(error).sentence}", fix)]
    held = _held(answer)
    found = [
        Finding(AREA, "problem", f"Privilege {name} is missing ({use}).", _ROLE)
        for name, use in NEEDED.items()
        if name.lower() not in held
    ]
    if not found:
        found.append(Finding(AREA, "ok", f"The user holds all {len(NEEDED)} privileges that the sync needs."))
    narrow = [name for name in NEEDED if held.get(name.lower(), "Global") != "Global"]
    if narrow:
        what = (
            f"Held for a part of the organization only: {', '.join(narrow)}. What is beyond it is not found or refused."
        )
        found.append(Finding(AREA, "warning", what, "Give them at Organization level in the security role."))
    found += [
        Finding(AREA, "warning", f"Privilege {name} is missing: {lost}.", _ROLE)
        for name, lost in OPTIONAL.items()
        if name.lower() not in held
    ]
    return found


def _held(answer: Mapping[str, Any]) -> dict[str, str]:
    """The privileges by lower-case name, each with how far it reaches; where several roles give it, the widest."""
    held: dict[str, str] = {}
    for entry in answer.get("RolePrivileges", ()):
        name, depth = str(entry.get("PrivilegeName", "")).lower(), entry.get("Depth")
        reach = depth if depth in _DEPTHS else "Global"  # a form that we do not know is no reason to cry
        held[name] = max(held.get(name, _DEPTHS[0]), reach, key=_DEPTHS.index)
    return held


async def _concurrency(dataverse: Dataverse) -> Finding:
    definition = await _definition(dataverse, "IsOptimisticConcurrencyEnabled")
    if definition is None:
        return Finding(
            AREA,
            "warning",
            "Optimistic concurrency of appointments cannot be read.",
            "Give the app's user prvReadEntity, and look again.",
        )
    if definition.get("IsOptimisticConcurrencyEnabled"):
        return Finding(AREA, "ok", "Optimistic concurrency is on for appointments.")
    fix = "Every write needs it: set IsOptimisticConcurrencyEnabled of the appointment table to true."
    return Finding(AREA, "problem", "Optimistic concurrency is off for appointments.", fix)


async def _definition(dataverse: Dataverse, names: str) -> Mapping[str, Any] | None:
    path = f"/EntityDefinitions(LogicalName={quoted('appointment')})"
    try:
        return document(await dataverse.request("GET", path, params={"$select": names}))
    except SyncError:
        return None


async def _columns(dataverse: Dataverse, mapping: MappingFile, saved: Columns | None) -> list[Finding]:
    if saved is not None:
        return compare(mapping, saved)
    try:
        return compare(mapping, await read_live(dataverse, mapping))
    except (RemoteError, TargetMissing) as error:
        fix = "Give the app's user prvReadEntity and prvReadAttribute, or save the metadata and give --metadata FILE."
        return [Finding(AREA, "warning", f"The columns of appointment cannot be read: {describe(error).sentence}", fix)]
