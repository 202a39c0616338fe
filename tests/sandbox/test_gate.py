"""What a client meets at a gate before a service is what it would meet were the service in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from sandbox.gate import Gate
from tests.product.bench import served

BODY = b"x" * 200_000


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """A gate before a server that returns what it gets."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/", echo)
    async with served(app) as url:
        with Gate(lambda: int(url.rpartition(":")[2])) as made:
            yield made


async def ask(gate: Gate, session: aiohttp.ClientSession) -> tuple[int, bytes]:
    async with session.post(f"http://127.0.0.1:{gate.port}/", data=BODY) as answer:
        return answer.status, await answer.read()


async def test_an_open_gate_changes_nothing(gate: Gate) -> None:
    """Bodies pass whole, on one connection after another and on the same one."""
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            assert await ask(gate, session) == (200, BODY)


async def test_at_a_gate_that_hangs_nobody_is_answered_before_it_opens(gate: Gate) -> None:
    """Whether the connection was there before or not."""
    async with aiohttp.ClientSession() as session:
        await ask(gate, session)
        gate.shut("hangs")
        calls = [asyncio.create_task(ask(gate, session)) for _ in range(3)]
        _, waiting = await asyncio.wait(calls, timeout=0.3)
        assert len(waiting) == 3
        gate.open()
        assert await asyncio.gather(*calls) == [(200, BODY)] * 3


async def test_a_gate_that_refuses_breaks_connections(gate: Gate) -> None:
    """Those that were there before too; once it is open everybody passes."""
    async with aiohttp.ClientSession() as session:
        await ask(gate, session)
        gate.shut("refuses")
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await ask(gate, session)
        gate.open()
        assert await ask(gate, session) == (200, BODY)


@pytest.mark.parametrize(("share", "statuses"), [(1.0, {503}), (0.5, {200, 503})])
async def test_a_busy_gate_answers_as_a_busy_account(gate: Gate, share: float, statuses: set[int]) -> None:
    """All requests meet 503, or some do and the others pass."""
    async with aiohttp.ClientSession() as session:
        await ask(gate, session)
        gate.shut("busy", share=share)
        answers: list[tuple[int, bytes]] = []
        while len(answers) < 30:
            try:
                answers.append(await ask(gate, session))
            except aiohttp.ClientError:  # the connection from before is gone
                assert not answers
    assert {status for status, _ in answers} == statuses
    assert {body == BODY for status, body in answers if status == 200} <= {True}
    assert {b"ServerBusy" in body for status, body in answers if status == 503} == {True}
