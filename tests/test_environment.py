"""Neither the sandbox nor a test sees what a shell happens to hold."""

from __future__ import annotations

import pytest

from sandbox.environment import machine_environment
from shared.settings import SETTINGS
from tests.environment import forget_the_shell

SHELL = {
    **{setting.name: "of-a-real-organisation" for setting in SETTINGS},
    "HTTP_PROXY": "http://proxy.example.com:3128",
    "no_proxy": "intranet",
    "NODE_OPTIONS": "--inspect",
    "PYTHONPATH": "/somewhere",
    "SANDBOX_ADMIN_KEY": "of-a-real-organisation",
}


def test_a_program_gets_the_machines_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, no proxy, no option of an interpreter; the path, so that it finds programs."""
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "/bin")
    given = machine_environment()
    assert given["PATH"] == "/bin"
    assert given.keys().isdisjoint(SHELL)


def test_tests_keep_what_they_name() -> None:
    """What a test or its runner reads stays, the rest goes."""
    kept = {"PATH": "/bin", "HOME": "/home/me", "CI": "true", "PYTEST_XDIST_WORKER": "gw1", "COLUMNS": "80"}
    environ = {**SHELL, **kept}
    forget_the_shell(environ)
    assert environ == kept
