"""A real browser over a running stack, as an admin uses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.outreach.deliveries import Delivery
from sandbox.stack import Stack
from tests.patience import PATIENCE
from tests.running_app import RunningApp

# Without these it asks for networks that are not there, many times over.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

MILLISECONDS: Final = 1000 * PATIENCE


@contextmanager
def headless(executable: str, flags: Sequence[str] = FLAGS) -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(flags), timeout=MILLISECONDS)
        expect.set_options(timeout=MILLISECONDS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Desk:
    """A stack with the means to send events to it and to look at it."""

    stack: Stack
    browser: Browser

    def address(self, page: str) -> str:
        """Where a page of the console is."""
        return f"{self.stack.host_url}/api/console/{page}"

    def deliver(self, delivery: Delivery | bytes) -> dict[str, Any]:
        """Send an event and wait until it is carried out; returns its journal."""
        return RunningApp(self.stack).carry_out(delivery)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Within it a plug-in of Dynamics refuses whatever is written, and says nothing of a column."""
        RunningApp(self.stack).dataverse("plugins", {"plugins": [{"message": "No."}]})
        yield
        RunningApp(self.stack).dataverse("plugins", {})

    @contextmanager
    def signed_in(self, **options: Any) -> Iterator[Page]:
        """A page of a browser that has signed in; `options` as Playwright's `new_context` takes them."""
        with self.page(**options) as page:
            page.goto(self.address("home"))
            page.get_by_label("Admin key").fill(self.stack.access.admin_key)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Overview").wait_for()
            yield page

    @contextmanager
    def page(self, **options: Any) -> Iterator[Page]:
        """A page of a fresh browser. An error of a script on it, or a dialog, is an error of the test."""
        context = self.browser.new_context(**options)
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("console", lambda message: wrong.extend(_refused_by_policy(message.text)))
        yield page
        context.close()
        assert wrong == []


def _refused_by_policy(message: str) -> list[str]:
    """What the page's own policy had to stop, which no page of ours may try."""
    return [message] if "Content Security Policy" in message else []
