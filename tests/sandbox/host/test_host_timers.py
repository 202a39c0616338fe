from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from sandbox.host.keys import Keys
from tests.patience import PATIENCE
from tests.sandbox.host.running import running

NEVER_SOON = "0 0 0 1 1 *"
EVERY_SECOND = "* * * * * *"


class Clockwork:
    """An app of one timer function, called `sweep`, that notes its runs."""

    def __init__(self, schedule: str, *, answer: object = None, **trigger: Any) -> None:
        self.runs = asyncio.Queue[func.TimerRequest]()
        self.app = func.FunctionApp()

        @self.app.timer_trigger(arg_name="timer", schedule=schedule, **trigger)
        async def sweep(timer: func.TimerRequest):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the worker allows it
            self.runs.put_nowait(timer)
            return answer

    async def next_run(self) -> func.TimerRequest:
        async with asyncio.timeout(PATIENCE):
            return await self.runs.get()


async def test_a_timer_runs_on_schedule() -> None:
    """Again and again, not past due."""
    clockwork = Clockwork(EVERY_SECOND)

    async with running(clockwork.app):
        runs = [await clockwork.next_run(), await clockwork.next_run()]

    assert [run.past_due for run in runs] == [False, False]


async def test_the_schedule_may_come_from_a_setting() -> None:
    """As every binding expression."""
    clockwork = Clockwork("%SCHEDULE%")

    async with running(clockwork.app, environ={"SCHEDULE": EVERY_SECOND}):
        assert await clockwork.next_run()


@pytest.mark.parametrize(("asked", "runs"), [(True, 1), (False, 0)])
async def test_a_timer_runs_at_the_start_only_where_asked(*, asked: bool, runs: int) -> None:
    """Otherwise it waits for its time."""
    clockwork = Clockwork(NEVER_SOON, run_on_startup=asked)

    async with running(clockwork.app) as host:
        if asked:
            await clockwork.next_run()
        report = await host.report()

    assert report["functions"]["sweep"]["invocations"] == runs


async def test_a_timer_can_be_run_by_hand() -> None:
    """202 at once, as in the real host; the name's case does not matter."""
    clockwork = Clockwork(NEVER_SOON)

    async with running(clockwork.app) as host:
        response = await host.client.post("/admin/functions/Sweep", json={})
        run = await clockwork.next_run()

    assert (response.status_code, response.content) == (202, b"")
    assert run.past_due is False


@pytest.mark.parametrize(
    ("path", "key", "content", "status"),
    [
        ("/admin/functions/none", "a", "{}", 404),
        ("/admin/functions/sweep", "", "{}", 401),
        ("/admin/functions/sweep", "f", "{}", 403),
        ("/admin/functions/sweep", "a", "nonsense", 400),
        ("/admin/functions/sweep", "a", "", 400),
        ("/admin/functions/sweep", "a", "[]", 400),
        ("/admin/functions/sweep", "a", "{}", 202),
        ("/admin/functions/page", "a", "{}", 400),
    ],
)
async def test_running_by_hand_needs_the_admin_key_and_a_function(
    path: str, key: str, content: str, status: int
) -> None:
    """And JSON with what it is to be given. HTTP functions have their own routes."""
    clockwork = Clockwork(NEVER_SOON)

    @clockwork.app.route(route="page")
    async def page(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.url)

    async with running(clockwork.app, keys=Keys("f", "a")) as host:
        headers = {"x-functions-key": key, "content-type": "application/json"}
        response = await host.client.post(path, headers=headers, content=content)

    assert response.status_code == status


async def test_the_host_tells_its_state_to_the_admin() -> None:
    """Without the key it does not."""
    async with running(Clockwork(NEVER_SOON).app, keys=Keys("f", "a")) as host:
        closed = await host.client.get("/admin/host/status")
        state = await host.client.get("/admin/host/status", params={"code": "a"})

    assert closed.status_code == 401
    assert state.json()["state"] == "Running"


async def test_a_returned_value_fails_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """A timer function has no place to return to; it runs again all the same."""
    clockwork = Clockwork(EVERY_SECOND, answer=1)

    async with running(clockwork.app) as host:
        await clockwork.next_run()
        await clockwork.next_run()
        report = await host.until(lambda report: report["functions"]["sweep"]["failures"] >= 1)

    assert report["functions"]["sweep"]["failures"] >= 1
    assert "returned a non-None value" in caplog.text


async def test_a_run_that_was_missed_is_made_up_for(tmp_path: Path) -> None:
    """Once, past due, where the host remembers when the timer was due."""
    status = {"Last": "2026-01-01T00:00:00+00:00", "Next": "2026-01-02T00:00:00+00:00"}
    file = tmp_path / "sweep.timer.json"
    file.write_text(json.dumps(status))

    first = Clockwork("0 0 0 1 1 *")
    async with running(first.app, state_folder=tmp_path):
        run = await first.next_run()
    second = Clockwork("0 0 0 1 1 *")
    async with running(second.app, state_folder=tmp_path) as host:
        again = (await host.report())["functions"]["sweep"]["invocations"]

    assert run.past_due is True
    assert vars(run)["_TimerRequest__schedule_status"]["Next"] == status["Next"]
    assert json.loads(file.read_text())["Next"] > status["Next"]
    assert again == 0


@pytest.mark.parametrize(("schedule", "trigger"), [(EVERY_SECOND, {}), ("0 * * * * *", {"use_monitor": False})])
async def test_frequent_and_unmonitored_timers_are_not_remembered(
    tmp_path: Path, schedule: str, trigger: dict[str, Any]
) -> None:
    """As in the real host, where the limit is a minute."""
    clockwork = Clockwork(schedule, run_on_startup=True, **trigger)

    async with running(clockwork.app, state_folder=tmp_path):
        await clockwork.next_run()

    assert not any(os.scandir(tmp_path))


async def test_a_stop_waits_for_a_timer_that_is_running() -> None:
    """And then begins no further run."""
    entered, go_on = asyncio.Event(), asyncio.Event()
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule=NEVER_SOON, run_on_startup=True)
    async def sweep(timer: func.TimerRequest) -> None:
        assert timer
        entered.set()
        await go_on.wait()

    async with running(app) as host:
        await entered.wait()
        stop = asyncio.create_task(host.host.stop())
        await asyncio.sleep(0)
        go_on.set()
        await stop
        counts = host.host.invoker.counts["sweep"]

    assert (counts.invocations, counts.cancelled, counts.failures) == (1, 0, 0)
