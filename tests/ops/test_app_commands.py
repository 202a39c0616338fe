"""Commands that talk to the running app, and those that look at mapping and preview: what they print and do."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ops.settings import running
from shared.mapping_file import DEFAULT_MAPPING_FILE
from shared.storage.dead_letters import DeadLetter
from shared.storage.envelope import Envelope
from shared.timestamps import sortable
from tests.ops.commands import Commands, booked, problems, saved


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


def test_status_alone_is_that_of_the_app(ops: Commands) -> None:
    """Each part, and the reason where one is not well; then the exit code is 1."""
    result = ops.run("status", "--json")
    assert (result.code, result.document["status"]) == (0, "ok")
    assert result.document["parts"]["dataverse"] == {"status": "ok"}
    assert "ok" in ops.run("status").out
    ops.stack.host.restart(SYNC_PUSHING="perhaps")
    try:
        result = ops.run("status")
    finally:
        ops.stack.host.restart(SYNC_PUSHING="true")
    assert (result.code, "SYNC_PUSHING is neither true nor false." in result.out) == (1, True)


def test_send_test_says_when_the_secret_is_wrong(ops: Commands) -> None:
    """The app's own words come through, and the exit code is 1."""
    result = ops.run("send-test", OUTREACH_WEBHOOK_SECRET="another-long-secret")
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
    assert "Nothing is known of meeting 424242" in meeting.err
    assert event.document["error"]["code"] == "not_found"


def test_an_ignored_event_is_not_said_to_wait(ops: Commands, tmp_path: Path) -> None:
    """It has no journal, and never will: whoever looks it up is told where it stands."""
    sent = ops.run("send-test", saved(tmp_path, {"data": {"type": "prospect", "id": 1}}), "--json")
    correlation_id = sent.document["answer"]["correlationId"]
    assert "stands in its log only" in " ".join(ops.run("status", correlation_id).err.split())
    url, key = f"{ops.stack.host_url}/api/correlations/{correlation_id}", ops.stack.access.admin_key
    answer = httpx.get(url, headers={"x-functions-key": key})
    assert "`ignored`" in answer.json()["error"]["message"]


def test_an_id_with_slashes_stays_an_id(ops: Commands) -> None:
    """An id cannot lead to another route."""
    assert "Nothing is known of meeting" in ops.run("status", "../health").err


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
    unknown = ops.run("deadletters", "replay", "0" * 32, "--json")
    assert (unknown.code, unknown.document["unknown"]) == (1, ["0" * 32])


def test_a_dead_letter_is_dismissed(ops: Commands, tmp_path: Path) -> None:
    """It leaves the list, and status says why; what came with the reason is text to the terminal."""
    sent = ops.run("send-test", saved(tmp_path, booked(909, startTime="nonsense")), "--json")
    correlation_id = sent.document["answer"]["correlationId"]
    assert ops.run("status", "909").code == 1
    pasted = f"{correlation_id[:8]}-{correlation_id[8:]}".upper()
    done = ops.run("deadletters", "dismiss", pasted, "--reason", "Deleted in [red]Outreach\u202e.", "--json")
    assert (done.code, done.document["dismissed"], done.document["notDismissed"]) == (0, 1, [])
    assert correlation_id not in ops.run("deadletters", "list", "--json").out
    event = ops.run("status", correlation_id)
    assert event.code == 0
    assert "dismissed      Deleted in [red]Outreach\\u202e." in event.out
    assert "an ISO 8601 time was expected" in event.out
    meeting = ops.run("status", "909")
    assert (meeting.code, "dismissed" in meeting.out) == (0, True)


def test_dismiss_wants_to_know_which_and_why(ops: Commands) -> None:
    """Without ids or a reason it is wrong usage; an id that is none of them is reported, and there is no --all."""
    for wrong in (("dismiss",), ("dismiss", "0" * 32), ("dismiss", "--reason", "x"), ("dismiss", "--all")):
        assert ops.run("deadletters", *wrong).code == 2
    blank = ops.run("deadletters", "dismiss", "0" * 32, "--reason", " ", "--json")
    assert (blank.code, blank.document["error"]["code"]) == (1, "bad_reason")
    unknown = ops.run("deadletters", "dismiss", "0" * 32, "--reason", "Deleted.")
    assert unknown.code == 1
    assert "0" * 32 in unknown.out


