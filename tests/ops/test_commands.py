"""Every command against the running stack: what it prints, what it does, and its exit code."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from ops.checks.dynamics import NEEDED, OPTIONAL
from sandbox.dataverse.privileges import PRIVILEGES
from shared.core.mapping import DEFAULT_MAPPING_FILE
from tests.ops.commands import Commands, Result, booked, saved
from tests.ops.exports import good, row, write_csv

ROOT = Path(__file__).parents[2]
KEYS_AND_SECRETS = ("sandbox-admin-key", "sandbox-function-key", "sandbox-webhook-secret", "sandbox-outreach-api-token")


def states(result: Result) -> dict[str, set[str]]:
    """The states found by area."""
    found: dict[str, set[str]] = {}
    for finding in result.document["findings"]:
        found.setdefault(finding["area"], set()).add(finding["state"])
    return found


def bad(result: Result) -> list[str]:
    return [f"{one['what']} {one['fix']}" for one in result.document["findings"] if one["state"] == "problem"]


# --- send-test, status, dead letters ---


def test_send_test_goes_all_the_way_and_nothing_reaches_dynamics(ops: Commands) -> None:
    """Without a file the delivery is parked in its row: the way is proven, and Dynamics is not touched."""
    result = ops.run("send-test", "--json")
    assert result.code == 0
    assert result.document["journal"]["outcome"] == "parked"
    assert result.document["journal"]["meetingId"] == "meeting:ops-test"
    assert ops.dataverse("state")["appointments"] == []


def test_send_test_with_a_file_and_status(ops: Commands, tmp_path: Path) -> None:
    """A file is sent as it is; status finds its event and its meeting."""
    sent = ops.run("send-test", saved(tmp_path, booked(901)), "--json")
    assert (sent.code, sent.document["journal"]["outcome"]) == (0, "created")
    event = ops.run("status", sent.document["answer"]["correlationId"], "--json")
    meeting = ops.run("status", "901")
    assert (event.code, event.document["meetingId"]) == (0, "meeting:901")
    assert meeting.code == 0
    assert "in Dynamics" in meeting.out
    assert "Intro call" in meeting.out


def test_send_test_says_when_the_secret_is_wrong(ops: Commands) -> None:
    """The app's own words come through, and the exit code is 1."""
    result = ops.run("send-test", OUTREACH_WEBHOOK_SECRET="another-secret")
    assert result.code == 1
    assert "The signature does not fit the body." in result.err


def test_send_test_of_another_resource_is_ignored(ops: Commands, tmp_path: Path) -> None:
    """What the mapping does not name ends there, and that is all right."""
    result = ops.run("send-test", saved(tmp_path, {"data": {"type": "prospect", "id": 1}}))
    assert result.code == 0
    assert "the app forgets it" in result.out


def test_an_unknown_meeting_and_event(ops: Commands) -> None:
    """Unknown is exit code 1, with a sentence."""
    meeting, event = ops.run("status", "424242"), ops.run("status", "0" * 31 + "1", "--json")
    assert (meeting.code, event.code) == (1, 1)
    assert "No event of meeting 424242" in meeting.err
    assert event.document["error"]["code"] == "not_found"


def test_an_id_with_slashes_stays_an_id(ops: Commands) -> None:
    """An id cannot lead to another route."""
    assert "No event of meeting" in ops.run("status", "../health").err


def test_dead_letters_are_listed_and_replayed(ops: Commands, tmp_path: Path) -> None:
    """What Dynamics refuses for good is listed with the reason; mended and replayed, it is done."""
    ops.dataverse("switches", {"missing_privileges": ["prvCreateActivity"]})
    sent = ops.run("send-test", saved(tmp_path, booked(902)), "--json")
    correlation_id = sent.document["answer"]["correlationId"]
    assert (sent.code, sent.document["journal"]["outcome"]) == (1, "dead-lettered")
    listed = ops.run("deadletters", "list")
    assert listed.code == 1
    assert correlation_id in listed.out
    assert "security role" in listed.out
    assert ops.run("status", "902").code == 1
    ops.dataverse("switches", {"missing_privileges": []})
    replayed = ops.run("deadletters", "replay", correlation_id, "--json")
    assert (replayed.code, replayed.document["replayed"]) == (0, 1)
    assert ops.run("send-test", saved(tmp_path, booked(902, title="Again"), "again.json")).code == 0
    assert ops.run("deadletters", "list").code == 0


