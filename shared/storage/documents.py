"""A JSON document, or plain bytes, of up to 1 MiB in one table row.

A property holds 64 KiB and an entity 1 MiB, so either is compressed and cut into binary properties
(https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from shared.errors import Unmappable
from shared.storage.envelope import Envelope

_PIECE = 60 * 1024
_PREFIX = "data"


def pack(document: object) -> dict[str, bytes]:
    """`document` as properties `data00`, `data01` and so on."""
    return pack_bytes(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())


def unpack(entity: Mapping[str, Any]) -> Any:
    """The document in an entity that `pack` made."""
    return json.loads(unpack_bytes(entity))


def pack_bytes(raw: bytes) -> dict[str, bytes]:
    """`raw` as properties `data00`, `data01` and so on."""
    packed = zlib.compress(raw, level=6)
    pieces = range(0, len(packed), _PIECE)
    return {f"{_PREFIX}{number:02}": packed[start : start + _PIECE] for number, start in enumerate(pieces)}


def unpack_bytes(entity: Mapping[str, Any]) -> bytes:
    """The bytes in an entity that `pack_bytes` made. Raises `zlib.error` for another."""
    names = sorted(name for name in entity if name.startswith(_PREFIX) and name[len(_PREFIX) :].isdigit())
    return zlib.decompress(b"".join(entity[name] for name in names))


def unpack_envelope(entity: Mapping[str, Any]) -> Envelope:
    """The envelope in an entity. Raises `NewerLayout`, `Unmappable` for one that cannot be read."""
    try:
        return Envelope.from_document(unpack(entity))
    except (ValueError, TypeError, zlib.error) as error:
        raise Unmappable("unreadable", "What was stored of the event cannot be read.") from error
