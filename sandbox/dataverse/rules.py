"""The business rules of an appointment: schedule, state, closed rows and parties.

They see the row as it would become, after the payload is known to fit the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sandbox.dataverse.errors import (
    DURATION_MISMATCH,
    INVALID_ARGUMENT,
    INVALID_STATE,
    INVALID_STATUS_FOR_STATE,
    PARTY_TYPE,
    READ_ONLY_ROW,
    SCHEDULE_NOT_SET,
    ODataError,
)
from sandbox.dataverse.payload import PartyChange
from sandbox.dataverse.schema import (
    APPOINTMENT_STATES,
    ATTENDEE_MASKS,
    CLOSED_STATES,
    DEFAULT_STATUS,
    ORGANIZER,
    STATE_LABELS,
)
from sandbox.dataverse.store import Switches
from sandbox.dataverse.values import JsonValue

_ATTENDEES = ("account", "contact", "lead", "systemuser")


def schedule(values: Mapping[str, JsonValue], sent: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the duration that follows from start and end; refuse a schedule that contradicts itself."""
    start, end = values["scheduledstart"], values["scheduledend"]
    if not isinstance(start, str) or not isinstance(end, str):
        raise ODataError("Scheduled End and Scheduled Start must both be set.", code=SCHEDULE_NOT_SET)
    minutes = int((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() // 60)
    if minutes < 0:
        raise ODataError("The end of the appointment is before its start.", code=INVALID_ARGUMENT)
    wanted = sent.get("scheduleddurationminutes")
    if wanted is not None and wanted != minutes:
        raise ODataError(
            f"The duration {wanted} is not what start and end give, {minutes}; send start and end only.",
            code=DURATION_MISMATCH,
        )
    return {"scheduleddurationminutes": minutes}


def state(values: Mapping[str, JsonValue], sent: Mapping[str, JsonValue], *, row_id: str) -> dict[str, JsonValue]:
    """Return statecode and statuscode after the change; refuse a pair that does not belong together."""
    new_state = sent.get("statecode", values["statecode"])
    status = sent.get("statuscode")
    if status is None:
        moved = "statecode" in sent and new_state != values["statecode"]
        status = DEFAULT_STATUS[int(new_state or 0)] if moved else values["statuscode"]
    if APPOINTMENT_STATES[int(status or 0)] != new_state:
        label = STATE_LABELS[int(new_state or 0)]
        raise ODataError(
            f"{status} is not a valid status code for state code AppointmentState.{label} on appointment with Id "
            f"{row_id}; send statecode and statuscode together.",
            code=INVALID_STATUS_FOR_STATE,
        )
    return {"statecode": new_state, "statuscode": status}


def closed_row(values: Mapping[str, JsonValue], change: Iterable[str], *, switches: Switches) -> None:
    """Refuse to write to a completed or canceled appointment, other than to reopen or re-close it."""
    if switches.closed_rows == "lenient" or values["statecode"] not in CLOSED_STATES:
        return
    others = sorted(set(change) - {"statecode", "statuscode"})
    if others:
        raise ODataError(
            f"The object cannot be updated because it is read-only ({others}); reopen it, write, close it again.",
            code=INVALID_STATE if switches.closed_rows == "strict_state" else READ_ONLY_ROW,
        )


def attendees(parties: Iterable[PartyChange], *, switches: Switches) -> None:
    """Refuse parties that an appointment cannot have: wrong role, wrong kind of person, the same person twice."""
    seen: set[tuple[object, ...]] = set()
    organizers = 0
    for party in parties:
        mask = party.columns.get("participationtypemask")
        if mask not in ATTENDEE_MASKS:
            raise ODataError(
                f"The participation type mask {mask} is not valid for an appointment; use {sorted(ATTENDEE_MASKS)}.",
                code=PARTY_TYPE,
            )
        address = party.columns.get("addressused")
        if party.party is None and not address:
            raise ODataError("A party needs a person or 'addressused'.", code=INVALID_ARGUMENT)
        if party.party is None and switches.unresolved_parties == "refuse":
            raise ODataError("This organisation takes no unresolved addresses as parties.", code=PARTY_TYPE)
        kinds = ("systemuser",) if mask == ORGANIZER else _ATTENDEES
        if (party.party is None and mask == ORGANIZER) or (party.party is not None and party.party.table not in kinds):
            raise ODataError(f"Cannot create activity party of this type; mask {mask} takes {kinds}.", code=PARTY_TYPE)
        person = (mask, party.party) if party.party is not None else (mask, str(address).casefold())
        if person in seen:
            raise ODataError(f"The same party is listed twice under mask {mask}.", code=INVALID_ARGUMENT)
        seen.add(person)
        organizers += mask == ORGANIZER
    if organizers > 1:
        raise ODataError("An appointment has one organizer.", code=PARTY_TYPE)
