"""`erase`: forget one person or one meeting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from ops.report import FOUND, USAGE, AsJson, Refused, reporting
from ops.settings import SettingsFile, environment, running
from shared.admin.erase import Found

_CALLED = {
    "correlations": "events in the journal",
    "deadletters": "dead letters",
    "directory": "people in the cache",
    "spill": "events in the overflow table",
    "unverified": "deliveries that are not verified",
}


def erase(
    *,
    prospect: Annotated[str, typer.Option(help="The prospect with this id in Outreach.", metavar="ID")] = "",
    email: Annotated[str, typer.Option(help="Whoever has this address.", metavar="ADDRESS")] = "",
    meeting: Annotated[str, typer.Option(help="This meeting: 5, or calendarEvent:17.", metavar="ID")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it only says what it would remove.")] = False,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Forget one person, or one meeting.

    Removes all that mentions them from the app's tables. Of a meeting its ids stay, so that a late event finds its
    appointment; what is in Dynamics stays, and is named. Delete the person in Outreach first: an event that names them
    brings them back. It needs the app's settings, and reaches for the storage account only. Exit code 1: there is
    something, and --yes was not given, or events wait in the queue that nobody has looked at.
    """
    with reporting(as_json=as_json) as report:
        if sum(map(bool, (prospect.strip(), email.strip(), meeting.strip()))) != 1:
            raise Refused("Give one of --prospect, --email, --meeting.", code="nothing_named", exit_code=USAGE)
        values = environment(settings)
        wanted = {"prospect": prospect.strip(), "address": email.strip(), "meeting": meeting.strip()}
        found, waiting, url = asyncio.run(_erase(values, wanted, yes=yes))
        document = {
            "meetings": [
                {"meetingId": key, "appointmentId": one or None, "appointmentUrl": _link(url, one)}
                for key, one in sorted(found.appointments.items())
            ],
            "rows": dict(found.rows),
            "waiting": waiting,
            "erased": yes,
        }
        report.show(document, lambda console: _say(document, console))
        if waiting or (found.anything and not yes):
            raise typer.Exit(FOUND)


async def _erase(values: Mapping[str, str], wanted: Mapping[str, str], *, yes: bool) -> tuple[Found, int, str]:
    async with running(values) as runtime:
        await runtime.owner.insist()
        eraser = runtime.eraser
        if wanted["meeting"]:
            subject = await eraser.meeting(wanted["meeting"])
        else:
            subject = await eraser.person(prospect=wanted["prospect"], address=wanted["address"])
        found = await (eraser.erase(subject) if yes else eraser.look(subject))
        return found, await runtime.waiting(), runtime.settings.dataverse_url


def _link(url: str, appointment_id: str) -> str | None:
    return f"{url}/main.aspx?pagetype=entityrecord&etn=appointment&id={appointment_id}" if appointment_id else None


def _say(document: Mapping[str, Any], console: Console) -> None:
    verb = "Removed" if document["erased"] else "Would remove"
    meetings = document["meetings"]
    console.print(f"{verb}: {len(meetings)} meetings, all but their ids.")
    for name, many in document["rows"].items():
        console.print(f"{verb}: {many} {_CALLED[name]}.")
    if meetings:
        console.print("What is in Dynamics stays: contacts and leads, and these appointments.")
    for one in meetings:
        console.print(f"  {one['meetingId']}  {one['appointmentUrl'] or 'no appointment'}")
    if document["waiting"]:
        console.print(
            f"About {document['waiting']} messages wait in the queues. Run it again when they are carried out."
        )
    if not document["erased"] and (meetings or any(document["rows"].values())):
        console.print("Add --yes to do it.")
