"""Every alert of the runbook, tried: the trouble is made, and the query finds it in what the app really tells of it.

The queries run as they are, on the lines of the last `window` of the rule; what they find is told apart by the rule's
`splitBy`. What Azure writes and not the app is given by hand: the requests of the host, with the status that the
function answers, and the two operations of the vault, as Microsoft documents them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import azure.functions as func
import pytest

from sandbox.azurite import StorageNames, connection_string
from sandbox.dataverse.faults import Fault, FaultPlan
from sandbox.outreach.deliveries import MeetingScript
from sandbox.outreach.faults import FaultPlan as OutreachFaults
from shared.pipeline.held import Bounds, Held
from shared.pipeline.retention import Retention
from shared.pipeline.signature import SIGNATURE_HEADER, sign
from shared.storage.envelope import Envelope
from shared.storage.room import Size
from shared.storage.unverified import UnverifiedTable
from shared.timestamps import sortable
from tests.handlers import HANDLERS
from tests.outreach.samples import mapping_file
from tests.outreach.support import add_event, add_webhook
from tests.outreach.test_tokens import OAUTH
from tests.product.bench import SECRET, Installation, installation
from tests.telemetry.kql import Rows, carry_out

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    name: (split, timedelta(**{"hours" if window.endswith("H") else "minutes": int(window[2:-1])}))
    for name, split, window in re.findall(
        r"name: '([a-z-]+)'\n    title: .*\n    severity: \d\n    splitBy: '(\w*)'\n(?:    .*\n)*?    window: '(\w+)'",
        (ROOT / "infra/modules/monitoring.bicep").read_text(encoding="utf-8"),
    )
}
OURS = "https://sync.example.com"
WEDNESDAY_AT_ONE = datetime(2030, 1, 2, 13, tzinfo=UTC)


@dataclass
class Azure(logging.Handler):
    """An installation and what Azure Monitor would have of it."""

    product: Installation
    folder: Path
    patch: pytest.MonkeyPatch
    tables: dict[str, Rows] = field(
        default_factory=lambda: {"AppTraces": [], "AppRequests": [], "AzureDiagnostics": [], "AZKVAuditLogs": []}
    )

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = logging.Handler.__hash__

    @property
    def now(self) -> datetime:
        """The installation's time of day."""
        return datetime.now(UTC) + self.product.runtime.later

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the app."""
        self.tables["AppTraces"].append({"TimeGenerated": self.now, "Message": record.getMessage()})

    async def request(self, *, secret: str = SECRET) -> None:
        """A delivery as the host hands it to the function, and its entry among the requests."""
        body, url = MeetingScript(1).booked().body, f"{OURS}/api/outreach/events"
        headers = {SIGNATURE_HEADER: sign(body, secret)}
        request = func.HttpRequest("POST", url, headers=headers, body=body)
        context = SimpleNamespace(trace_context=SimpleNamespace(trace_parent=""))
        answer = await HANDLERS["ingest"](request, context)
        status = str(answer.status_code)
        self.tables["AppRequests"].append({"TimeGenerated": self.now, "Url": url, "ResultCode": status})

    async def minute(self, **later: float) -> None:
        """The timer, so much later."""
        self.product.runtime.later += timedelta(**later)
        await HANDLERS["sweep"](None)

    def dynamics_answers(self, *kinds: str) -> None:
        """The next requests to Dynamics meet these."""
        plan = FaultPlan()
        plan.queue.extend(Fault.parse(kind, retry_after=0, hold_seconds=0) for kind in kinds)
        self.product.crm.faults = plan

    def found(self, alert: str, **defaults: str) -> set[str]:
        """What the rule tells apart now; a rule that tells nothing apart gives its own name."""
        query = (ROOT / f"infra/kql/alert-{alert}.kql").read_text(encoding="utf-8")
        for name, value in defaults.items():
            query, replaced = re.subn(rf"let {name} = [^;]+;", f"let {name} = {value};", query)
            assert replaced == 1
        split, window = RULES[alert]
        seen = {
            name: [row for row in rows if row["TimeGenerated"] > self.now - window]
            for name, rows in self.tables.items()
        }
        return {row[split] if split else alert for row in carry_out(query, seen, now=self.now)}


@pytest.fixture
async def azure(
    azurite: str, storage_names: StorageNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Azure]:
    async with installation(azurite, storage_names.queue("events"), PUBLIC_URL=OURS) as product:
        made = Azure(product, tmp_path, monkeypatch)
        monkeypatch.setattr("shared.runtime.runtime", lambda: product.runtime)
        log = logging.getLogger("outreach_dynamics")
        level = log.level
        log.setLevel(logging.INFO)
        log.addHandler(made)
        try:
            yield made
        finally:
            log.removeHandler(made)
            log.setLevel(level)


async def dead_letters(azure: Azure) -> None:
    azure.dynamics_answers("403")
    await azure.product.sync(MeetingScript(1).booked())
    await azure.product.queue.send_message("bm90IG91cnM=")
    await azure.product.work()


async def lag(azure: Azure) -> None:
    product = azure.product
    await product.send(*(MeetingScript(number).booked() for number in (1, 2, 3)))
    product.runtime.later = timedelta(minutes=20)
    await product.work(limit=1)
    azure.dynamics_answers("503")
    await product.work(limit=1)
    await azure.minute()
    await product.restart(SYNC_PUSHING="perhaps")
    product.runtime.later = timedelta(minutes=20)
    await product.work(limit=1)


async def ingest_failing(azure: Azure) -> None:
    await azure.product.restart(OUTREACH_WEBHOOK_SECRET="@Microsoft.KeyVault(VaultName=kv;SecretName=x)")
    await azure.request()
    await azure.minute()
    await azure.product.restart(OUTREACH_WEBHOOK_SECRET=SECRET)
    for _ in range(3):
        await azure.request(secret="another")
    await azure.product.restart()
    table = azure.product.runtime._table("unverified")
    azure.product.runtime.unverified = UnverifiedTable(table, now=lambda: azure.now, most=Size())
    await azure.request(secret="yet another")
    await azure.product.restart(AzureWebJobsStorage=connection_string(1, 1, 1))
    azure.product.runtime.held = Held(now=lambda: azure.now, bounds=Bounds(seconds=0))
    await azure.request()
    await azure.product.restart(OUTREACH_WEBHOOK_SECRET="")
    await azure.request()


async def ingest_silent(azure: Azure) -> None:
    azure.product.runtime.later = WEDNESDAY_AT_ONE - datetime.now(UTC)
    await azure.minute()


async def not_running(azure: Azure) -> None:
    async def broken_later(_: Retention) -> Mapping[str, int]:
        if azure.product.runtime.later:
            raise ZeroDivisionError
        return {}

    azure.patch.setattr(Retention, "run", broken_later)
    azure.product.outreach.faults = OutreachFaults.parse({"next": ["500", "500"]})
    await azure.minute()
    await azure.minute(minutes=61)
    azure.product.runtime.later += timedelta(minutes=16)


async def queue_growing(azure: Azure) -> None:
    await azure.minute()
    await azure.product.send(*(MeetingScript(number).booked() for number in (1, 2, 3)))
    await azure.minute(minutes=1)


async def subscription(azure: Azure) -> None:
    await azure.minute()
    add_webhook(azure.product.outreach, 7, f"{OURS}/api/outreach/events", active=False)
    await azure.minute(minutes=10)
    await azure.product.restart(MAPPING_FILE=mapping_file(azure.folder, "event"))
    azure.product.runtime.later = timedelta(minutes=20)
    azure.product.outreach.faults = OutreachFaults.parse({"next": ["403", "403"]})
    await azure.minute()


async def credentials(azure: Azure) -> None:
    azure.dynamics_answers("401")
    await azure.product.sync(MeetingScript(1).booked())
    azure.product.outreach.faults = OutreachFaults.parse({"next": ["401_json"]})
    await azure.minute()
    await azure.product.restart(**OAUTH | {"OUTREACH_REFRESH_TOKEN": "one that ran out"})
    await azure.minute(minutes=10)
    row = {"TimeGenerated": azure.now, "ResourceProvider": "MICROSOFT.KEYVAULT"}
    azure.tables["AzureDiagnostics"].append(row | {"OperationName": NEAR_EXPIRY})


NEAR_EXPIRY = "SecretNearExpiryEventGridNotification"
LATE = "95 % of the changes were in Dynamics within"
RETRIED = "an event that failed for now was accepted before"
WAITS = "the oldest message waits for"
STUCK = "settings are wrong, and every event waits"
TROUBLES: dict[str, tuple[Callable[[Azure], Awaitable[None]], set[str]]] = {
    "dead-letters": (dead_letters, {"0x80040220", "not_an_envelope"}),
    "lag": (lag, {LATE, RETRIED, WAITS, STUCK}),
    "ingest-failing": (
        ingest_failing,
        {"refused", "not_stored", "holding", "unverified", "no room to keep", "settings", "answered 5xx"},
    ),
    "ingest-silent": (ingest_silent, {"ingest-silent"}),
    "not-running": (not_running, {"all of it", "subscription", "retention"}),
    "queue-growing": (queue_growing, {"queue-growing"}),
    "subscription": (subscription, {"no webhook", "webhook 7", "part subscription", "part missed"}),
    "credentials": (credentials, {"401", "unauthorized", "token_refused", "invalid_grant", NEAR_EXPIRY}),
}
LIMITS = {"queue-growing": {"tooMany": "2"}}


@pytest.mark.parametrize("alert", RULES)
async def test_the_alert_finds_its_trouble(azure: Azure, alert: str) -> None:
    """Each case that the runbook names is found, and each has a name of its own, so each gets a mail."""
    make, expected = TROUBLES[alert]
    await make(azure)
    assert azure.found(alert, **LIMITS.get(alert, {})) == expected


async def test_no_alert_finds_anything_in_a_healthy_run(azure: Azure) -> None:
    """Within working hours meetings that changed long ago are booked, moved, told twice; one delivery is refused."""
    add_webhook(azure.product.outreach, 7, f"{OURS}/api/outreach/events")
    azure.product.runtime.later = WEDNESDAY_AT_ONE - datetime.now(UTC)
    script = MeetingScript(2)
    booked = script.booked()
    for delivery in (booked, booked, script.rescheduled(datetime(2026, 3, 9, 15, tzinfo=UTC))):
        await azure.product.sync(delivery)
    await azure.request()
    await azure.request(secret="another")
    await azure.product.work()
    await azure.minute()
    lines = [json.loads(row["Message"]) for row in azure.tables["AppTraces"]]
    assert {"created", "updated", "duplicate"} <= {line.get("outcome") for line in lines}
    assert {"ingest", "refused", "backlog"} <= {line["what"] for line in lines}
    assert max(line["lag_seconds"] or 0 for line in lines if line["what"] == "event") > 86_400
    assert {alert: azure.found(alert, **LIMITS.get(alert, {})) for alert in RULES} == {alert: set() for alert in RULES}


async def test_without_a_webhook_all_is_quiet(azure: Azure) -> None:
    """By the events API alone, with the guard off, no rule that is then on finds anything; a refusal is found."""
    product = azure.product
    await product.restart(MAPPING_FILE=mapping_file(azure.folder, "event"), SYNC_SUBSCRIPTION_GUARD="off")
    booked = {
        "id": 17,
        "meeting_id": 5,
        "title": "A call",
        "start_time": "2026-03-05T15:00:00Z",
        "end_time": "2026-03-05T15:30:00Z",
        "prospect_ids": [101],
        "user_id": 1,
    }
    name, payload = "calendar_event_created_outbound", {"calendar_event": booked}
    add_event(product.outreach, 1, name, at=sortable(azure.now), payload=payload)
    await azure.minute()
    await product.work()
    await azure.minute(minutes=10)
    assert product.crm.appointments
    on = RULES.keys() - {"ingest-silent"}
    assert {alert: azure.found(alert, **LIMITS.get(alert, {})) for alert in on} == {alert: set() for alert in on}
    product.outreach.faults = OutreachFaults.parse({"next": ["403"]})
    await azure.minute(minutes=10)
    assert azure.found("subscription") == {"part missed"}


async def test_nobody_waits_for_history_or_for_what_is_sent_again(azure: Azure) -> None:
    """A row of a back-fill, also one tried twice, and a dead letter that an admin sends again are old, and no lag."""
    product = azure.product
    azure.dynamics_answers("403")
    (receipt,) = await product.send(MeetingScript(1).booked())
    await product.work()
    row = Envelope(
        correlation_id="b" * 32,
        event_name="meeting.backfill",
        received_at=sortable(azure.now),
        body=json.loads(MeetingScript(2).booked().body),
    )
    await product.runtime.queue.send(row.to_message())
    product.runtime.later = timedelta(days=2)
    assert await product.runtime.admin.replay(None, by="_master") == [receipt.correlation_id]
    azure.dynamics_answers("503")
    await product.work()
    lines = [json.loads(kept["Message"]) for kept in azure.tables["AppTraces"]]
    ages = {line["correlation_id"]: line["age_seconds"] for line in lines if line.get("outcome") == "created"}
    assert ages.keys() == {receipt.correlation_id, row.correlation_id}
    assert min(ages.values()) > 86_400
    assert (row.correlation_id, "retrying") in {(line.get("correlation_id"), line.get("outcome")) for line in lines}
    assert azure.found("lag") == set()


def test_every_alert_is_tried() -> None:
    """A new rule needs a trouble of its own."""
    assert {f"alert-{alert}.kql" for alert in RULES} == {path.name for path in (ROOT / "infra/kql").glob("alert-*.kql")}
    assert RULES.keys() == TROUBLES.keys()


@pytest.mark.parametrize(
    "query",
    [
        "AppTraces | where Message matches regex 'x'",
        "AppTraces | where Mesage == 'x'",
        "AppTraces | where strlen(Message) > 1",
        "AppTraces | top 5 by TimeGenerated",
        "AppTraces | summarize dcount(Message)",
        "Nowhere | where true",
    ],
)
def test_what_the_reader_does_not_know_is_an_error(query: str) -> None:
    """A word that it does not know never counts as true."""
    now = datetime.now(UTC)
    with pytest.raises((SyntaxError, NameError, KeyError, AssertionError, TypeError)):
        carry_out(query, {"AppTraces": [{"TimeGenerated": now, "Message": "x"}]}, now=now)