def test_many_dead_letters_are_told_by_their_reasons(ops: Commands) -> None:
    """Of many the latest are shown, and how often each reason stands; --json has all."""
    now = datetime.now(UTC) - timedelta(hours=1)  # what is older than the retention is forgotten meanwhile

    async def fill() -> None:
        async with running(ops.environment) as runtime:
            for number in range(1, 61):
                event = Envelope(correlation_id=f"{number:032x}", received_at="2026-02-20T09:00:00Z", body={})
                at = sortable(now + timedelta(seconds=number))
                reason = "It was \x1b[31mrefused." if number % 3 else "It was too long."
                dead_letter = DeadLetter(
                    event.correlation_id, f"x:{number}", "x.y", reason, "no", "", 1, at, at, merged=False
                )
                await runtime.dead_letters.add(dead_letter, event)

    async def empty() -> None:
        async with running(ops.environment) as runtime:
            async for page in runtime.dead_letters.take(correlation_ids=None):
                for row, _ in page:
                    await runtime.dead_letters.remove(row)

    asyncio.run(fill())
    listed = ops.run("deadletters", "list")
    assert listed.out.count("correlationId") == 50
    assert "latest 50 of 60" in listed.out
    assert "40  It was \\u001b[31mrefused. [no]" in listed.out
    assert "\x1b" not in listed.out
    assert ops.run("deadletters", "list", "--json").document["count"] == 60
    asyncio.run(empty())


@pytest.mark.parametrize("command", [("status", "5"), ("deadletters", "list"), ("deadletters", "replay", "--all")])
def test_another_server_is_not_taken_for_the_app(ops: Commands, command: tuple[str, ...]) -> None:
    """A 404 of somebody else says nothing of meetings and dead letters."""
    result = ops.run(*command, OPS_APP_URL=ops.stack.dataverse.url)
    assert (result.code, "Is this the app's address?" in " ".join(result.err.split())) == (1, True)


def test_a_delivery_may_come_from_standard_input(ops: Commands) -> None:
    """`-` is standard input, for preview as for send-test."""
    result = ops.run("preview", "-", "--json", given=json.dumps(booked(906)))
    assert (result.code, result.document["meeting"]) == (0, "meeting:906")


def test_files_may_begin_with_a_byte_order_mark(ops: Commands, tmp_path: Path) -> None:
    """As editors on Windows save them."""
    delivery, settings = tmp_path / "delivery.json", tmp_path / "settings.json"
    delivery.write_text(json.dumps(booked(908)), encoding="utf-8-sig")
    settings.write_text('{"Values": {}}', encoding="utf-8-sig")
    assert ops.run("preview", str(delivery), "--settings", str(settings), OPS_APP_URL=None).code == 0


def test_what_a_terminal_would_obey_is_shown(ops: Commands, tmp_path: Path) -> None:
    """A title comes from outside: its control characters are printed as they are written, not sent to the terminal."""
    result = ops.run("preview", saved(tmp_path, booked(907, title="Hi \x1b]0;owned\x07 \u202eevil")))
    assert "\\u202eevil" in result.out
    assert not {"\x1b", "\x07", "\u202e"} & set(result.out)


@pytest.mark.parametrize("url", ["http", None])
def test_preview_by_the_app_and_by_itself_say_the_same(ops: Commands, tmp_path: Path, url: str | None) -> None:
    """With an address the app is asked, without one it is worked out here: the same answer."""
    asked = ops.run("preview", saved(tmp_path, booked(903)), "--json", OPS_APP_URL=ops.stack.host_url if url else None)
    assert (asked.code, asked.document["outcome"]) == (0, "created")
    assert asked.document["requests"][0]["body"]["subject"] == "Intro call"
    assert ops.dataverse("state")["appointments"] == []


def test_preview_of_what_cannot_be_carried_out(ops: Commands, tmp_path: Path) -> None:
    """A delivery that would become a dead letter is exit code 1."""
    result = ops.run("preview", saved(tmp_path, booked(904, startTime="tomorrow")))
    assert result.code == 1
    assert "an ISO 8601 time was expected" in result.out


