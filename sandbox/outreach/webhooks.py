"""Registering webhooks: what is checked, what is kept, and what an update resets.

https://developers.outreach.io/api/webhooks; where the published schema is silent, the rule says that it is a guess.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from sandbox.outreach.errors import api_error, invalid
from sandbox.outreach.records import Record
from sandbox.outreach.store import Store
from sandbox.outreach.tokens import Origin

WRITABLE: Final = frozenset({"action", "active", "payloadVersion", "resource", "secret", "url"})
READ_ONLY: Final = frozenset({"createdAt", "updatedAt", "disabledReason", "disabledSince", "disabledUntil"})
MAX_URL: Final = 1024
MAX_TEXT: Final = 255
_ACTIONS: Final = frozenset({"*", "created", "updated", "destroyed"})
_MORE_ACTIONS: Final[Mapping[str, frozenset[str]]] = {"task": frozenset({"completed"})}
_ONLY_ACTIONS: Final[Mapping[str, frozenset[str]]] = {"kaiaRecording": frozenset({"*", "created"})}
_LOOPBACK: Final = re.compile(r"127(\.\d{1,3}){3}|localhost|::1")
_POINTER: Final = "/data/attributes/"


def create(store: Store, document: object, *, origin: Origin) -> Record:
    """A new webhook. Raises 400 for what is no document, 422 for what it says."""
    data = _data(document)
    attributes = _attributes(data)
    relationships = data.get("relationships") or {}
    if store.switches.s2s_webhooks == "authorizer" and origin == "s2s" and "authorizer" not in relationships:
        raise invalid("Authorizer can't be blank.", pointer="/data/relationships/authorizer")
    now = store.stamp()
    values: dict[str, Any] = {
        "action": "*",
        "active": True,
        "payloadVersion": 1,
        "resource": "*",
        "secret": None,
        "url": None,
        **attributes,
        "disabledReason": None,
        "disabledSince": None,
        "disabledUntil": None,
        "cleanupToken": secrets.token_hex(16),
        "createdAt": now,
        "updatedAt": now,
    }
    _check(store, values)
    record = Record("webhook", store.next_id(), values, {"creator": ("user", 1), "authorizer": ("user", 1)})
    store.put(record)
    return record


def update(store: Store, record: Record, document: object) -> Record:
    """The webhook with what `document` names; whatever it names, being disabled ends with it."""
    data = _data(document)
    if str(data.get("id")) != str(record.id):
        raise invalid("The id must be the one of the address.", pointer="/data/id")
    values = {
        **record.attributes,
        **_attributes(data),
        "disabledReason": None,
        "disabledSince": None,
        "disabledUntil": None,
        "updatedAt": store.stamp(),
    }
    _check(store, values)
    record.attributes = values
    return record


def _data(document: object) -> Mapping[str, Any]:
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise api_error(400, "badRequest", "Bad Request", "The body must be a JSON:API document with data.")
    if data.get("type") != "webhook":
        raise invalid("The type must be webhook.", pointer="/data/type")
    return data


def _attributes(data: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that may be written; others are refused, which is a guess on the strict side."""
    attributes = data.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise invalid("Attributes must be an object.", pointer="/data/attributes")
    for name in attributes:
        if name in READ_ONLY:
            raise invalid(f"{name} is read-only.", pointer=_POINTER + name)
        if name not in WRITABLE:
            raise invalid(f"{name} is no attribute of a webhook.", pointer=_POINTER + name)
    return dict(attributes)


def _check(store: Store, values: Mapping[str, Any]) -> None:
    resource, action = values["resource"], values["action"]
    if resource not in store.webhook_resources:
        raise invalid(f"Resource {resource!r} is not supported.", pointer=_POINTER + "resource")
    allowed = _ONLY_ACTIONS.get(resource, _ACTIONS | _MORE_ACTIONS.get(resource, frozenset()))
    if action not in allowed:
        raise invalid(f"Action {action!r} is not supported for {resource}.", pointer=_POINTER + "action")
    version = values["payloadVersion"]
    if isinstance(version, bool) or not isinstance(version, int) or version not in (1, 2):
        raise invalid("PayloadVersion must be the integer 1 or 2.", pointer=_POINTER + "payloadVersion")
    if not isinstance(values["active"], bool):
        raise invalid("Active must be true or false.", pointer=_POINTER + "active")
    secret = values["secret"]
    if secret is not None and (not isinstance(secret, str) or len(secret) > MAX_TEXT):
        raise invalid(f"Secret must be text of at most {MAX_TEXT} characters.", pointer=_POINTER + "secret")
    _check_url(values["url"])


def _check_url(url: object) -> None:
    pointer = _POINTER + "url"
    if not isinstance(url, str) or not url:
        raise invalid("Url can't be blank.", pointer=pointer)
    if len(url) > MAX_URL:
        raise invalid(f"Url is too long (maximum is {MAX_URL} characters).", pointer=pointer)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise invalid("Url is no URL.", pointer=pointer) from error
    # Plain http to this machine is the one thing that the stand-in allows and Outreach does not.
    local = parts.scheme == "http" and _LOOPBACK.fullmatch(parts.hostname or "") is not None
    if not parts.hostname or not (parts.scheme == "https" or local):
        raise invalid("Url must begin with https.", pointer=pointer)
