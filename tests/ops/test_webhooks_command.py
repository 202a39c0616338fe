"""`webhooks` against the Outreach stand-in and the running app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ops.commands import Commands, booked, saved

KEYS_AND_SECRETS = ("sandbox-admin-key", "sandbox-function-key", "sandbox-webhook-secret", "sandbox-outreach-api-token")


def webhooks(ops: Commands) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ops.outreach("state")["webhooks"]
    return found


def test_registering_meeting_where_outreach_refuses_says_what_to_do_instead(ops: Commands) -> None:
    """The 422 becomes three ways on, and nothing is registered."""
    result = ops.run("webhooks", "register", "--resource", "meeting")
    assert result.code == 1
    for way in ("--resource '*'", "resources.event.enabled", "SYNC_SUBSCRIPTION_GUARD to off", "Outreach's support"):
        assert way in " ".join(result.err.split())
    assert webhooks(ops) == []


def test_a_refusal_that_is_not_about_meetings_says_what_to_look_at(ops: Commands) -> None:
    """An action that a resource does not have is no reason to subscribe to everything."""
    result = ops.run("webhooks", "register", "--resource", "account", "--action", "completed")
    assert result.code == 1
    assert "the action one that this has" in " ".join(result.err.split())
    assert "meetings" not in result.err


def test_register_without_resources_takes_those_of_the_mapping(ops: Commands) -> None:
    """Where Outreach allows meetings, each resource of the mapping gets a webhook with the app's secret and key."""
    ops.outreach("switches", {"meeting_webhooks": "allow"})
    assert ops.run("webhooks", "register").code == 0
    made = [one["attributes"] for one in webhooks(ops)]
    assert [one["resource"] for one in made] == ["meeting", "calendarEvent"]
    assert {one["url"] for one in made} == {f"{ops.stack.host_url}/api/outreach/events?code=sandbox-function-key"}
    assert {one["secret"] for one in made} == {"sandbox-webhook-secret"}


def test_what_was_registered_is_told_beside_what_was_refused(ops: Commands) -> None:
    """One resource that Outreach does not take keeps none of the others from being tried."""
    result = ops.run("webhooks", "register", "--resource", "meeting", "--resource", "account", "--json")
    assert result.code == 1
    assert "Registered: account." in result.document["error"]["message"]
    assert [one["attributes"]["resource"] for one in webhooks(ops)] == ["account"]


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


def test_registering_again_gives_the_webhook_the_new_function_key(ops: Commands) -> None:
    """A function key is rotated without a moment in which no webhook is there."""
    ops.run("webhooks", "register", "--resource", "*")
    before = webhooks(ops)[0]["id"]
    again = ops.run("webhooks", "register", "--resource", "*", "--json", OPS_FUNCTION_KEY="the-next-key")
    assert again.document["webhooks"][0]["done"] == "has the new function key"
    (one,) = webhooks(ops)
    assert one["id"] == before
    assert one["attributes"]["url"] == f"{ops.stack.host_url}/api/outreach/events?code=the-next-key"
    assert "the-next-key" not in again.out + again.err


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
        "OUTREACH_WEBHOOK_SECRET": "the-new-long-secret",
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
        "OUTREACH_WEBHOOK_SECRET": "the-new-long-secret",
        "OUTREACH_WEBHOOK_SECRET_PREVIOUS": "sandbox-webhook-secret",
    }
    ops.stack.host.restart(**settings)
    try:
        result = ops.run("webhooks", "rotate-secret", **settings)
    finally:
        back = {"OUTREACH_WEBHOOK_SECRET": "sandbox-webhook-secret", "OUTREACH_WEBHOOK_SECRET_PREVIOUS": ""}
        ops.stack.host.restart(**back)
    assert result.code == 0
    assert {one["attributes"]["secret"] for one in webhooks(ops)} == {"the-new-long-secret", "theirs"}
    assert "the-new-long-secret" not in result.out


def test_a_terminal_obeys_nothing_that_stands_in_a_webhook(ops: Commands) -> None:
    """Whoever may make webhooks in Outreach writes their texts; they are shown, in words and as JSON."""
    escape, command = "\x1b]0;owned\x07", "\x9b31m\u202e"
    attributes = {
        "resource": f"account{escape}",
        "action": f"updated{command}",
        "url": f"https://example.com/{escape}{command}",
        "active": True,
        "disabledReason": f"Too many failures. {escape}{command}",
        "disabledSince": command,
    }
    ops.outreach("seed", {"webhooks": [{"id": 5, "attributes": attributes}]})
    listed, as_json = ops.run("webhooks", "list"), ops.run("webhooks", "list", "--json")
    for printed in (listed.out, as_json.out):
        assert not set("\x1b\x07\x9b\u202e") & set(printed)
        assert "\\u009b" in printed
    assert as_json.document["webhooks"][0]["disabledReason"] == attributes["disabledReason"]


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


def test_webhooks_need_only_what_outreach_needs(ops: Commands) -> None:
    """Whoever sets up Outreach has its credentials and the secret, and need not have Dynamics or storage yet."""
    alone = {"AzureWebJobsStorage": None, "DATAVERSE_URL": None, "SYNC_PUSHING": "perhaps"}
    assert ops.run("webhooks", "register", "--resource", "*", **alone).code == 0
    listed = ops.run("webhooks", "list", "--json", **alone)
    (one,) = listed.document["webhooks"]
    assert one["hasOurSecret"]
    both = {
        "OUTREACH_WEBHOOK_SECRET_PREVIOUS": "sandbox-webhook-secret",
        "OUTREACH_WEBHOOK_SECRET": "the next long one",
    }
    assert "first_step_missing" in ops.run("webhooks", "rotate-secret", "--json", **alone).out
    assert "does not accept the OUTREACH_WEBHOOK_SECRET" in ops.run("webhooks", "rotate-secret", **alone, **both).err
    assert ops.run("webhooks", "remove", one["id"], **alone).code == 0
    assert webhooks(ops) == []


@pytest.mark.parametrize(
    "names",
    [
        ("OUTREACH_CLIENT_ID", "OUTREACH_CLIENT_SECRET", "OUTREACH_REFRESH_TOKEN"),
        ("OUTREACH_S2S_GUID", "OUTREACH_S2S_INSTALL_ID", "OUTREACH_S2S_PRIVATE_KEY"),
    ],
    ids=["OAuth", "S2S"],
)
def test_a_token_that_is_bought_is_never_bought_beside_the_app(ops: Commands, names: tuple[str, ...]) -> None:
    """Without the table where the app's token lies no request leaves: a refresh token is good for one use."""
    tokens = {**dict.fromkeys(names, "x"), "OUTREACH_API_TOKEN": None, "AzureWebJobsStorage": None}
    result = ops.run("webhooks", "list", **tokens)
    assert result.code == 1
    assert "AzureWebJobsStorage is missing" in result.err
    assert "the token lies there for whoever uses them" in " ".join(result.err.split())
    asked = [one["path"] for one in ops.outreach("requests")["requests"]]
    assert not any("token" in path.lower() for path in asked)
