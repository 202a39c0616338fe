"""Which local variables a suspended frame will still read. The others are of the past and tell nothing apart.

The usual analysis: backwards from each instruction, a variable is live where a path leads to a read of it before a write.
Every instruction under an exception handler may go to that handler. It halves the number of worlds. An instruction that a
later Python adds counts as a read of all it names, and as going on to the next one: at worst a variable is kept in vain.
"""

from __future__ import annotations

import dis
from functools import cache
from itertools import pairwise
from types import CodeType

_WRITES = frozenset({"STORE_FAST", "DELETE_FAST"})
_ENDS = frozenset({"RETURN_VALUE", "RAISE_VARARGS", "RERAISE"})
_ALWAYS_JUMPS = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})


def live_at(code: CodeType, instruction: int) -> frozenset[str]:
    """The variables that are live after the instruction at this offset. Closures count as live always.

    How far a loop has come, nobody can see; so its variable is live as long as it lasts. A loop that awaits something
    must go over things that differ, and a comprehension must not.
    """
    live = _live_after(code).get(instruction, frozenset(code.co_varnames))
    loops = (variable for start, end, variable in _loops(code) if start <= instruction < end)
    return live | {*loops, *code.co_cellvars, *code.co_freevars}


@cache
def _live_after(code: CodeType) -> dict[int, frozenset[str]]:
    instructions = list(dis.get_instructions(code))
    handlers = _handlers(code)
    following: dict[int, tuple[int, ...]] = {}
    for index, one in enumerate(instructions):
        targets = [target for start, end, target in handlers if start <= one.offset < end]
        if one.opcode in dis.hasjrel or one.opcode in dis.hasjabs:
            targets.append(one.argval)
        if one.opname not in _ENDS | _ALWAYS_JUMPS and index + 1 < len(instructions):
            targets.append(instructions[index + 1].offset)
        following[one.offset] = tuple(targets)
    before: dict[int, frozenset[str]] = {one.offset: frozenset() for one in instructions}
    after = dict(before)
    changed = True
    while changed:
        changed = False
        for one in reversed(instructions):
            live = frozenset[str]().union(*(before[target] for target in following[one.offset]))
            after[one.offset] = live
            if one.opname in _WRITES:
                live -= {one.argval}
            elif "FAST" in one.opname:
                live |= {*one.argval} if isinstance(one.argval, tuple) else {one.argval}
            if live != before[one.offset]:
                before[one.offset] = live
                changed = True
    return after


@cache
def _loops(code: CodeType) -> list[tuple[int, int, str]]:
    """(start, end, variable) of each `for`."""
    instructions = list(dis.get_instructions(code))
    return [
        (one.offset, one.argval, following.argval)
        for one, following in pairwise(instructions)
        if one.opname == "FOR_ITER" and following.opname == "STORE_FAST"
    ]


def _handlers(code: CodeType) -> list[tuple[int, int, int]]:
    """(start, end, target) of each exception handler."""
    return [(entry.start, entry.end, entry.target) for entry in dis._parse_exception_table(code)]  # type: ignore[attr-defined] # there is no public way