def test_replay_wants_to_know_what(ops: Commands) -> None:
    """Neither ids nor --all, or both, is wrong usage; an id that is none of them is found out."""
    assert ops.run("deadletters", "replay").code == 2
    assert ops.run("deadletters", "replay", "--all", "0" * 32).code == 2
    assert ops.run("deadletters", "replay", "0" * 32).code == 1


# --- preview, mapping ---


@pytest.mark.parametrize("url", ["http", None])
def test_preview_by_the_app_and_by_itself_say_the_same(ops: Commands, tmp_path: Path, url: str | None) -> None:
    """With an address the app is asked, without one it is worked out here: the same answer."""
    asked = ops.run("preview", saved(tmp_path, booked(903)), "--json", OPS_APP_URL=ops.stack.host_url if url else None)
    assert (asked.code, asked.document["outcome"]) == (0, "created")
    assert asked.document["requests"][0]["body"]["subject"] == "Intro call"
    assert ops.dataverse("state")["appointments"] == []


def test_preview_of_what_cannot_be_carried_out(ops: Commands, tmp_path: Path) -> None:
    """A delivery that would become a dead letter is exit code 1."""
    result = ops.run("preview", saved(tmp_path, booked(904, endTime="2026-03-01T15:00:00Z")))
    assert result.code == 1
    assert "before it starts" in result.out


@pytest.mark.parametrize(("content", "code"), [("{", 2), ('{"data": 1}', 1)])
def test_preview_of_what_is_no_delivery(ops: Commands, tmp_path: Path, content: str, code: int) -> None:
    """A file that is no JSON is wrong usage; JSON that is no delivery is told by its member."""
    path = tmp_path / "file.json"
    path.write_text(content)
    assert ops.run("preview", str(path)).code == code


def test_mapping_is_shown(ops: Commands) -> None:
    """All rows stand there, with the conditions in words."""
    result = ops.run("mapping", "show", "--json")
    assert [row["row"] for row in result.document["rows"]][:3] == ["Booked Date", "Booker", "Title"]
    assert "prospects is set" in result.document["createConditions"]
    assert "A new appointment needs: prospects is set." in ops.run("mapping", "show").out


def test_mapping_is_checked_against_the_live_columns(ops: Commands, tmp_path: Path) -> None:
    """A column that an administrator has not made yet is found, and then found to be there."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    content["rows"][4] |= {"column": "new_place"}
    path = saved(tmp_path, content, "mapping.json")
    assert "no column new_place" in bad(ops.run("mapping", "check", path, "--live", "--json"))[0]
    ops.dataverse("columns", {"columns": [{"name": "new_place", "type": "String", "max_length": 200}]})
    assert ops.run("mapping", "check", path, "--live").code == 0


def test_a_mistake_in_the_mapping_is_told_by_its_place(ops: Commands, tmp_path: Path) -> None:
    """Every problem of the file, without needing any service."""
    path = saved(tmp_path, {"version": 1, "resources": {}, "rows": []}, "mapping.json")
    result = ops.run("mapping", "check", path)
    assert result.code == 1
    assert "mapping.json: rows" in result.out


# --- webhooks ---


def webhooks(ops: Commands) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ops.outreach("state")["webhooks"]
    return found


def test_registering_meeting_where_outreach_refuses_says_what_to_do_instead(ops: Commands) -> None:
    """The 422 becomes three ways on, and nothing is registered."""
    result = ops.run("webhooks", "register", "--resource", "meeting")
    assert result.code == 1
    for way in ("--resource '*'", "resources.event.enabled", "Outreach's support"):
        assert way in " ".join(result.err.split())
    assert webhooks(ops) == []


def test_register_without_resources_takes_those_of_the_mapping(ops: Commands) -> None:
    """Where Outreach allows meetings, each resource of the mapping gets a webhook with the app's secret and key."""
    ops.outreach("switches", {"meeting_webhooks": "allow"})
    assert ops.run("webhooks", "register").code == 0
    made = [one["attributes"] for one in webhooks(ops)]
    assert [one["resource"] for one in made] == ["meeting", "calendarEvent"]
    assert {one["url"] for one in made} == {f"{ops.stack.host_url}/api/outreach/events?code=sandbox-function-key"}
    assert {one["secret"] for one in made} == {"sandbox-webhook-secret"}


