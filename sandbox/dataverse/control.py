"""The stand-in's own levers under `/__sandbox/`: look inside, set up trouble, play a person at work in the CRM.

| route | does |
|---|---|
| `GET state?entity_set=` | all rows, or those of one set |
| `GET requests?limit=` | the last requests with their headers of interest, body, status and fault |
| `GET plugins` | the plug-ins there are, those that came up by chance among them |
| `GET counters` | requests by method, set and status; what was written; cookies kept, duplicates tried, faults met |
| `POST reset` | the default people again (`{"seed": false}`: nobody), no switches, rights, plug-ins, faults or log |
| `POST seed` | more rows |
| `POST faults` | the plan of trouble, anew; `{}` ends it (kinds in `faults`) |
| `POST switches` | how the organisation is set up (fields of `store.Switches`) |
| `POST rights` | what one user may do (fields of `store.Rights`) |
| `POST plugins` | the plug-ins that say no, anew, and refusals by chance (`plugins`) |
| `POST columns` | custom columns and lookups |
| `POST edit`, `delete`, `merge`, `qualify` | what people do (`people`) |
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final, get_args, get_type_hints

from aiohttp import web

from sandbox.dataverse import people
from sandbox.dataverse.appointments import create
from sandbox.dataverse.callers import Caller
from sandbox.dataverse.errors import ODataError
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.dataverse.payload import parse_json_object, read_change
from sandbox.dataverse.plugins import Chance, Plugin, Plugins
from sandbox.dataverse.schema import APPOINTMENT, SYSTEM_USER, Column, Navigation
from sandbox.dataverse.seed import seed
from sandbox.dataverse.store import Rights, Row, Store, Switches

View = Callable[[Store, Mapping[str, str]], dict[str, Any]]
Action = Callable[[Store, dict[str, Any]], dict[str, Any]]

PREFIX: Final = "/__sandbox"


def add_control_routes(app: web.Application, store: Store) -> None:
    """Add the control routes; a POST takes a JSON object; what makes no sense is answered with 400 and the reason."""
    for name, read in _VIEWS.items():
        app.router.add_get(f"{PREFIX}/{name}", _viewing(store, read))
    for name, action in _ACTIONS.items():
        app.router.add_post(f"{PREFIX}/{name}", _acting(store, action))


def _viewing(store: Store, view: View) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        return _answered(lambda: view(store, request.query))

    return handler


def _acting(store: Store, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        return _answered(lambda: action(store, parse_json_object(body or b"{}")))

    return handler


def _answered(work: Callable[[], dict[str, Any]]) -> web.Response:
    try:
        return web.json_response(work())
    except ODataError as error:
        return web.json_response(error.body(), status=error.status)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        return web.json_response({"error": {"code": "control", "message": reason}}, status=400)


def _state(store: Store, options: Mapping[str, str]) -> dict[str, Any]:
    wanted = options.get("entity_set")
    return {
        entity_set: [_plain(row) for row in store.all_rows(table)]
        for entity_set, table in store.tables.items()
        if wanted in (None, entity_set) and (wanted or entity_set != "activityparties")
    }


def _plain(row: Row) -> dict[str, Any]:
    plain: dict[str, Any] = {"@odata.etag": row.etag, **row.values}
    if row.table.logical_name == APPOINTMENT.logical_name:
        plain["appointment_activity_parties"] = [party.values for party in row.parties]
    return plain


def _requests(store: Store, options: Mapping[str, str]) -> dict[str, Any]:
    return {"total": store.log.total, "requests": store.log.last(int(options.get("limit", "100")))}


def _counters(store: Store, _: Mapping[str, str]) -> dict[str, Any]:
    return {"total": store.log.total, **store.log.counters}


def _registered(store: Store, _: Mapping[str, str]) -> dict[str, Any]:
    return {"plugins": [asdict(plugin) for plugin in store.plugins.registered]}


def _reset(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    store.clear()
    if given.get("seed", True):
        seed(store)
    return {"rows": {name: len(rows) for name, rows in store.rows.items()}}


def _seed(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Add rows: `{"contacts": [{…}], "appointments": [{… as for POST …}]}`; lookups of other tables as `_x_value`."""
    added = {}
    for entity_set, rows in given.items():
        table = store.tables[entity_set]
        for values in rows:
            if table.logical_name == APPOINTMENT.logical_name:
                change = read_change(values, table=table, tables=store.tables)
                create(store, change, caller=Caller(store.app_user_id))
            else:
                people.add(store, table, values)
        added[entity_set] = len(rows)
    return {"added": added}


