"""Texts as a column takes them: cut to its length, and with the links that were cut off put where there is room.

Dataverse counts UTF-16 code units, of which an emoji has two, and refuses control characters (0x80040278).
"""

from __future__ import annotations

import re
from collections.abc import Collection

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LINK = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)


def clean(text: str) -> str:
    """`text` without characters that XML has no place for."""
    return _NO_XML.sub("", text)


def cut(text: str, length: int | None) -> str:
    """The first `length` units of `text`, and no half of a character; None: all of it."""
    if length is None or len(text) * 2 <= length:
        return text
    return text.encode("utf-16-le")[: length * 2].decode("utf-16-le", "ignore")


def shortened(text: str, length: int | None) -> str:
    """`text` where it fits, else its beginning up to a whole word and an ellipsis; a long word is cut too."""
    if cut(text, length) == text or length is None:
        return text
    kept = cut(text, length - 1)
    at_word = kept if text[len(kept) :][:1].isspace() else kept.rpartition(" ")[0]
    return (at_word.rstrip() if len(at_word) * 2 > len(kept) else kept) + "…"


def lost_links(text: str, kept: str) -> tuple[str, ...]:
    """The links in `text` of which `kept`, its beginning, has not all."""
    return tuple(link[0] for link in _LINK.finditer(text) if link.end() > len(kept))


def with_links(text: str, links: Collection[str], length: int | None) -> str:
    """`text` with these links at its end, each once; it gives way where both do not fit."""
    missing = [link for link in dict.fromkeys(links) if link not in text]
    if not missing:
        return text
    tail = "\n".join(missing)
    if length is not None:
        units = len(tail.encode("utf-16-le")) // 2
        text = cut(text, max(length - units - 2, 0))
    return f"{text}\n\n{tail}" if text else cut(tail, length)