def test_registering_twice_makes_one_and_wakes_a_disabled_one(ops: Commands) -> None:
    """A webhook that is there stays; one that Outreach disabled is switched on again."""
    for expected in ("registered", "was there already"):
        result = ops.run("webhooks", "register", "--resource", "*", "--json")
        assert result.document["webhooks"][0]["done"] == expected
    (one,) = webhooks(ops)
    disabled = {"disabledReason": "timeouts", "disabledSince": "2026-01-01T00:00:00Z"}
    ops.outreach("update", {"collection": "webhooks", "id": one["id"], "attributes": disabled})
    assert "disabled: timeouts" in ops.run("webhooks", "list").out
    again = ops.run("webhooks", "register", "--resource", "*", "--json")
    assert again.document["webhooks"][0]["done"] == "switched on again"
    assert webhooks(ops)[0]["attributes"]["disabledReason"] is None


def test_a_registered_webhook_is_removed(ops: Commands) -> None:
    """Removing tells of each id whether it was there."""
    ops.run("webhooks", "register", "--resource", "*")
    number = str(webhooks(ops)[0]["id"])
    result = ops.run("webhooks", "remove", number, "77")
    assert result.code == 1
    assert f"Webhook {number}: removed." in result.out
    assert "Webhook 77: there is none." in result.out
    assert webhooks(ops) == []
    assert ops.run("webhooks", "remove", "1/../users").code == 2


def test_rotating_begins_in_the_settings(ops: Commands) -> None:
    """Without both secrets the command explains the first step and changes nothing."""
    result = ops.run("webhooks", "rotate-secret")
    assert result.code == 1
    assert "OUTREACH_WEBHOOK_SECRET_PREVIOUS" in result.err


def test_outreach_gets_no_secret_that_the_app_does_not_accept(ops: Commands) -> None:
    """While the app knows only the old secret, the webhooks keep it."""
    ops.run("webhooks", "register", "--resource", "*")
    settings = {
        "OUTREACH_WEBHOOK_SECRET": "the-new-secret",
        "OUTREACH_WEBHOOK_SECRET_PREVIOUS": "sandbox-webhook-secret",
    }
    result = ops.run("webhooks", "rotate-secret", **settings)
    assert result.code == 1
    assert "does not accept the OUTREACH_WEBHOOK_SECRET of these settings yet" in " ".join(result.err.split())
    assert webhooks(ops)[0]["attributes"]["secret"] == "sandbox-webhook-secret"


