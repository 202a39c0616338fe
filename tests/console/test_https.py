"""The console behind https, as in Azure: the browser speaks it to a front end, which calls the host over plain http."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from sandbox.functions_host import HostNotAtHand
from sandbox.stack import HostKind, Stack
from tests.console.browsing import FLAGS, headless
from tests.console.chromium import chromium, missing, required
from tests.console.front_end import https

NAME = "sync.example"


def stack_on(host: HostKind) -> Stack:
    """A stack on this host, not started; skips where the host is not on this machine."""
    try:
        return Stack("https", host=host)
    except HostNotAtHand as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("host", ["sandbox", "functions"])
def test_the_cookie_stays_with_https(host: HostKind, tmp_path: Path) -> None:
    """Sign in, look around and sign out: the cookie is kept from plain http and bound to this one host."""
    executable = chromium()
    if executable is None:
        (pytest.fail if required() else pytest.skip)(missing())
    flags = (*FLAGS, f"--host-resolver-rules=MAP {NAME} 127.0.0.1")
    with stack_on(host) as stack, headless(executable, flags) as browser:
        port = urlsplit(stack.host_url).port or 0
        with https(port, name=NAME, folder=tmp_path) as outer:
            context = browser.new_context(ignore_https_errors=True)
            page = context.new_page()
            page.goto(f"https://{NAME}:{outer}/api/console/home")
            page.get_by_label("Admin key").fill(stack.access.admin_key)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Overview").wait_for()
            (cookie,) = context.cookies()
            assert (cookie["name"], cookie["secure"], cookie["path"]) == ("__Host-console", True, "/")
            assert cookie["domain"] == NAME
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_label("Admin key")).to_be_visible()
            assert context.cookies() == []
            context.close()
