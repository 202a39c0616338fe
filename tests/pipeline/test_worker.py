"""What becomes of a message, whatever it holds: it ends once, and nothing that the worker does makes two of it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.outreach.deliveries import MeetingScript
from shared.mapping_file import DEFAULT_MAPPING_FILE
from shared.pipeline import worker
from shared.storage.envelope import Envelope
from tests.product.bench import Installation

# By member, what somebody might have put there.
MALFORMED: dict[str, list[object]] = {
    "kind": ["garbage", None, 5, "spilled", "reconcile"],
    "correlation_id": ["garbage", None, 5, "", "F" * 32],
    "traceparent": [None, 5, []],
    "event_id": [None, 5, "x" * 40_000, "\ud800"],
    "event_name": [None, 5, "x" * 40_000],
    "received_at": ["garbage", "", None, 5, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-13-01"],
    "attempt": ["garbage", None, -1, 2**63, 1.5],
    "first_failed_at": ["garbage", None, 5, "9999-12-31T23:59:59Z"],
    "by": [None, 5, "x" * 40_000],
    "meeting": [None, 5, "x" * 40_000],
    "spill_key": [None, 5, "a/b", "x" * 40_000],
    "body": [None, "garbage", [], {"data": None}, {"data": {"type": "meeting", "id": "\ud800"}}],
    "version": ["garbage", None, 0, -1, 1.5, True, []],
}


def message(**members: Any) -> bytes:
    """A good message but for these members."""
    body = json.loads(MeetingScript(1).booked().body)
    good = Envelope(correlation_id="a" * 32, event_id="1", received_at="2026-03-02T12:00:00.000000Z", body=body)
    return json.dumps(good.to_document() | members).encode()


async def waiting(product: Installation) -> int:
    """How many messages the queue holds."""
    return (await product.queue.get_queue_properties()).approximate_message_count or 0


@pytest.mark.parametrize("member", MALFORMED)
async def test_a_malformed_message_ends_once(
    product: Installation, caplog: pytest.LogCaptureFixture, member: str
) -> None:
    """As a dead letter with a line, whether the worker meets it or the handler of poison; neither sends anything."""
    caplog.set_level(logging.INFO)
    for value in MALFORMED[member]:
        for carry_out in (product.runtime.carry_out, product.runtime.carry_out_poisoned):
            caplog.clear()
            await carry_out(message(**{member: value}))
            assert await waiting(product) == 0, value
            assert [record for record in caplog.records if record.name.startswith("outreach_dynamics")], value
            dead_letters = await product.dead_letters()
            assert len(dead_letters) == 1, value
            await product.runtime.admin.dismiss(frozenset({dead_letters[0]["correlationId"]}), reason="seen", by="test")


@pytest.mark.parametrize("trace", ["garbage", f"00-{'0' * 32}-{'0' * 16}-01"])
async def test_what_is_no_trace_costs_no_event(product: Installation, trace: str) -> None:
    """It is carried out, and only its trace begins anew."""
    await product.runtime.carry_out(message(traceparent=trace))
    assert product.appointment.values["subject"] == "Intro call"


@pytest.mark.parametrize("broken", ["report", "journal"])
async def test_an_event_that_has_ended_does_not_come_again(
    product: Installation, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """What fails after its message was sent anew, or its dead letter filed, must not bring the old message back too."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("of no matter")

    if broken == "report":
        monkeypatch.setattr(worker, "report", fail)
    else:
        monkeypatch.setattr(product.runtime.journal, "write", fail)
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("503", retry_after=0, hold_seconds=0),))
    await product.runtime.carry_out(message())
    assert await waiting(product) == 1
    await product.runtime.carry_out_poisoned(message())
    assert await waiting(product) == 1
    assert len(await product.dead_letters()) == 1


async def test_what_made_a_message_poison_does_not_keep_it_there(
    product: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in reading it, for one, meets whoever files its dead letter too."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(worker, "read_patch", fail)
    await product.runtime.carry_out_poisoned(message())
    assert [dead_letter["meetingId"] for dead_letter in await product.dead_letters()] == ["meeting:1"]


async def test_what_is_none_of_ours_ends_as_ignored(product: Installation, tmp_path: Path) -> None:
    """While settings are wrong everything is taken in; once they are mended, the worker asks what ingest could not."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    content["resources"]["kaiaRecording"]["enabled"] = True
    content["resources"]["meeting"]["actions"] = {"created": {}, "updated": {}}
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(content), encoding="utf-8")
    await product.restart(MAPPING_FILE=str(tmp_path / "missing.json"))
    script = MeetingScript(1)
    nothing: dict[str, Any] = {"id": 9, "attributes": {}, "relationships": {}}
    sent = await product.send(
        {"data": {"type": "prospect", **nothing}, "meta": {"eventName": "prospect.updated"}},
        {"data": {"type": "task", **nothing}, "meta": {"eventName": "task.completed"}},  # not enabled
        {"data": {"type": "kaiaRecording", **nothing}, "meta": {"eventName": "kaiaRecording.created"}},  # its `when`
        script.booked(),
        script.destroyed(),  # an action that is not listed
    )
    assert {receipt.status for receipt in sent} == {"accepted"}
    await product.restart(MAPPING_FILE=str(mapping))
    await product.work()
    entries = [await product.journal(receipt) for receipt in sent]
    assert [entry["outcome"] for entry in entries] == ["ignored", "ignored", "ignored", "created", "ignored"]
    assert [entry["lastError"]["code"] for entry in entries if entry["lastError"]] == ["not_counted"] * 4
    assert await product.dead_letters() == []


async def test_what_was_begun_is_finished(product: Installation, tmp_path: Path) -> None:
    """An event that waits for Dynamics is carried out although the mapping counts no such event any more."""
    script = MeetingScript(1)
    await product.sync(script.booked())
    product.crm.faults = FaultPlan(rate=1.0, faults=(Fault.parse("503", retry_after=0, hold_seconds=0),))
    (sent,) = await product.send(script.changed(title="Begun"))
    await product.work(limit=1)
    content = json.loads(DEFAULT_MAPPING_FILE.read_text(encoding="utf-8"))
    content["resources"]["meeting"]["actions"] = {"created": {}}
    (tmp_path / "mapping.json").write_text(json.dumps(content), encoding="utf-8")
    product.crm.faults = FaultPlan()
    await product.restart(MAPPING_FILE=str(tmp_path / "mapping.json"))
    await product.work()
    assert (await product.journal(sent))["outcome"] == "updated"
    assert product.appointment.values["subject"] == "Begun"
