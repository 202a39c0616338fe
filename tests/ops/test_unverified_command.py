"""`unverified`: how many deliveries no secret fits yet, and how to be rid of them."""

from __future__ import annotations

import json

from tests.ops.commands import Commands, booked

TITLE = "Nobody may read this"


def test_it_counts_and_forgets(ops: Commands) -> None:
    """Counts, bytes and the oldest, in words and as JSON; nothing of what is in them. Doctor and status say so too."""
    ops.run("unverified", "--forget")
    bodies = [json.dumps(booked(900 + number, title=TITLE)) for number in range(2)]
    assert {ops.forge(body) for body in [*bodies, bodies[0]]} == {401}
    found = ops.run("unverified", "--json")
    assert found.code == 1
    counts = {"secretNotKnown": 0, "doesNotFit": 2, "bytes": sum(map(len, bodies))}
    assert found.document == {**counts, "oldest": found.document["oldest"]}
    said = ops.run("unverified")
    assert "2 deliveries that fitted no known secret" in said.out
    doctor = ops.run("doctor", "--json")
    told = [one["area"] for one in doctor.document["findings"] if "fitted no known secret" in one["what"]]
    assert told == ["Storage"]
    for shown in (found, said, doctor):
        assert TITLE not in shown.out + shown.err
    gone = ops.run("unverified", "--forget", "--json")
    assert (gone.code, gone.document["forgotten"]) == (0, 2)
    none = ops.run("unverified")
    assert (none.code, none.out.strip()) == (0, "There are none.")
