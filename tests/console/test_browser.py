"""The console in a real browser over the running stack: what an admin does, what an attacker tries, who can read it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from sandbox.outreach.deliveries import MeetingScript
from sandbox.stack import HostKind, Stack
from tests.console.browsing import Desk, headless
from tests.console.chromium import chromium, missing, required
from tests.patience import PATIENCE

PAGES = (
    "home",
    "meeting?id=1",
    "meeting?id=2",
    "meeting?id=3",
    "deadletters",
    "parked",
    "preview",
    "find?q=title",
    "find?q=99999",
    "nowhere",
)

ATTACK = '"\'><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>{{7*7}}'
# An id may hold no spaces; slashes do as well in a tag.
ATTACK_ID = ATTACK.replace(" ", "/")


@pytest.fixture(scope="module")
def desk(host_kind: HostKind) -> Iterator[Desk]:
    """One stack with some events in it, and one browser, for this module."""
    executable = chromium()
    if executable is None:
        (pytest.fail if required() else pytest.skip)(missing())
    with Stack("console", host=host_kind) as stack, headless(executable) as browser:
        desk = Desk(stack, browser)
        script = MeetingScript(1, now=datetime.now(UTC) - timedelta(minutes=4))
        desk.deliver(script.booked(title="First title", start=datetime.now(UTC) + timedelta(days=1), opportunity=301))
        desk.deliver(script.changed(title="Second title"))
        with desk.refusing():
            desk.deliver(MeetingScript(2).booked())
        desk.deliver(MeetingScript(3).booked(prospects=()))
        yield desk


def test_signing_in(desk: Desk) -> None:
    """A wrong key is told so; the right one opens the page that was asked for, and stays nowhere a page can read."""
    with desk.page() as page:
        page.goto(desk.address("meeting?id=1"))
        page.get_by_label("Admin key").fill("not-the-key")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("This is not the admin key.")
        page.get_by_label("Admin key").fill(desk.stack.access.admin_key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("meeting:1")
        assert desk.stack.access.admin_key not in page.url
        assert (
            page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)") == "{}{}"
        )
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.get_by_role("button", name="Sign out").click()
        page.goto(desk.address("home"))
        expect(page.get_by_label("Admin key")).to_be_visible()


def test_everything_without_javascript(desk: Desk) -> None:
    """With the key in the address once, every page works without a script; the key does not stay in the address."""
    with desk.page(java_script_enabled=False) as page:
        page.goto(f"{desk.stack.host_url}/api/console?code={desk.stack.access.admin_key}")
        assert page.url == desk.address("home")
        page.get_by_label("Look up a meeting").fill("1")
        page.get_by_role("button", name="Look up").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("meeting:1")
        page.get_by_role("link", name="Preview").click()
        page.get_by_label("Delivery (JSON)").fill("{")
        page.get_by_role("button", name="Show what it would do").click()
        expect(page.get_by_role("alert")).to_contain_text("JSON")


def test_state_at_a_glance(desk: Desk) -> None:
    """The overview counts what was accepted and what became of it, and draws the lag."""
    with desk.signed_in() as page:
        tile = page.locator(".tiles > div")
        expect(tile.filter(has_text="Dead letters").locator("dd").first).to_have_text("1")
        expect(tile.filter(has_text="Parked").locator("dd").first).to_have_text("1")
        deadline = time.monotonic() + PATIENCE
        while not page.locator("svg.chart").count() and time.monotonic() < deadline:
            page.wait_for_timeout(1000)  # the sums are stored some seconds after an event
            page.reload()
        expect(page.locator("svg.chart")).to_be_visible()
        expect(page.get_by_text("changed Dynamics, on average")).to_be_visible()
        page.get_by_text("The numbers").click()
        expect(page.get_by_role("table").get_by_role("row")).not_to_have_count(1)


def test_search_by_every_id(desk: Desk) -> None:
    """A meeting id, a correlation id, an appointment id and the appointment's address all lead to the meeting."""
    with desk.signed_in() as page:
        look_up(page, "meeting:1")
        link = page.get_by_role("link", name="Open the appointment in Dynamics")
        address = str(link.get_attribute("href"))
        assert address.startswith(desk.stack.dataverse.url)
        appointment = address.rpartition("id=")[2]
        for text in ("1", appointment, f"{{{appointment.upper()}}}", address):
            look_up(page, text)
            expect(page.get_by_role("heading", level=1)).to_have_text("meeting:1")
        page.get_by_role("link", name="meeting.updated").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("meeting.updated")
        correlation = page.url.rpartition("id=")[2]
        look_up(page, correlation)
        expect(page.get_by_role("heading", level=1)).to_have_text("meeting.updated")
        for text in ("99999", "00000000-0000-4000-8000-000000000000", ATTACK):
            look_up(page, text)
            expect(page.get_by_role("heading", level=1)).to_have_text("Nothing found")


