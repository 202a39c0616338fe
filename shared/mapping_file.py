"""Reading a mapping file: the built-in one, or the one that MAPPING_FILE names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shared.errors import BadMapping
from shared.meeting.mapping import MappingFile, parse_mapping

DEFAULT_MAPPING_FILE = Path(__file__).with_name("mapping.json")


def load_mapping(path: Path) -> MappingFile:
    """Read and check the file at `path`. Raises `BadMapping`."""
    twice: dict[str, None] = {}

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.update(dict.fromkeys(name for name in names if names.count(name) > 1))
        return dict(pairs)

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=members)
    except OSError as error:
        raise BadMapping(
            [f"{path}: cannot be read ({error.strerror}). Set MAPPING_FILE to an existing file."]
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadMapping([f"{path}: is not JSON: {error}"]) from error
    if twice:
        raise BadMapping([f"{path}: {name} stands twice in one object, of which one would not count" for name in twice])
    return parse_mapping(content, origin=str(path))
