"""The command lines for the Azure CLI that our texts hold: where each stands, and its words after `az`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`[^`]+`")
_COMMENT = re.compile(r"(?<!\S)#.*$", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}")
_COMMAND_WITHIN = re.compile(r"\$\([^()]*\)")
_START = re.compile(r"(?<![\w./$-])az(?= +[a-z])")
_ENDS_A_COMMAND = "\n|;&)<>`"


@dataclass(frozen=True, slots=True)
class AzLine:
    """One command line. `where`: file and line."""

    where: str
    words: tuple[str, ...]


def az_lines(name: str, text: str) -> list[AzLine]:
    """The lines in a script, a workflow, or the code of a page in Markdown."""
    code = _COMMENT.sub("", _code_of_a_page(text) if name.endswith(".md") else text)
    return [
        AzLine(f"{name}:{code.count(chr(10), 0, found.start()) + 1}", tuple(_words(code[found.end() :])))
        for found in _START.finditer(code)
    ]


def read(root: Path, *patterns: str) -> list[AzLine]:
    """The lines in all files that fit."""
    paths = sorted({path for pattern in patterns for path in root.glob(pattern)})
    return [line for path in paths for line in az_lines(path.relative_to(root).as_posix(), path.read_text("utf-8"))]


def _code_of_a_page(text: str) -> str:
    """The page with everything blanked out that is not code; each piece of code ends with a backtick."""
    kept = [" " if character != "\n" else "\n" for character in text]
    fenced = list(_FENCED.finditer(text))
    prose = _FENCED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    for found in [*fenced, *_INLINE.finditer(prose)]:
        kept[found.start() : found.end()] = found[0]
    return "".join(kept)


def _words(text: str) -> list[str]:
    """The words of the command that `text` begins with, as a shell reads them; names stand for what they stand for."""
    text = _COMMAND_WITHIN.sub("value", _VARIABLE.sub(r"$\1", text))
    quote, at = "", 0
    while at < len(text) and (quote or text[at] not in _ENDS_A_COMMAND):
        if text[at] == "\\" and quote != "'":
            at += 1
        elif text[at] in ("'", '"') and quote in ("", text[at]):
            quote = "" if quote else text[at]
        at += 1
    return shlex.split(text[:at].replace("\\\n", " "))