def test_a_meetings_page(desk: Desk) -> None:
    """Each field with the event that set it, each event with what it wrote."""
    with desk.signed_in() as page:
        page.goto(desk.address("meeting?id=1"))
        title = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Title", exact=True))
        expect(title).to_contain_text("Second title")
        expect(title.get_by_role("link")).to_have_text("meeting.updated")
        start = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Start Time"))
        expect(start.get_by_role("link")).to_have_text("meeting.created")
        latest = page.locator(".line > li").first
        expect(latest).to_contain_text("Appointment changed")
        expect(latest.locator("code")).to_have_text("subject")


def test_a_parked_meeting_says_what_it_waits_for(desk: Desk) -> None:
    """The reason why nothing is in Dynamics stands on top."""
    with desk.signed_in() as page:
        page.goto(desk.address("meeting?id=3"))
        expect(page.get_by_text("It waits:")).to_be_visible()


def test_replay(desk: Desk) -> None:
    """A dead letter tells why in words; once the cause is mended, its button sends it again and it is gone."""
    with desk.signed_in() as page:
        mend = MeetingScript(4, now=datetime.now(UTC))
        with desk.refusing():
            desk.deliver(mend.booked())
            page.goto(desk.address("deadletters"))
            dead_letter = page.get_by_role("listitem").filter(has_text="meeting:4")
            expect(dead_letter).to_contain_text("refused the appointment as it was sent")
            dead_letter.get_by_role("button", name="Send the event of meeting:4 again").click()
            expect(page.get_by_role("status")).to_contain_text("1 sent again")
            again = page.get_by_role("listitem").filter(has_text="meeting:4")
            deadline = time.monotonic() + PATIENCE
            while not again.count() and time.monotonic() < deadline:
                page.wait_for_timeout(250)  # it fails again: nothing was mended
                page.goto(desk.address("deadletters"))
            expect(again).to_be_visible()
        desk.deliver(mend.changed(title="Mended"))
        page.goto(desk.address("deadletters"))
        expect(page.get_by_role("listitem").filter(has_text="meeting:4")).to_have_count(0)


def test_dismiss(desk: Desk) -> None:
    """What can never succeed goes with a reason, without a script; its event says so, and its meeting needs nobody."""
    address = f"{desk.stack.host_url}/api/console?code={desk.stack.access.admin_key}"
    event = desk.deliver(MeetingScript(9).booked(startTime="nonsense"))["correlationId"]
    with desk.page(java_script_enabled=False) as page:
        page.goto(address)
        page.goto(desk.address("deadletters"))
        dead_letter = page.get_by_role("listitem").filter(has_text="meeting:9")
        dead_letter.get_by_text("Dismiss …").click()
        button = dead_letter.get_by_role("button", name="Dismiss the event of meeting:9")
        button.click()
        expect(dead_letter).to_be_visible()  # the browser asks for the reason first
        reason = dead_letter.get_by_label("Why it need not be carried out")
        expect(reason).to_have_attribute("required", "")
        reason.fill(ATTACK)
        button.click()
        expect(page.get_by_role("status")).to_contain_text("1 dismissed")
        expect(page.get_by_role("listitem").filter(has_text="meeting:9")).to_have_count(0)
    with desk.signed_in() as page:
        page.goto(desk.address(f"event?id={event}"))
        expect(page.get_by_text("Dismissed by a person")).to_be_visible()
        expect(page.get_by_text("Dismissed:")).to_be_visible()
        expect(page.locator("main")).to_contain_text(ATTACK)
        expect(page.locator("main")).to_contain_text("an ISO 8601 time was expected")
        unharmed(page)
        accessible(page)
        page.goto(desk.address("meeting?id=9"))
        expect(page.get_by_text("Dead letter", exact=True)).to_have_count(0)
        expect(page.locator(".line")).to_contain_text(ATTACK)
        unharmed(page)
        accessible(page)


