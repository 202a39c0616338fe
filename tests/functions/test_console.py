"""What the console's triggers make of a request."""

from __future__ import annotations

import azure.functions as func
import pytest

from functions.console import _request


def cookie_is_secure(url: str) -> bool:
    """Whether a cookie set in answer to a request to `url` is kept from plain http."""
    return not _request(func.HttpRequest("GET", url, headers={}, params={}, route_params={}, body=b"")).loopback


@pytest.mark.parametrize(
    "url",
    [
        "https://app.azurewebsites.net/api/console",
        "http://app.azurewebsites.net/api/console",  # as a front end calls it, which speaks https to the browser
        "http://10.0.0.4:8080/api/console",
        "http://localhost.example.com/api/console",
        "http://127.0.0.1.example.com/api/console",
        "http://[::2]/api/console",
        "http://[::1/api/console",
        "/api/console",
    ],
)
def test_cookies_are_secure_wherever_the_app_runs(url: str) -> None:
    """Whatever scheme the host was called with."""
    assert cookie_is_secure(url)


@pytest.mark.parametrize("host", ["127.0.0.1:7071", "localhost:7071", "LOCALHOST", "[::1]:7071", "127.1.2.3"])
def test_on_ones_own_machine_there_is_no_https(host: str) -> None:
    """A browser would not send a secure cookie back."""
    assert not cookie_is_secure(f"http://{host}/api/console")