def test_an_accepted_secret_goes_to_the_webhooks(ops: Commands) -> None:
    """When the app accepts both, every webhook that leads to it gets the new one, and no other."""
    ops.run("webhooks", "register", "--resource", "*")
    other = {
        "resource": "account",
        "action": "*",
        "url": "https://example.com/hook",
        "secret": "theirs",
        "active": True,
    }
    ops.outreach("seed", {"webhooks": [{"id": 5, "attributes": other}]})
    settings = {
        "OUTREACH_WEBHOOK_SECRET": "the-new-secret",
        "OUTREACH_WEBHOOK_SECRET_PREVIOUS": "sandbox-webhook-secret",
    }
    ops.stack.host.restart(**settings)
    try:
        result = ops.run("webhooks", "rotate-secret", **settings)
    finally:
        back = {"OUTREACH_WEBHOOK_SECRET": "sandbox-webhook-secret", "OUTREACH_WEBHOOK_SECRET_PREVIOUS": ""}
        ops.stack.host.restart(**back)
    assert result.code == 0
    assert {one["attributes"]["secret"] for one in webhooks(ops)} == {"the-new-secret", "theirs"}
    assert "the-new-secret" not in result.out


def test_no_command_prints_a_key_or_secret(ops: Commands, tmp_path: Path) -> None:
    """Neither keys nor secrets nor cleanup tokens come out, not even as JSON."""
    ops.run("webhooks", "register", "--resource", "*")
    hidden = [*KEYS_AND_SECRETS, webhooks(ops)[0]["attributes"]["cleanupToken"]]
    for arguments in (
        ("webhooks", "list"),
        ("webhooks", "register", "--resource", "*"),
        ("doctor",),
        ("send-test",),
        ("preview", saved(tmp_path, booked(905))),
    ):
        for form in ((), ("--json",)):
            result = ops.run(*arguments, *form)
            assert [word for word in hidden if word in result.out + result.err] == [], arguments


# --- doctor ---


def test_doctor_is_content_with_a_good_installation(ops: Commands) -> None:
    """With a webhook there is nothing to mend but the privileges that the stand-in does not know."""
    ops.run("webhooks", "register", "--resource", "*")
    result = ops.run("doctor", "--json")
    unknown = set(NEEDED) - set(PRIVILEGES)
    assert [problem for problem in bad(result) if not any(name in problem for name in unknown)] == []
    assert set(states(result)) == {"Settings", "Storage", "Dynamics", "Mapping", "Outreach", "The app"}
    assert result.document["ok"] == (not unknown)


def test_the_privileges_are_those_that_the_set_up_asks_for() -> None:
    """The doctor looks for what the set-up instructions say to give, and for nothing else."""
    said = set(re.findall(r"`(prv[A-Za-z]+)`", (Path(__file__).parents[2] / "infra/README.md").read_text()))
    assert said - {"prvReadAccount", "prvAppendToAccount"} == {*NEEDED, *OPTIONAL}


def test_doctor_lists_every_bad_setting_and_looks_no_further(ops: Commands) -> None:
    """What depends on settings is skipped, not guessed."""
    result = ops.run("doctor", "--json", DATAVERSE_URL="https://evil.example.com", SYNC_PUSHING="perhaps")
    assert result.code == 1
    assert len([one for one in result.document["findings"] if one["area"] == "Settings"]) == 2
    assert states(result)["Dynamics"] == {"skipped"}


@pytest.mark.parametrize(
    ("switches", "told"),
    [
        ({"missing_privileges": ["prvWriteActivity"]}, "prvWriteActivity"),
        ({"optimistic_concurrency": False}, "Optimistic concurrency is off"),
    ],
)
def test_doctor_finds_what_is_wrong_in_dynamics(ops: Commands, switches: dict[str, Any], told: str) -> None:
    """A missing privilege and a table without optimistic concurrency are found before an event finds them."""
    ops.dataverse("switches", switches)
    result = ops.run("doctor", "--json")
    assert result.code == 1
    assert any(told in problem for problem in bad(result))


def test_doctor_notes_the_two_privileges_that_can_be_missed(ops: Commands) -> None:
    """Without them the sync goes on, and the note says what is lost."""
    ops.dataverse("switches", {"override_created_on": "refuse", "act_on_behalf": "refuse"})
    notes = [one["what"] for one in ops.run("doctor", "--json").document["findings"] if one["state"] == "warning"]
    assert any("prvOverrideCreatedOnCreatedBy" in note for note in notes)
    assert any("prvActOnBehalfOfAnotherUser" in note for note in notes)


