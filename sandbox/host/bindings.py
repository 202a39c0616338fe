"""A function's bindings as the host sees them: the JSON that the worker sends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding; `values` are its function.json properties."""

    name: str
    type: str
    direction: str
    values: Mapping[str, Any]


def read_bindings(function: func.Function) -> list[Binding]:
    """All bindings of a function, the trigger last. Raises `ValueError` for one without a name or type."""
    trigger = function.get_trigger()
    others = [binding for binding in function.get_bindings() if binding is not trigger]
    raw = dict(zip(map(id, function.get_bindings()), function.get_raw_bindings(), strict=True))
    found = []
    for source in [*others, trigger]:
        values = json.loads(raw[id(source)])
        if not values.get("name") or not values.get("type"):
            raise ValueError(f"Function {function.get_function_name()} has a binding without a name or a type.")
        found.append(Binding(values["name"], values["type"], values["direction"], values))
    return found
