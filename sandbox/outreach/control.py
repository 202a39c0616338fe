"""The stand-in's own levers under `/__sandbox/`: look inside, change records, set up trouble, let time pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, replace
from typing import Any, Final, get_args, get_type_hints

from aiohttp import web

from sandbox.outreach.faults import FaultPlan
from sandbox.outreach.records import RESOURCES, Record
from sandbox.outreach.seed import seed
from sandbox.outreach.store import Store, Switches
from sandbox.outreach.tokens import Installation

PREFIX: Final = "/__sandbox/"

Action = Callable[[Store, dict[str, Any]], dict[str, Any]]


def add_control_routes(app: web.Application, store: Store) -> None:
    """Add them; a POST takes a JSON object, and what it cannot use is answered with 400 and the reason."""
    app.router.add_get(f"{PREFIX}state", _reading(store, _state))
    app.router.add_get(f"{PREFIX}requests", _reading(store, _requests))
    app.router.add_get(f"{PREFIX}counters", _reading(store, _counters))
    for name, action in _ACTIONS.items():
        app.router.add_post(f"{PREFIX}{name}", _acting(store, action))


def _reading(
    store: Store, read: Callable[[Store, web.Request], dict[str, Any]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(read(store, request))

    return handler


def _acting(store: Store, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        try:
            given = await request.json() if request.can_read_body else {}
            return web.json_response(action(store, given))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            return web.json_response({"error": {"code": "control", "message": reason}}, status=400)

    return handler


def _state(store: Store, _: web.Request) -> dict[str, Any]:
    records = {
        resource.collection: [asdict(record) for record in store.records[resource.type].values()]
        for resource in RESOURCES.values()
    }
    return {**records, "tokens": {"issued": store.tokens.issued, "refresh_tokens_used_again": store.tokens.reused}}


def _requests(store: Store, request: web.Request) -> dict[str, Any]:
    return {"total": store.log.total, "requests": store.log.last(int(request.query.get("limit", "100")))}


def _counters(store: Store, _: web.Request) -> dict[str, Any]:
    return {"total": store.log.total, **store.log.counters}


def _reset(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Forget everything; `{"seed": false}` leaves it empty."""
    store.clear()
    if given.get("seed", True):
        seed(store)
    return {"records": {kind: len(records) for kind, records in store.records.items()}}


def _seed(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Add records: `{"prospects": [{"id", "attributes", "relationships": {name: [type, id]}, "data_connections"}]}`."""
    added = {}
    for collection, entries in given.items():
        kind = RESOURCES[collection].type
        for entry in entries:
            store.put(_record(store, kind, entry))
        added[collection] = len(entries)
    return {"added": added}


def _record(store: Store, kind: str, entry: dict[str, Any]) -> Record:
    unknown = set(entry) - {"id", "attributes", "relationships", "data_connections"}
    if unknown:
        raise ValueError(f"unknown {sorted(unknown)}")
    now = store.stamp()
    return Record(
        kind,
        int(entry.get("id") or store.next_id()),
        {"createdAt": now, "updatedAt": now, **entry.get("attributes", {})},
        _relationships(entry.get("relationships", {})),
        entry.get("data_connections"),
    )


def _relationships(given: dict[str, Any]) -> dict[str, tuple[str, int] | None]:
    return {name: None if target is None else (str(target[0]), int(target[1])) for name, target in given.items()}


def _update(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Change one record: `{"collection", "id"}` and what changes, as for seed. It may set read-only attributes too."""
    kind = RESOURCES[given.pop("collection")].type
    record = store.records[kind][int(given.pop("id"))]
    record.attributes |= {"updatedAt": store.stamp(), **given.pop("attributes", {})}
    record.relationships |= _relationships(given.pop("relationships", {}))
    if "data_connections" in given:
        record.data_connections = given.pop("data_connections")
    if given:
        raise ValueError(f"unknown {sorted(given)}")
    return asdict(record)


def _delete(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Delete one record: `{"collection", "id"}`."""
    del store.records[RESOURCES[given["collection"]].type][int(given["id"])]
    return {}


def _faults(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Set the plan anew; see `FaultPlan.parse`."""
    store.faults = FaultPlan.parse(given)
    plan = store.faults
    return {"rate": plan.rate, "kinds": [fault.kind for fault in plan.faults], "queued": len(plan.queue)}


def _switches(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Change how the organisation is set up; fields not named stay."""
    hints = get_type_hints(Switches)
    known = {field.name for field in fields(Switches)}
    if set(given) - known:
        raise ValueError(f"unknown {sorted(set(given) - known)}; use {sorted(known)}")
    for name, value in given.items():
        allowed = get_args(hints[name]) if name != "missing_scopes" else ()
        if allowed and value not in allowed:
            raise ValueError(f"{name} takes one of {allowed}, not {value!r}")
    changes: dict[str, Any] = {
        name: frozenset(value) if name == "missing_scopes" else value for name, value in given.items()
    }
    store.switches = replace(store.switches, **changes)
    return {**asdict(store.switches), "missing_scopes": sorted(store.switches.missing_scopes)}


def _clock(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Let time pass: `{"advance_seconds": 7200}`."""
    store.clock.advance(float(given["advance_seconds"]))
    return {"now": store.stamp()}


def _s2s(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Install an app for S2S: `{"install_id", "guid", "public_key"}` (PEM)."""
    store.tokens.installations[str(given["install_id"])] = Installation(str(given["guid"]), str(given["public_key"]))
    return {"installations": sorted(store.tokens.installations)}


_ACTIONS: Final[dict[str, Action]] = {
    "reset": _reset,
    "seed": _seed,
    "update": _update,
    "delete": _delete,
    "faults": _faults,
    "switches": _switches,
    "clock": _clock,
    "s2s": _s2s,
}