def test_preview(desk: Desk) -> None:
    """A pasted delivery shows column by column what it would write and why, and writes nothing."""
    with desk.signed_in() as page:
        page.goto(desk.address("preview"))
        page.get_by_label("Delivery (JSON)").fill(MeetingScript(900).booked(title="Only looking").body.decode())
        page.get_by_role("button", name="Show what it would do").click()
        expect(page.get_by_text("A new appointment would be made.")).to_be_visible()
        row = page.get_by_role("row").filter(has_text="subject")
        expect(row).to_contain_text("Only looking")
        expect(row).to_contain_text("attributes.title")
        expect(page.get_by_text("Outreach is connected to it").first).to_be_visible()
        expect(page.get_by_label("Request 1")).to_contain_text("If-None-Match: *")
        page.goto(desk.address("meeting?id=900"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Nothing found")


def test_attack_in_every_field(desk: Desk) -> None:
    """Whatever stands in a delivery, an id or an address is shown as text: no script of it runs, no element appears."""
    attacked = json.loads(MeetingScript(5).booked(title=ATTACK, description=ATTACK * 9, location=ATTACK).body)
    attacked["data"]["relationships"]["prospects"] = [{"type": "prospect", "id": ATTACK_ID}]
    attacked["data"]["relationships"]["opportunity"] = {"type": ATTACK, "id": ATTACK_ID}
    named = json.loads(json.dumps(attacked))
    named["data"]["id"] = ATTACK_ID
    named["meta"]["eventName"] = f"meeting.{ATTACK}"
    broken = json.loads(MeetingScript(6).booked(startTime=ATTACK).body)
    journals = [desk.deliver(json.dumps(document).encode()) for document in (attacked, named, broken)]
    with desk.signed_in() as page:
        pages = ["home", "deadletters", "meeting?id=5", "meeting?id=6", "parked", "find?q=onerror", "find?q=prospect 1"]
        pages += [f"event?id={journal['correlationId']}" for journal in journals]
        for address in pages:
            page.goto(desk.address(address))
            unharmed(page)
        for name in (
            "find?q=",
            "meeting?id=",
            "event?id=",
            "deadletters?replayed=",
            "deadletters?dismissed=",
            "parked?id=",
            "",
        ):
            page.goto(desk.address(name) + str(httpx.QueryParams({"": ATTACK}))[1:])
            unharmed(page)
        page.goto(desk.address("meeting?id=5"))
        expect(page.get_by_role("row").filter(has_text="Title").first).to_contain_text(ATTACK)
        for pasted in (json.dumps(named), ATTACK):
            page.goto(desk.address("preview"))
            page.get_by_label("Delivery (JSON)").fill(pasted)
            page.get_by_role("button", name="Show what it would do").click()
            page.get_by_role("heading", name="Preview").wait_for()
            unharmed(page)


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_everybody_can_use_it(desk: Desk, width: int, scheme: str) -> None:
    """axe-core finds nothing to mend on any page, light or dark, and a narrow phone need not scroll sideways."""
    with desk.signed_in(color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        event = desk.deliver(MeetingScript(7).booked())["correlationId"]
        for address in (*PAGES, f"event?id={event}"):
            page.goto(desk.address(address))
            accessible(page)
        page.goto(desk.address("deadletters"))
        page.get_by_text("Dismiss …").first.click()
        page.get_by_role("button", name="Dismiss the event").first.wait_for()
        accessible(page)
        page.goto(desk.address("preview"))
        page.get_by_label("Delivery (JSON)").fill(MeetingScript(8).booked().body.decode())
        page.get_by_role("button", name="Show what it would do").click()
        page.get_by_role("heading", name="Column by column").wait_for()
        accessible(page)
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Admin key").wait_for()
        accessible(page)


def test_by_keyboard(desk: Desk) -> None:
    """The first stop skips to the content, and a meeting can be looked up without a mouse."""
    with desk.signed_in() as page:
        page.goto(desk.address("home"))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Look up a meeting")).to_be_focused()
        page.keyboard.type("1")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("meeting:1")


def look_up(page: Page, text: str) -> None:
    """Search from the overview."""
    page.goto(page.url.partition("/api/")[0] + "/api/console/home")
    page.get_by_label("Look up a meeting").fill(text)
    page.get_by_role("button", name="Look up").click()


def unharmed(page: Page) -> None:
    """No script of an attacker ran, and none of their elements is on the page."""
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, script, iframe, object, [onerror]").count() == 0
    assert "49" not in page.locator("h1").inner_text()


def accessible(page: Page) -> None:
    """Nothing for axe-core to complain about, and nothing beyond the right edge."""
    results = Axe().run(page)
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
    overflow = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
    assert overflow <= 0, page.url