def test_doctor_looks_at_the_apps_own_user(ops: Commands) -> None:
    """AZURE_CLIENT_ID names the user whose privileges count, and must be one in Dynamics."""
    known = ops.run("doctor", "--json", AZURE_CLIENT_ID="1b000000-0000-4000-8000-000000000000")
    unknown = ops.run("doctor", "--json", AZURE_CLIENT_ID="1b000000-0000-4000-8000-000000000099")
    assert any("The app is user 10000000" in one["what"] for one in known.document["findings"])
    assert any("No application user has client id" in problem for problem in bad(unknown))


def test_doctor_finds_missing_scopes(ops: Commands) -> None:
    """Each scope is tried by a small read, and named."""
    ops.outreach("switches", {"missing_scopes": ["events.read", "webhooks.read"]})
    problems = bad(ops.run("doctor", "--json"))
    assert any("events.read" in problem for problem in problems)
    assert any("webhooks.all" in problem for problem in problems)


def test_doctor_finds_refused_credentials(ops: Commands) -> None:
    """A token that Outreach does not take is one problem, not five."""
    result = ops.run("doctor", "--json", OUTREACH_API_TOKEN="nonsense")
    assert [one["state"] for one in result.document["findings"] if one["area"] == "Outreach"] == ["problem"]


def test_doctor_finds_a_webhook_that_does_not_work(ops: Commands) -> None:
    """None, disabled, for another resource, with another secret: each is told with what to do."""
    assert any("No webhook leads to" in problem for problem in bad(ops.run("doctor", "--json")))
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
    problems = " ".join(bad(ops.run("doctor", "--json")))
    for told in ("too many failures", "another secret", "No webhook is for a resource of the mapping"):
        assert told in problems


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
    assert any("no column location" in problem for problem in bad(ops.run("doctor", "--json", "--metadata", path)))


def test_doctor_with_storage_away(ops: Commands) -> None:
    """Unreachable storage is told with the roles that are needed, and the rest is looked at all the same."""
    away = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=" + base64.b64encode(b"k").decode()
    away += ";QueueEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a;"
    result = ops.run("doctor", "--json", AzureWebJobsStorage=away)
    assert states(result)["Storage"] == {"problem"}
    assert "ok" in states(result)["Dynamics"]


# --- backfill ---


def test_backfill_runs_to_the_end_and_counts(ops: Commands, tmp_path: Path) -> None:
    """Good rows become appointments, bad ones a line in the rejects file, and exit code 1 says so."""
    path = write_csv(tmp_path / "meetings.csv", [row(1), row(2), row(17), row(60), row(3, PROSPECT_IDS="[]")])
    dry = ops.run("backfill", str(path), "--dry-run")
    assert (dry.code, "nothing was queued" in dry.out) == (1, True)
    result = ops.run("backfill", str(path), "--rate", "100", "--json")
    assert result.code == 1
    assert result.document["outcomes"] == {"created": 2, "parked": 1}
    assert result.document["reasons"] == [{"outcome": "parked", "reason": "The meeting has no prospect.", "rows": 1}]
    assert "ID is empty" in Path(result.document["rejectsFile"]).read_text()
    assert subjects(ops) == ["Meeting 1", "Meeting 2"]


def test_a_finished_file_is_only_counted_again(ops: Commands, tmp_path: Path) -> None:
    """A finished file is not queued once more; --again queues it, and nothing is written by that."""
    path = str(write_csv(tmp_path / "meetings.csv", [row(4), row(5)]))
    assert ops.run("backfill", path, "--rate", "100").code == 0
    first = ops.dataverse("counters")
    assert ops.run("backfill", path, "--json").document["outcomes"] == {"created": 2}
    assert ops.run("backfill", path, "--again", "--rate", "100").code == 0
    assert ops.dataverse("counters") == first