def _faults(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Set the plan anew: `rate`, `kinds`, `retry_after`, `hold_seconds`, `latency_ms`, `seed`, `next`."""
    known = {"rate", "kinds", "retry_after", "hold_seconds", "latency_ms", "seed", "next"}
    if set(given) - known:
        raise ValueError(f"unknown {sorted(set(given) - known)}; use {sorted(known)}")
    times = {"retry_after": given.get("retry_after", 1), "hold_seconds": given.get("hold_seconds", 30.0)}
    plan = FaultPlan(
        rate=float(given.get("rate", 0)),
        faults=tuple(Fault.parse(kind, **times) for kind in given.get("kinds", [])),
        latency_ms=float(given.get("latency_ms", 0)),
        chance=random.Random(given.get("seed")),
    )
    plan.queue.extend(Fault.parse(entry, **times) for entry in given.get("next", []))
    store.faults = plan
    return {"rate": plan.rate, "kinds": [fault.kind for fault in plan.faults], "queued": len(plan.queue)}


def _switches(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Change how the organisation is set up; fields not named stay."""
    hints = get_type_hints(Switches)
    for name, value in given.items():
        allowed = (True, False) if hints[name] is bool else get_args(hints[name])
        if name != "missing_privileges" and value not in allowed:
            raise ValueError(f"{name} takes one of {allowed}, not {value!r}")
    missing = frozenset(given.get("missing_privileges", store.switches.missing_privileges))
    store.switches = replace(store.switches, **(given | {"missing_privileges": missing}))
    return asdict(store.switches) | {"missing_privileges": sorted(missing)}


def _rights(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Say what a user may do, anew: `{"user", "roles"?, "missing_privileges"?, "no_access"?}`."""
    user = store.find(SYSTEM_USER.logical_name, str(given["user"]))
    rights = Rights(
        given.get("roles", True),
        frozenset(given.get("missing_privileges", ())),
        frozenset(given.get("no_access", ())),
    )
    if set(given) - {"user", "roles", "missing_privileges", "no_access"} or not isinstance(rights.roles, bool):
        raise ValueError("say roles (true or false), missing_privileges and no_access (lists)")
    store.rights[user.id] = rights
    return {"user": user.id, "roles": rights.roles}


def _plugins(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Register plug-ins anew: `{"plugins": [{fields of Plugin}], "chance": {fields of Chance}}`; `{}` ends them."""
    if set(given) - {"plugins", "chance"}:
        raise ValueError("use plugins and chance")
    registered = [Plugin(**entry) for entry in given.get("plugins", ())]
    store.plugins = Plugins(registered, Chance(**given.get("chance", {})))
    return {"plugins": len(registered)}


def _columns(store: Store, given: dict[str, Any]) -> dict[str, Any]:
    """Add custom columns: `{"columns": [{"name", "type", …as in `schema.Column`}], "lookups": [{…}]}`.

    A lookup is `{"name", "column", "targets"}`, its name as in the schema: `new_Event_Appointment`. The table is
    that of `entity_set`, appointments where it is not given.
    """
    entity_set = given.get("entity_set", APPOINTMENT.entity_set)
    columns = [Column(**entry) for entry in given.get("columns", ())]
    lookups = [
        Navigation(entry["name"], entry["column"], tuple(entry["targets"])) for entry in given.get("lookups", ())
    ]
    columns += [Column(lookup.column, "Lookup") for lookup in lookups]
    table = store.tables[entity_set].extended(*columns, navigations=tuple(lookups))
    store.tables[entity_set] = table
    for row in store.all_rows(table):
        row.table = table
        row.values = dict.fromkeys(table.props) | row.values
    return {"columns": sorted(table.columns)}


_VIEWS: Final[dict[str, View]] = {"state": _state, "requests": _requests, "counters": _counters, "plugins": _registered}
_ACTIONS: Final[dict[str, Action]] = {
    "reset": _reset,
    "seed": _seed,
    "faults": _faults,
    "switches": _switches,
    "rights": _rights,
    "plugins": _plugins,
    "columns": _columns,
    "edit": people.edit,
    "delete": people.delete,
    "merge": people.merge,
    "qualify": people.qualify,
}
