"""Appointments in Dynamics, written under conditions.

Rules: https://learn.microsoft.com/power-apps/developer/data-platform/webapi/perform-conditional-operations-using-web-api
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import httpx

from shared.dataverse.client import IMPERSONATED, NOT_FOUND, Dataverse, document, not_dataverse, request_id
from shared.dataverse.odata import Wires, from_row, selection, to_body
from shared.errors import Permanent
from shared.meeting.mirror import Actual, State, Written
from shared.meeting.ports import TargetMissing
from shared.meeting.wire import LOOKUP_TABLE

_PRIVILEGE_MEMORY_SECONDS = 3600.0
_STATE = "activityid,statecode,statuscode"


class AppointmentApi:
    """Implements `shared.meeting.ports.Appointments`. `wires`: how each column goes over the wire."""

    def __init__(self, dataverse: Dataverse, *, wires: Wires, clock: Callable[[], float] = time.monotonic) -> None:
        self._dataverse = dataverse
        self._wires = wires
        self._clock = clock
        # What was refused, and until when it is not asked for again; keyed by `createdon` or `createdby:GUID`.
        self._refused: dict[str, float] = {}

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        """Create under our id, with Created On and Created By where the app may set them.

        Both need a privilege of their own (`prvOverrideCreatedOnCreatedBy`, `prvActOnBehalfOfAnotherUser`), and acting
        for a booker leaves only what both may do. A refusal never costs the appointment: it is written without, the
        journal says so, and for an hour the same is not asked for again.
        """
        notes: list[str] = []
        for on, by in self._attempts(created_on, created_by):
            try:
                response = await self._create(appointment_id, columns, created_on=on, created_by=by)
            except Permanent:
                # Most refuse with 403, some with 400; without either wish the next answer counts.
                if not (on or by):
                    raise
                continue
            written = await self._written(appointment_id, response)
            notes = self._learn(response, wanted=(created_on, created_by), used=(on, by))
            return replace(written, notes=tuple(notes))
        raise AssertionError  # the last attempt asks for nothing and returns or raises

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        """Write `columns`, fenced by `version`."""
        return await self._patch(appointment_id, to_body(columns, self._wires), version=version)

    async def set_state(self, appointment_id: str, state: tuple[int, int], *, version: str) -> Written:
        """Write the state, fenced by `version`. Dataverse wants both codes in one request of their own."""
        return await self._patch(appointment_id, {"statecode": state[0], "statuscode": state[1]}, version=version)

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

    def _attempts(self, on: str | None, by: str | None) -> list[tuple[str | None, str | None]]:
        """From all that is wanted down to nothing, without what was refused lately and without repeats."""
        on = None if on and self._is_refused("createdon") else on
        by = None if by and self._is_refused(f"createdby:{by}") else by
        return list(dict.fromkeys([(on, by), (on, None), (None, by), (None, None)]))

    async def _create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> httpx.Response:
        headers = {"If-None-Match": "*", "Prefer": "return=representation"}
        if created_by:
            headers[IMPERSONATED] = created_by
        body = to_body(columns, self._wires)
        if created_on:
            body["overriddencreatedon"] = created_on
        return await self._dataverse.request(
            "PATCH",
            f"/appointments({appointment_id})",
            params={"$select": f"{_STATE},createdon,_createdby_value"},
            body=body,
            headers=headers,
        )

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

    def _learn(
        self,
        response: httpx.Response,
        *,
        wanted: tuple[str | None, str | None],
        used: tuple[str | None, str | None],
    ) -> list[str]:
        """Notes for the journal on what was refused, and on what Dataverse took without a word and ignored."""
        row = document(response)
        notes = []
        for name, want, use in zip(("createdon", "createdby"), wanted, used, strict=True):
            if not want:
                continue
            key = name if name == "createdon" else f"{name}:{want}"
            shown = row.get("createdon" if name == "createdon" else "_createdby_value", "")
            if not use:
                self._refused.setdefault(key, self._clock() + _PRIVILEGE_MEMORY_SECONDS)
                lacks = "the app's user lacks the privilege for it"
                lacks += ", or the booker one that this create needs" if name == "createdby" else ""
                notes.append(f"{name} was refused; {lacks}.")
            elif shown and str(shown)[:19].lower() != use[:19].lower():
                notes.append(f"{name} was ignored by Dynamics.")
        return notes

    def _is_refused(self, key: str) -> bool:
        until = self._refused.get(key)
        if until is not None and until < self._clock():
            del self._refused[key]
            return False
        return until is not None


def _state(row: Mapping[str, Any]) -> State:
    return int(row.get("statecode") or 0), int(row.get("statuscode") or 1)
