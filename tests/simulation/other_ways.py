"""Other ways in which the ports may keep their promises, which must do no harm either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.meeting.mirror import Written
from tests.simulation.scenario import Ports
from tests.simulation.seeded_bugs import PassedOn


class _AsksForTheVersion(PassedOn):
    """Dynamics answers a write without the row, so the version is read; somebody may write in between."""

    async def create(
        self, appointment_id: str, columns: Mapping[str, Any], *, created_on: str | None, created_by: str | None
    ) -> Written:
        await super().create(appointment_id, columns, created_on=created_on, created_by=created_by)
        return await self._version(appointment_id)

    async def update(self, appointment_id: str, columns: Mapping[str, Any], *, version: str) -> Written:
        await super().update(appointment_id, columns, version=version)
        return await self._version(appointment_id)

    async def _version(self, appointment_id: str) -> Written:
        actual = await self.read(appointment_id, ())
        return Written(actual.version if actual else "")


def asks_for_the_version(ports: Ports) -> Ports:
    """The version of a write is read after it."""
    return replace(ports, appointments=_AsksForTheVersion(ports.appointments))
