"""docs/cli.md shows what the commands really print.

Every console block is run, in order, against the stack; a comment `<!-- dataverse LEVER {…} -->` moves a lever of a
stand-in before, `<!-- send {…} -->` sends a delivery, `<!-- forge {…} -->` one with a wrong signature. With
OPS_WRITE_DOCS=1 in the environment the page is written anew from what was printed, instead of being compared.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from ops.cli import app
from tests.ops.commands import Commands

PAGE = Path(__file__).parents[2] / "docs/cli.md"
WRITE = os.environ.get("OPS_WRITE_DOCS") == "1"

_PIECE = re.compile(
    r"^```(?P<kind>\w+)(?: (?P<name>\S+))?\n(?P<body>.*?)^```$|^<!-- (?P<verb>\w+) (?P<rest>[^\n]*) -->$",
    re.MULTILINE | re.DOTALL,
)
_CORRELATION_ID = re.compile(r"\b[0-9a-f]{32}\b")


def steady(text: str, ops: Commands, seen: dict[str, str]) -> str:
    """`text` with what differs from run to run made the same, at the same length, so that tables stay straight."""
    for url, name in ((ops.stack.host_url, "sync"), (ops.stack.dataverse.url, "crm"), (ops.stack.outreach.url, "api")):
        text = text.replace(url, _address(name, length=len(url)))
    for found in _CORRELATION_ID.findall(text):
        seen.setdefault(found, f"4bf92f3577b34da6a3ce929d0e0e47{len(seen) + 1:02}")
        text = text.replace(found, seen[found])
    today = datetime.now(UTC).date()
    for day in (today - timedelta(days=1), today):
        text = re.sub(rf"{day}T[0-9:.]+", lambda found: "2026-02-20T09:00:05.000000"[: len(found[0])], text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _asked(command: str, seen: dict[str, str]) -> str:
    """`command` with the correlation ids that this run really has, in place of the page's."""
    for found, shown in seen.items():
        command = command.replace(shown, found)
    return command


def _address(name: str, *, length: int) -> str:
    return f"https://{name}".ljust(length - len(".example"), "1") + ".example"


@dataclass(frozen=True)
class Block:
    """One console block: where its output stands in the page, what it says, and what the command printed."""

    command: str
    start: int
    end: int
    said: str
    printed: str


def played(page: str, ops: Commands, folder: Path) -> Iterator[Block]:
    """Every console block, run in order; what stands between them is set up on the way."""
    seen: dict[str, str] = {}
    for piece in _PIECE.finditer(page):
        if piece["verb"] == "send":
            ops.run("send-test", _written(folder, "sent.json", piece["rest"]))
        elif piece["verb"] == "forge":
            assert ops.forge(piece["rest"]) == 401
        elif piece["verb"]:
            lever, _, given = piece["rest"].partition(" ")
            getattr(ops, piece["verb"])(lever, json.loads(given))
        elif piece["name"]:
            _written(folder, piece["name"], piece["body"])
        elif piece["kind"] == "console":
            command, _, said = piece["body"].removeprefix("$ ").partition("\n")
            printed = steady(_output(_asked(command, seen), ops, folder), ops, seen).rstrip("\n")
            yield Block(command, piece.end("body") - len(said), piece.end("body"), said, f"{printed}\n")


def _written(folder: Path, name: str, content: str) -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


def _output(command: str, ops: Commands, folder: Path) -> str:
    words = shlex.split(command)
    if words[0] == "cat":
        return (folder / words[1]).read_text()
    assert words[:3] == ["python", "-m", "ops"], command
    result = ops.run(*words[3:])
    return result.out + result.err


def test_the_page_is_true(ops: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command prints what the page shows."""
    monkeypatch.chdir(tmp_path)
    ops.run("unverified", "--forget")  # what other tests of this stack have forged
    ops.stack.host.restart()  # status remembers for a minute
    page = PAGE.read_text(encoding="utf-8")
    blocks = []
    for block in played(page, ops, tmp_path):
        assert WRITE or block.printed == block.said, block.command
        blocks.append(block)
    if WRITE:
        for block in reversed(blocks):
            page = page[: block.start] + block.printed + page[block.end :]
        PAGE.write_text(page, encoding="utf-8")


def test_no_block_of_the_page_is_left_unchecked() -> None:
    """Every block is a command that is run, or a file that the commands after it read."""
    page = PAGE.read_text(encoding="utf-8")
    fences = re.findall(r"^```\w+.*$", page, re.MULTILINE)
    blocks = [piece for piece in _PIECE.finditer(page) if piece["kind"]]
    assert len(fences) == len(blocks)
    assert [piece["body"] for piece in blocks if piece["kind"] != "console" and not piece["name"]] == []
    assert [piece["body"] for piece in blocks if piece["body"].count("$ python") > 1] == []


def commands() -> set[str]:
    group = typer.main.get_group(app)
    return {
        f"{name} {inner}" if inner else name
        for name, command in group.commands.items()
        for inner in (getattr(command, "commands", None) or [""])
    }


def test_other_pages_name_commands_that_exist() -> None:
    """`python -m ops …` in any page is a command."""
    root = PAGE.parents[1]
    for page in (*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("infra/**/*.md")):
        for named in re.findall(r"python -m ops ([a-z][a-z-]+(?: [a-z-]+)?)", page.read_text(encoding="utf-8")):
            assert {named, named.partition(" ")[0]} & commands(), (page.name, named)


def test_the_page_has_every_command() -> None:
    """No command is missing from the page, neither in an example nor in the list of options."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(commands()) > 10
    for name in commands():
        assert f"$ python -m ops {name} --help" in page
        assert re.search(rf"\$ python -m ops {name}(?! --help)", page), name
