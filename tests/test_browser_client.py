"""The client keeps the cookies that browsers keep, in the form in which either host writes them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.browser_client import browser_client

BY_THE_REAL_HOST = "console=a; max-age=28800; domain=; path=/; samesite=strict; httponly"
BY_OURS = "console=a; Max-Age=28800; Path=/; SameSite=Strict; HttpOnly"


class _Cookies(BaseHTTPRequestHandler):
    """Answers with the cookie that the path's number names."""

    def do_GET(self) -> None:
        """Set the cookie, and say which came along."""
        self.send_response(204)
        self.send_header("Set-Cookie", (BY_THE_REAL_HOST, BY_OURS)[int(self.path[-1])])
        self.send_header("Came-Along", self.headers.get("Cookie", ""))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Cookies)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("which", [0, 1], ids=["by the real host", "by ours"])
def test_a_cookie_is_kept_and_sent_back(address: str, which: int) -> None:
    """An attribute without a value is no reason to drop it."""
    with browser_client(address) as client:
        client.get(f"/{which}")
        assert client.cookies["console"] == "a"
        assert client.get(f"/{which}").headers["Came-Along"] == "console=a"
