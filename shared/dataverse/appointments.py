"""Appointments in Dynamics, written under conditions.

Rules: https://learn.microsoft.com/power-apps/developer/data-platform/webapi/perform-conditional-operations-using-web-api
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx

from shared.dataverse.client import IMPERSONATED, NOT_FOUND, Dataverse, document, not_dataverse, request_id
from shared.dataverse.odata import Wires, filter_for, from_row, selection, to_body
from shared.dataverse.refusals import (
    CREATED_BY,
    CREATED_ON,
    Asked,
    guesses,
    guesses_of_state,
    refused_for_all,
    why,
)
from shared.meeting.adopt import Candidate, Search
from shared.meeting.identity import may_be_ours
from shared.meeting.mirror import Actual, State, Written
from shared.meeting.ports import Refused, TargetMissing
from shared.meeting.wire import LOOKUP_TABLE

_PRIVILEGE_MEMORY_SECONDS = 3600.0
_STATE = "activityid,statecode,statuscode"
_ORIGIN = ("createdon", "_createdby_value", "globalobjectid")
# More appointments of one owner at one time with one subject there are not.
_MOST_FOUND = "50"


class AppointmentApi:
    """Implements `shared.meeting.ports.Appointments`. `wires`: how each column goes over the wire."""

    def __init__(self, dataverse: Dataverse, *, wires: Wires, clock: Callable[[], float] = time.monotonic) -> None:
        self._dataverse = dataverse
        self._wires = wires
        self._clock = clock
        # What the app's user may not set, of Created On and Created By, and until when it is not asked for again.
        self._refused: dict[str, float] = {}

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        """Create under our id, with Created On and Created By where the app may set them.

        Both need a privilege of their own (`prvOverrideCreatedOnCreatedBy`, `prvActOnBehalfOfAnotherUser`). Where a
        refusal says that the app's user lacks it, the same is asked for by nobody for an hour.
        """
        on = None if self._is_refused(CREATED_ON) else created_on
        by = None if self._is_refused(CREATED_BY) else created_by
        asked = Asked(columns, self._wires, on, by)
        with self._understanding(asked):
            response = await self._create(appointment_id, asked)
        written = await self._written(appointment_id, response)
        wanted = {CREATED_ON: (created_on, on, "createdon"), CREATED_BY: (created_by, by, "_createdby_value")}
        return _with_wishes(written, document(response), wanted)

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        """Write `columns`, fenced by `version`."""
        with self._understanding(Asked(columns, self._wires)):
            return await self._patch(appointment_id, to_body(columns, self._wires), version=version)

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        """Write the state, fenced by `version`. Dataverse wants both codes in one request of their own."""
        with self._understanding(None):
            body = {"statecode": state[0], "statuscode": state[1]}
            return await self._patch(appointment_id, body, version=version)

    async def read(self, appointment_id: str, columns: Collection[str]) -> Actual | None:
        """The appointment as it is now, or None."""
        try:
            response = await self._dataverse.request(
                "GET",
                f"/appointments({appointment_id})",
                params=selection(columns, self._wires),
                headers={"Prefer": f'odata.include-annotations="{LOOKUP_TABLE}"'},
            )
        except TargetMissing:
            return None
        row = document(response)
        if "@odata.etag" not in row:
            raise not_dataverse(response)
        return Actual(str(row["@odata.etag"]), from_row(row, columns, self._wires), _state(row))

    async def find(self, wanted: Search, columns: Collection[str]) -> list[Candidate]:
        """The open appointments that fit, with these columns; none that we made. One request.

        Dynamics compares text without regard to case.
        """
        asked = selection(columns, self._wires)
        asked["$select"] = ",".join(sorted({*asked["$select"].split(","), *_ORIGIN}))
        response = await self._dataverse.request(
            "GET",
            "/appointments",
            params={**asked, "$filter": filter_for(wanted, self._wires), "$orderby": "createdon", "$top": _MOST_FOUND},
            headers={"Prefer": f'odata.include-annotations="{LOOKUP_TABLE}"'},
        )
        rows = document(response).get("value")
        if not isinstance(rows, list):
            raise not_dataverse(response)
        return [self._candidate(row, columns) for row in rows if not may_be_ours(str(row["activityid"]))]

    def _candidate(self, row: Mapping[str, Any], columns: Collection[str]) -> Candidate:
        # Of many rows Dataverse may give the first parties only, and a link to the rest.
        whole = [name for name in columns if f"{name}@odata.nextLink" not in row]
        actual = Actual(str(row["@odata.etag"]), from_row(row, whole, self._wires), _state(row))
        made_by, made_on = str(row.get("_createdby_value") or ""), str(row.get("createdon") or "")
        return Candidate(
            str(row["activityid"]).lower(), actual, str(row.get("globalobjectid") or ""), made_by.lower(), made_on
        )

    async def _create(self, appointment_id: str, asked: Asked) -> httpx.Response:
        headers = {"If-None-Match": "*", "Prefer": "return=representation"}
        if asked.created_by:
            headers[IMPERSONATED] = asked.created_by
        body = to_body(asked.columns, self._wires)
        if asked.created_on:
            body[CREATED_ON] = asked.created_on
        return await self._dataverse.request(
            "PATCH",
            f"/appointments({appointment_id})",
            params={"$select": f"{_STATE},createdon,_createdby_value"},
            body=body,
            headers=headers,
        )

    @contextmanager
    def _understanding(self, asked: Asked | None) -> Iterator[None]:
        """Say of a refusal what it is about, and remember what it says of everybody. `asked`: None: for a state."""
        try:
            yield
        except (Refused, TargetMissing) as error:
            error.why = why(error.code)
            error.guesses = guesses_of_state(error.code) if asked is None else guesses(error.code, error.said, asked)
            if (wish := refused_for_all(error.code, error.said)) and error.guesses == (frozenset({wish}),):
                self._refused[wish] = self._clock() + _PRIVILEGE_MEMORY_SECONDS
            raise

    async def _patch(self, appointment_id: str, body: Mapping[str, Any], *, version: str) -> Written:
        response = await self._dataverse.request(
            "PATCH",
            f"/appointments({appointment_id})",
            params={"$select": _STATE},
            body=body,
            headers={"If-Match": version, "Prefer": "return=representation"},
        )
        return await self._written(appointment_id, response)

    async def _written(self, appointment_id: str, response: httpx.Response) -> Written:
        """The new version; where the answer has no representation it is read, and a later change is then our fence."""
        row = document(response)
        version = row.get("@odata.etag") or response.headers.get("etag", "")
        state = _state(row) if "statecode" in row else None
        if not version:
            actual = await self.read(appointment_id, ())
            if actual is None:
                raise TargetMissing(NOT_FOUND)
            version, state = actual.version, actual.state
        return Written(version, request_id=request_id(response), state=state)

    def _is_refused(self, key: str) -> bool:
        until = self._refused.get(key)
        if until is not None and until < self._clock():
            del self._refused[key]
            return False
        return until is not None


def _state(row: Mapping[str, Any]) -> State:
    return int(row.get("statecode") or 0), int(row.get("statuscode") or 1)


def _with_wishes(
    written: Written, row: Mapping[str, Any], wanted: Mapping[str, tuple[str | None, str | None, str]]
) -> Written:
    """`written` with what became of Created On and Created By: `wanted`, what was asked for, where the answer has it.

    Dataverse may take either without a word and ignore it.
    """
    notes, without = [], set()
    for name, (want, asked, shown) in wanted.items():
        if want and not asked:
            notes.append(f"{name} was not asked for: Dynamics refused it lately, the app's user lacks the privilege.")
            without.add(name)
        elif asked and row.get(shown) and str(row[shown])[:19].lower() != asked[:19].lower():
            notes.append(f"{name} was ignored by Dynamics.")
            without.add(name)
    return replace(written, notes=tuple(notes), without=frozenset(without))