def test_a_killed_backfill_goes_on(ops: Commands, tmp_path: Path) -> None:
    """SIGKILL twice, resume: each good row is one appointment that was written once, each bad row one line."""
    numbers = range(301, 421)  # of no other test: the app remembers meetings from one to the next
    expected = sorted(f"Meeting {number}" for number in good(420) if number in numbers)
    path = write_csv(tmp_path / "meetings.csv", (row(number) for number in numbers))
    progress = path.with_name("meetings.csv.progress.json")
    command = [sys.executable, "-m", "ops", "backfill", str(path), "--rate", "100", "--json"]

    def start() -> subprocess.Popen[bytes]:
        environment = {**os.environ, **ops.environment}
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE)  # noqa: S603 - our own command

    def reached(row_number: int) -> bool:
        return progress.exists() and json.loads(progress.read_text())["row"] >= row_number

    for kill_at in (30, 75):
        with start() as running:
            while not reached(kill_at) and running.poll() is None:
                time.sleep(0.01)
            assert running.poll() is None, "it was over before it could be killed"
            running.kill()
    with start() as running:
        out, _ = running.communicate()
    document = json.loads(out)
    assert document["outcomes"] == {"created": len(expected)}
    assert (document["queued"], document["rejected"]) == (len(expected), 3)
    assert subjects(ops) == expected
    assert ops.dataverse("counters")["PATCH appointments 201"] == len(expected)
    assert "PATCH appointments 200" not in ops.dataverse("counters")


def subjects(ops: Commands) -> list[str]:
    return sorted(one["subject"] for one in ops.dataverse("state")["appointments"])


def test_backfill_of_what_is_no_export(ops: Commands, tmp_path: Path) -> None:
    """A wrong file is wrong usage."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary,\n")
    assert ops.run("backfill", str(path)).code == 2
    assert ops.run("backfill", str(tmp_path / "missing.csv")).code == 2


# --- keys, addresses, settings ---


@pytest.mark.parametrize("command", [("status", "5"), ("deadletters", "list"), ("send-test",)])
@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"OPS_APP_URL": None}, 2, "--url"),
        ({"OPS_APP_URL": "http://sync.example.com"}, 2, "https://"),
        ({"OPS_APP_KEY": None}, 2, "OPS_APP_KEY is not set"),
        ({"OPS_APP_KEY": "wrong"}, 1, "does not accept the key"),
        ({"OPS_APP_URL": "http://127.0.0.1:9"}, 1, "does not answer"),
    ],
)
def test_remote_commands_say_what_is_missing(
    ops: Commands, command: tuple[str, ...], changes: dict[str, str | None], code: int, told: str
) -> None:
    """Address and key are asked for, never guessed, and a key goes to https or this machine only."""
    result = ops.run(*command, **changes)
    assert result.code == code
    assert told in " ".join(result.err.split())


def test_the_key_may_have_another_name(ops: Commands) -> None:
    """--key-env names the variable; the key itself is never an option."""
    result = ops.run("deadletters", "list", "--key-env", "MY_KEY", OPS_APP_KEY=None, MY_KEY="sandbox-admin-key")
    assert result.code in {0, 1}
    assert result.err == ""


def test_settings_may_come_from_a_file(ops: Commands, tmp_path: Path) -> None:
    """A local.settings.json fills in what the environment does not say."""
    names = [name for name in ops.environment if name.startswith(("OUTREACH_", "DATAVERSE_", "AzureWebJobs"))]
    path = saved(tmp_path, {"Values": {name: ops.environment[name] for name in names}}, "local.settings.json")
    result = ops.run("webhooks", "list", "--settings", path, **dict.fromkeys(names))
    assert result.code == 0
    broken = saved(tmp_path, {"Values": "none"}, "broken.json")
    assert ops.run("webhooks", "list", "--settings", broken).code == 2
