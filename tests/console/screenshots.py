"""Makes the pictures of docs/console.md: `python -m tests.console.screenshots`."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page

from sandbox.outreach.deliveries import MeetingScript
from sandbox.stack import Stack
from shared.meeting.outcome import OutcomeKind
from shared.settings import StorageSettings
from shared.storage.account import Table, table_service
from shared.storage.statistics import SLOT, TABLE, Statistics, slot_of
from tests.console.browsing import Desk, headless
from tests.console.chromium import chromium, missing

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
TITLES = ("Intro call", "Demo for Example Ltd", "Pricing and next steps", "Quarterly review")
DESKTOP, PHONE = {"width": 1000, "height": 780}, {"width": 390, "height": 780}


def fill(desk: Desk) -> None:
    """Some meetings as they may be on an ordinary morning."""
    now = datetime.now(UTC)
    soon = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    for number in range(1, 12):
        script = MeetingScript(number, now=now - timedelta(seconds=60 + 2 * number))
        desk.deliver(script.booked(title=TITLES[number % 4], start=soon + timedelta(hours=number), opportunity=301))
    script = MeetingScript(20, now=now - timedelta(seconds=150))
    desk.deliver(script.booked(title="Intro call", start=soon, prospects=(101, 104), location="Video call"))
    desk.deliver(script.changed(title="Intro call with pricing"))
    desk.deliver(script.rescheduled(soon + timedelta(hours=2)))
    desk.deliver(MeetingScript(21).booked(startTime="nonsense"))
    desk.deliver(MeetingScript(22).booked(startTime="tomorrow"))
    desk.deliver(MeetingScript(23).booked(prospects=()))


async def pretend_a_day(storage: str) -> None:
    """Sums of a day that did not happen: quiet at night, busy from morning on, Dynamics away for half an hour."""
    settings = StorageSettings(connection_string=storage)
    now = datetime.now(UTC)
    chance = random.Random(7)  # noqa: S311 - a picture, not a secret
    async with table_service(settings, None) as service:
        for back in range(1, 96):
            slot = slot_of(now) - back * SLOT
            statistics = Statistics(Table(service, TABLE), now=lambda slot=slot: slot)  # type: ignore[misc]
            events = chance.randint(6, 30) if 6 < slot.hour < 18 else chance.randint(0, 2)
            away = {20: 1500.0, 21: 600.0}.get(back, 0.0)
            for _ in range(events):
                statistics.record(OutcomeKind.UPDATED, lag=away * chance.random() + chance.lognormvariate(0.9, 0.5))
            await statistics.aclose()


def with_chart(desk: Desk, page: Page) -> None:
    """The overview, as soon as its chart has something to show."""
    page.goto(desk.address("home"))
    for _ in range(30):
        if page.locator("svg.chart").count():
            return
        page.wait_for_timeout(1000)
        page.reload()
    sys.exit("The chart has nothing to show.")


def main() -> None:
    """Write the pictures."""
    executable = chromium()
    if executable is None:
        sys.exit(missing())
    IMAGES.mkdir(parents=True, exist_ok=True)
    with Stack("pictures") as stack:
        asyncio.run(pretend_a_day(stack.azurite.connection_string))
        with headless(executable) as browser:
            take(Desk(stack, browser))


def take(desk: Desk) -> None:
    """Fill the stack, visit the pages, keep what they look like."""
    fill(desk)
    with desk.signed_in(viewport=DESKTOP) as page:
        with_chart(desk, page)
        page.screenshot(
            path=IMAGES / "console-overview.png", clip={"x": 0, "y": 0, "width": 1000, "height": 960}, full_page=True
        )
        for name, address in (("meeting", "meeting?id=20"), ("found", "find?q=demo"), ("deadletters", "deadletters")):
            page.goto(desk.address(address))
            page.screenshot(path=IMAGES / f"console-{name}.png")
        page.goto(desk.address("preview"))
        page.get_by_label("Delivery (JSON)").fill(MeetingScript(30).booked().body.decode())
        page.get_by_role("button", name="Show what it would do").click()
        page.get_by_role("heading", name="Column by column").scroll_into_view_if_needed()
        page.screenshot(path=IMAGES / "console-preview.png")
    with desk.signed_in(viewport=PHONE, color_scheme="dark") as page:
        with_chart(desk, page)
        page.screenshot(path=IMAGES / "console-overview-phone-dark.png")


if __name__ == "__main__":
    main()
