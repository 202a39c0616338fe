"""Both hosts against the table of requests: ours, and Microsoft's where it is at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from sandbox.stack import HostKind
from tests.sandbox.host.hosts import BODY_LIMIT, ProbeHost, choose, probe_host
from tests.sandbox.host.raw import RawAnswer, ask, request
from tests.sandbox.host.table import ROWS
from tests.sandbox.host.table.differences import DIFFERENCES
from tests.sandbox.host.table.row import ANY, Row
from tests.sandbox.host.table.settings import with_defaults, with_insights

SETTINGS: Final = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(BODY_LIMIT), "AzureWebJobsDisableHomepage": "true"}
# Where telemetry goes that nobody takes: nothing listens there.
NOWHERE: Final = "IngestionEndpoint=http://127.0.0.1:1/;LiveEndpoint=http://127.0.0.1:1/"


@pytest.fixture(scope="module", params=["sandbox", "functions"])
def host(
    request: pytest.FixtureRequest, host_kind: HostKind, azurite: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProbeHost]:
    """The probe app on either host: one start for all rows."""
    kind = choose(request.param, host_kind)
    with probe_host(kind, tmp_path_factory.mktemp(kind), azurite, settings=SETTINGS) as running:
        yield running


def calls(host: ProbeHost) -> Mapping[str, int]:
    """How often each function was called so far."""
    [answer] = ask(host.port, request("GET /api/called"))
    found: Mapping[str, int] = answer.json()
    return found


def problems(host: ProbeHost, row: Row) -> list[str]:
    """What is otherwise than the row says."""
    before = calls(host)
    first, *more = ask(host.port, *row.raw, answers=1 if row.then is None else 2, pause=0.2, half_close=row.half_close)
    after = calls(host)
    called = sorted(name for name in after if after[name] != before.get(name, 0))
    found = [*wrong_answer(row, first)]
    if row.function != ANY and called != ([row.function] if row.function else []):
        found.append(f"called {called}")
    found += [f"then {answer.status}" for answer in more if answer.status != row.then]
    return found


def wrong_answer(row: Row, answer: RawAnswer) -> Iterator[str]:
    """What of the answer is otherwise than the row says."""
    if answer.status != row.status:
        yield f"status {answer.status}"
    for name, value in row.headers.items():
        wanted = [] if value is None else value.split("|")
        if answer.header(name) != wanted:
            yield f"{name}: {answer.header(name)}"
    if row.body is not None and answer.body != row.body:
        yield f"body {answer.body[:200]!r}"
    if row.saw and not yields_json(answer):
        yield f"no echo: {answer.body[:200]!r}"
    elif row.saw:
        yield from wrong_sight(row.saw, answer.json())


def yields_json(answer: RawAnswer) -> bool:
    """Whether a function echoed."""
    return "application/json" in answer.header("content-type")


def wrong_sight(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """Of headers only those that the row names; of a trace how it begins."""
    for name, value in wanted.items():
        found = seen[name]
        if name == "headers":
            found = {header: found.get(header) for header in value}
        if name == "trace" and value:
            found = found[: len(value)]
        if found != value:
            yield f"saw {name} {found!r}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name[:80])
def test_a_request_is_answered_as_by_the_real_host(host: ProbeHost, row: Row) -> None:
    """The same status, function, sight, headers and body, but for the listed differences of our host."""
    difference = DIFFERENCES.get(row.name) if host.kind == "sandbox" else None
    if difference is None:
        assert problems(host, row) == []
    else:
        assert problems(host, row), "no difference any more: take it from the list"
        assert problems(host, replace(row, **difference.changes)) == []


@pytest.mark.parametrize("kind", ["sandbox", "functions"])
def test_settings_of_the_host_are_kept_to(kind: HostKind, host_kind: HostKind, azurite: str, tmp_path: Path) -> None:
    """Without the two settings of the other rows, and with Application Insights."""
    insights = {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={UUID(int=1)};{NOWHERE}"}
    with probe_host(choose(kind, host_kind, slow=True), tmp_path, azurite, settings=insights) as host:
        found = {row.name: problems(host, row) for row in (*with_defaults(), *with_insights())}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