@pytest.mark.parametrize(("content", "code"), [("{", 2), ("[" * 100_000, 2), ("", 2), ('{"data": 1}', 1)])
def test_preview_of_what_is_no_delivery(ops: Commands, tmp_path: Path, content: str, code: int) -> None:
    """A file that is no JSON is wrong usage; JSON that is no delivery is reported by its member."""
    path = tmp_path / "file.json"
    path.write_text(content)
    assert ops.run("preview", str(path)).code == code


def test_mapping_is_shown(ops: Commands) -> None:
    """All rows stand there, with the conditions in words."""
    result = ops.run("mapping", "show", "--json")
    assert [row["row"] for row in result.document["rows"]][:3] == ["Booked Date", "Booker", "Title"]
    assert "prospects is set" in result.document["createConditions"]
    assert "A new appointment needs: prospects is set." in ops.run("mapping", "show").out


def test_a_mapping_is_shown_whose_rows_read_nothing(ops: Commands, tmp_path: Path) -> None:
    """A constant and a template have no sources."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    content["rows"] += [
        {"row": "Origin", "column": "new_origin", "transform": "constant", "value": "Outreach"},
        {"row": "Summary", "column": "new_summary", "transform": "template", "template": "{title}"},
    ]
    result = ops.run("mapping", "show", saved(tmp_path, content, "mapping.json"))
    assert result.code == 0
    assert "Origin" in result.out


def test_mapping_is_checked_against_the_live_columns(ops: Commands, tmp_path: Path) -> None:
    """A column that an administrator has not made yet is found, and then found to be there."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    content["rows"][4] |= {"column": "new_place"}
    path = saved(tmp_path, content, "mapping.json")
    assert "no column new_place" in problems(ops.run("mapping", "check", path, "--live", "--json"))[0]
    ops.dataverse("columns", {"columns": [{"name": "new_place", "type": "String", "max_length": 200}]})
    assert ops.run("mapping", "check", path, "--live").code == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [("Meetings", "Is meeting meant?"), ("calenderEvent", "Is calendarEvent meant?"), ("xyzzy", "data.")],
)
def test_a_resource_that_outreach_does_not_have_is_noted(ops: Commands, tmp_path: Path, name: str, said: str) -> None:
    """It may exist, so it is no mistake; but misspelt it would make the app ignore every event without a word."""
    content = json.loads(DEFAULT_MAPPING_FILE.read_text())
    content["resources"] = {"meeting": {}, name: {}, "Kaia": {"enabled": False}}
    path = saved(tmp_path, content, "mapping.json")
    for command in (("mapping", "check", path), ("doctor",)):
        result = ops.run(*command, "--json", MAPPING_FILE=path)
        (note,) = [one for one in result.document["findings"] if "not known to have" in one["what"]]
        assert (note["state"], name in note["what"], said in note["fix"]) == ("warning", True, True)
    assert ops.run("mapping", "check", path).code == 0


def test_a_mistake_in_the_mapping_is_told_by_its_place(ops: Commands, tmp_path: Path) -> None:
    """Every problem of the file, without needing any service."""
    path = saved(tmp_path, {"version": 1, "resources": {}, "rows": []}, "mapping.json")
    result = ops.run("mapping", "check", path)
    assert result.code == 1
    assert "mapping.json: rows" in result.out


@pytest.mark.parametrize("command", [("status", "5"), ("deadletters", "list"), ("send-test",)])
@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"OPS_APP_URL": None}, 2, "--url"),
        ({"OPS_APP_URL": "http://sync.example.com"}, 2, "https://"),
        ({"OPS_APP_URL": "https://me:pw@sync.example.com"}, 2, "alone, without user"),
        ({"OPS_APP_URL": "https://sync.example.com/api"}, 2, "alone, without user"),
        ({"OPS_APP_KEY": None}, 2, "OPS_APP_KEY is not set"),
        ({"OPS_APP_KEY": "wrong"}, 1, "does not accept the key"),
        ({"OPS_APP_URL": "http://127.0.0.1:9"}, 1, "does not answer"),
    ],
)
def test_remote_commands_say_what_is_missing(
    ops: Commands, command: tuple[str, ...], changes: dict[str, str | None], code: int, said: str
) -> None:
    """Address and key are asked for, never guessed, and a key goes to https or this machine only."""
    result = ops.run(*command, **changes)
    assert result.code == code
    assert said in " ".join(result.err.split())


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
