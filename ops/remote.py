"""The app's HTTP routes, as its admin uses them."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from ops.report import Refused
from ops.settings import app_url, secret_in

# Azure ends a request after 230 seconds; to send many dead letters again may take that long.
_TIMEOUT = httpx.Timeout(240, connect=10)


class RemoteApp:
    """A running app. Use it in `with`; every method raises `Refused` with what to do where the app says no."""

    def __init__(self, url: str, *, key_env: str) -> None:
        """`key_env` names the environment variable with the key."""
        self._base = app_url(url)
        key = secret_in(key_env, what="the app's admin (master) key")
        self._client = httpx.Client(base_url=self._base, headers={"x-functions-key": key}, timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON at `path`."""
        return _json(self._send("GET", path, params=params))

    def find(self, path: str) -> dict[str, Any] | None:
        """The JSON at `path`, or None where the app knows no such thing; a 404 of another server is refused."""
        response = self._send("GET", path)
        return None if _error(response).get("code") == "not_found" else _json(response)

    def post(self, path: str, *, content: bytes) -> dict[str, Any]:
        """The JSON that `path` answers."""
        return _json(self._send("POST", path, content=content))

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise Refused(f"{self._base} does not answer ({type(error).__name__}).", code="unreachable") from error


def _json(response: httpx.Response) -> dict[str, Any]:
    body, error = _body(response), _error(response)
    if response.is_success and body:
        return body
    if response.status_code == 401 and not error:
        raise Refused("The app does not accept the key. Is it the admin (master) key of this app?", code="key_refused")
    message = error.get("message") or f"The app answered {response.status_code}. Is this the app's address?"
    raise Refused(str(message), code=str(error.get("code") or response.status_code))


def _error(response: httpx.Response) -> dict[str, Any]:
    """What the app says of why not; empty where it is not this app that answers."""
    error = _body(response).get("error")
    return error if isinstance(error, dict) and not response.is_success else {}


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
