"""`doctor` against a good installation, and against everything that can be wrong with one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from ops.checks.dynamics import NEEDED, OPTIONAL
from ops.checks.outreach import SCOPES
from tests.ops.commands import Commands, Result, problems, saved
from tests.outreach.samples import mapping_file

ROOT = Path(__file__).parents[2]


def notes(result: Result) -> list[str]:
    """What was found to note."""
    return [one["what"] for one in result.document["findings"] if one["state"] == "warning"]


def states(result: Result) -> dict[str, set[str]]:
    """The states found by area."""
    found: dict[str, set[str]] = {}
    for finding in result.document["findings"]:
        found.setdefault(finding["area"], set()).add(finding["state"])
    return found


def test_doctor_is_content_with_a_good_installation(ops: Commands) -> None:
    """With a webhook there is nothing to mend."""
    ops.run("webhooks", "register", "--resource", "*")
    result = ops.run("doctor", "--json")
    assert (result.code, problems(result)) == (0, [])
    assert set(states(result)) == {"Settings", "Storage", "Dynamics", "Mapping", "Outreach", "The app"}
    assert result.document["ok"]


def test_the_privileges_are_those_that_the_set_up_asks_for() -> None:
    """The doctor looks for what the set-up instructions say to give, and for nothing else."""
    said = set(re.findall(r"`(prv[A-Za-z]+)`", (ROOT / "infra/README.md").read_text()))
    assert said - {"prvReadAccount", "prvAppendToAccount"} == {*NEEDED, *OPTIONAL}


def test_doctor_lists_every_bad_setting_and_looks_no_further(ops: Commands) -> None:
    """What depends on settings is skipped, not guessed."""
    result = ops.run("doctor", "--json", DATAVERSE_URL="https://evil.example.com", SYNC_PUSHING="perhaps")
    assert result.code == 1
    assert len([one for one in result.document["findings"] if one["area"] == "Settings"]) == 2
    assert states(result)["Dynamics"] == {"skipped"}


def test_doctor_tells_of_a_secret_that_is_none_and_looks_on(ops: Commands) -> None:
    """A short secret is to be mended, and takes nothing from the other checks."""
    result = ops.run("doctor", "--json", OUTREACH_WEBHOOK_SECRET="fifteen letters")
    assert result.code == 1
    assert any(problem.startswith("OUTREACH_WEBHOOK_SECRET has fewer than 16") for problem in problems(result))
    assert states(result)["Dynamics"] != {"skipped"}


def test_without_its_key_the_app_says_which_part_and_no_more(ops: Commands) -> None:
    """With the admin key its reasons come along; with a wrong one it is told so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = self.headers.get("x-functions-key")
            self.send_response(401 if key == "wrong" else 200)
            self.end_headers()
            reason = ', "reason": "no such queue"' if (self.path, key) == ("/api/status", "right") else ""
            self.wfile.write(f'{{"parts": {{"queue": {{"status": "unreachable"{reason}}}}}}}'.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with answering(Answer) as url:
        found = [
            [
                one
                for one in problems(ops.run("doctor", "--json", "--url", url, OPS_APP_KEY=key))
                if "queue" in one or "key" in one
            ]
            for key in ("", "right", "wrong")
        ]
    assert found[0] == ["queue: not ok. Put the app's admin (master) key into OPS_APP_KEY, and the app says why."]
    assert found[1] == ["queue: no such queue "]
    assert found[2][0].startswith("The app does not accept the key.")


def test_doctor_tells_what_is_left_of_the_example(ops: Commands) -> None:
    """Who copies the example and fills in half of it is told of the other half."""
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    found = problems(ops.run("doctor", "--json", **{**example, "AzureWebJobsStorage": "x"}))
    for name in ("OUTREACH_WEBHOOK_SECRET", "DATAVERSE_URL"):
        assert any(problem.startswith(f"{name} still has the value of") for problem in found)


def test_doctor_notes_a_misspelt_setting_here_and_in_the_app(ops: Commands) -> None:
    """It stops nothing, here or there, but somebody believes that it does something."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"parts": {"settings": {"status": "ok", "reason": "SYNC_PUSHIN is no setting"}}}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ops.run("webhooks", "register", "--resource", "*")
    here = ops.run("doctor", "--json", SYNC_ONCANCEL="cancel")
    with answering(Answer) as url:
        there = ops.run("doctor", "--json", "--url", url)
    assert here.code == 0
    assert "SYNC_ONCANCEL is no setting, so it does nothing. Is SYNC_ON_CANCEL meant?" in notes(here)
    assert "settings: SYNC_PUSHIN is no setting" in notes(there)


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"missing_privileges": ["prvWriteActivity"]}, "prvWriteActivity"),
        ({"optimistic_concurrency": False}, "Optimistic concurrency is off"),
    ],
)
def test_doctor_finds_what_is_wrong_in_dynamics(ops: Commands, switches: dict[str, Any], said: str) -> None:
    """A missing privilege and a table without optimistic concurrency are found before an event finds them."""
    ops.dataverse("switches", switches)
    result = ops.run("doctor", "--json")
    assert result.code == 1
    assert any(said in problem for problem in problems(result))


def test_doctor_notes_the_two_privileges_that_can_be_missed(ops: Commands) -> None:
    """Without them the sync goes on, and the note says what is lost."""
    ops.dataverse("switches", {"override_created_on": "refuse", "act_on_behalf": "refuse"})
    found = notes(ops.run("doctor", "--json"))
    assert any("prvOverrideCreatedOnCreatedBy" in note for note in found)
    assert any("prvActOnBehalfOfAnotherUser" in note for note in found)


def test_doctor_notes_privileges_that_do_not_reach_everywhere(ops: Commands) -> None:
    """With User level the contacts of others are nobody, and nothing else would say why."""
    ops.dataverse("switches", {"privilege_depth": "Basic"})
    found = notes(ops.run("doctor", "--json"))
    assert any("part of the organization" in note and "prvReadContact" in note for note in found)


def test_doctor_looks_at_the_apps_own_user(ops: Commands) -> None:
    """AZURE_CLIENT_ID names the user whose privileges count, and must be one in Dynamics."""
    known = ops.run("doctor", "--json", AZURE_CLIENT_ID="1b000000-0000-4000-8000-000000000000")
    unknown = ops.run("doctor", "--json", AZURE_CLIENT_ID="1b000000-0000-4000-8000-000000000099")
    assert any("The app is user 10000000" in one["what"] for one in known.document["findings"])
    assert any("No application user has client id" in problem for problem in problems(unknown))


def test_doctor_finds_missing_scopes(ops: Commands, tmp_path: Path) -> None:
    """Each scope is tried by a small read, and named; that of the events API only where it is read."""
    ops.outreach("switches", {"missing_scopes": ["events.read", "webhooks.read"]})
    found = problems(ops.run("doctor", "--json"))
    assert any("webhooks.all" in problem for problem in found)
    assert not any("events.read" in problem for problem in found)
    found = problems(ops.run("doctor", "--json", MAPPING_FILE=mapping_file(tmp_path, "event")))
    assert any("events.read" in problem for problem in found)


def test_the_scopes_are_those_that_the_set_up_asks_for() -> None:
    """The doctor looks for what the set-up instructions say to give."""
    said = set(re.findall(r"^ *\| `(\w+\.(?:read|all))` \|", (ROOT / "infra/README.md").read_text(), re.MULTILINE))
    assert said == set(SCOPES.values())


def test_doctor_finds_an_address_that_is_not_the_api(ops: Commands) -> None:
    """Where Outreach knows no users, the address is wrong, and no scope is."""
    ops.outreach("faults", {"next": [{"kind": "404"}]})
    found = [problem for problem in problems(ops.run("doctor", "--json")) if "Outreach" in problem]
    assert len(found) == 1
    assert "no users at this address (HTTP 404). Is OUTREACH_API_URL right?" in found[0]


def test_doctor_finds_refused_credentials(ops: Commands) -> None:
    """A token that Outreach does not take is one problem, not five."""
    result = ops.run("doctor", "--json", OUTREACH_API_TOKEN="nonsense")
    assert [one["state"] for one in result.document["findings"] if one["area"] == "Outreach"] == ["problem"]


def test_doctor_finds_a_webhook_that_does_not_work(ops: Commands) -> None:
    """None, disabled, for another resource, with another secret: each is reported with what to do."""
    assert any("No webhook leads to" in problem for problem in problems(ops.run("doctor", "--json")))
    attributes = {
        "resource": "account",
        "action": "*",
        "url": f"{ops.stack.host_url}/api/outreach/events",
        "secret": "another",
        "active": True,
        "disabledReason": "too many failures",
        "disabledSince": "2026-01-01T00:00:00Z",
    }
    ops.outreach("seed", {"webhooks": [{"id": 5, "attributes": attributes}]})
    found = " ".join(problems(ops.run("doctor", "--json")))
    for said in ("too many failures", "another secret", "No webhook is for a resource of the mapping"):
        assert said in found


def test_doctor_asks_for_no_webhook_where_none_is_used(ops: Commands, tmp_path: Path) -> None:
    """With the guard off neither a webhook nor its scope is missed; but then the mapping must read the events API."""
    ops.outreach("switches", {"missing_scopes": ["webhooks.read"]})
    assert any("webhooks.all" in problem for problem in problems(ops.run("doctor", "--json")))
    reads_events = mapping_file(tmp_path, "event")
    result = ops.run("doctor", "--json", SYNC_SUBSCRIPTION_GUARD="off", MAPPING_FILE=reads_events)
    assert problems(result) == []
    assert any("No webhook is used" in one["what"] for one in result.document["findings"] if one["state"] == "ok")
    (problem,) = problems(ops.run("doctor", "--json", SYNC_SUBSCRIPTION_GUARD="off"))
    assert "does not read Outreach's events either" in problem
    assert "resources.event.enabled" in problem


def test_doctor_leaves_nothing_behind(ops: Commands) -> None:
    """The probes in queue and tables are taken away again."""
    queue = QueueClient.from_connection_string(ops.environment["AzureWebJobsStorage"], "outreach-events")
    before = ops.run("deadletters", "list", "--json").document["count"]
    ops.run("doctor")
    with queue:
        assert queue.get_queue_properties().approximate_message_count == 0
    assert ops.run("deadletters", "list", "--json").document["count"] == before


def test_doctor_holds_the_mapping_against_saved_metadata(ops: Commands, tmp_path: Path) -> None:
    """--metadata takes the place of the live columns."""
    path = saved(tmp_path, {"value": [{"LogicalName": "subject", "AttributeType": "Integer"}]}, "metadata.json")
    assert any("no column location" in problem for problem in problems(ops.run("doctor", "--json", "--metadata", path)))


def test_doctor_with_dynamics_away(ops: Commands, tmp_path: Path) -> None:
    """The mapping cannot be held against the live table then, but against saved metadata it can."""
    away = {"DATAVERSE_URL": "http://127.0.0.1:9"}
    assert states(ops.run("doctor", "--json", **away))["Mapping"] == {"skipped"}
    path = saved(tmp_path, {"value": [{"LogicalName": "subject", "AttributeType": "String"}]}, "metadata.json")
    assert "problem" in states(ops.run("doctor", "--json", "--metadata", path, **away))["Mapping"]


def test_doctor_where_something_else_answers(ops: Commands) -> None:
    """A gateway's page instead of Dynamics or Outreach is a finding, and all else is reported all the same."""
    with sign_in_page() as url:
        result = ops.run("doctor", "--json", DATAVERSE_URL=url, OUTREACH_API_URL=url)
        mapping = ops.run("mapping", "check", "--live", "--json", DATAVERSE_URL=url)
    assert result.code == mapping.code == 1
    assert any("DATAVERSE_URL" in problem for problem in problems(result))
    assert any("without data" in problem and "OUTREACH_API_URL" in problem for problem in problems(result))
    assert "ok" in states(result)["Storage"]
    assert "DATAVERSE_URL" in mapping.document["error"]["message"]


@contextmanager
def sign_in_page() -> Iterator[str]:
    """A server whose answer to everything is 200 and a page; yields its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with answering(Page) as url:
        yield url


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server that answers as `handler` does; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_doctor_looks_at_the_app_with_bad_settings_here(ops: Commands) -> None:
    """Settings that are wrong on the admin's machine say nothing of the app's."""
    findings = ops.run("doctor", "--json", SYNC_PUSHING="perhaps").document["findings"]
    assert [one["state"] for one in findings if one["what"].startswith("settings:")] == ["ok"]


def test_doctor_with_storage_away(ops: Commands) -> None:
    """Unreachable storage is reported with the roles that are needed, and the rest is looked at all the same."""
    away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=" + base64.b64encode(b"k").decode()
    away += ";QueueEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a;"
    result = ops.run("doctor", "--json", AzureWebJobsStorage=away)
    assert states(result)["Storage"] == {"problem"}
    assert any("AzureWebJobsStorage" in problem for problem in problems(result))
    assert "ok" in states(result)["Dynamics"]
