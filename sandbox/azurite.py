"""Azurite, Microsoft's own storage emulator: installed once into `.sandbox/azurite`, run on free ports.

`python -m sandbox.azurite` installs it.
"""

from __future__ import annotations

import http.client
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from sandbox.certificates import Certificates
from sandbox.child import Child, ChildFailed, free_port
from sandbox.npm import InstallFailed, NpmPackage, find_node, install, say
from sandbox.patience import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
SANDBOX_FOLDER = ROOT / ".sandbox"

# Azurite takes more than Azure does; with this it refuses what Azure refuses.
AZURE_LIMITS: Final = Path(__file__).with_name("azure_limits.js")
AZURITE: Final = NpmPackage("Azurite", "azurite", "3.37.0", brings=460)

ACCOUNT = "devstoreaccount1"
# The key of every storage emulator, published by Microsoft: it protects nothing.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

SERVICES: Final = ("blob", "queue", "table")
PORT_ATTEMPTS = 5

Persistence = Literal["disk", "memory"]


@dataclass(frozen=True, slots=True)
class StorageNames:
    """Names that only one test uses, in the form that queues and tables both allow."""

    prefix: str

    def queue(self, name: str) -> str:
        """A queue's name: lower case, digits and hyphens."""
        return f"{self.prefix}-{name}"

    def table(self, name: str) -> str:
        """A table's name: letters and digits."""
        return re.sub(r"[^A-Za-z0-9]", "", f"{self.prefix}{name}")


def connection_string(blob: int, queue: int, table: int, *, scheme: str = "http") -> str:
    """The connection string, in full form, of an Azurite on these ports."""
    ports = zip(("Blob", "Queue", "Table"), (blob, queue, table), strict=True)
    endpoints = ";".join(f"{name}Endpoint={scheme}://127.0.0.1:{port}/{ACCOUNT}" for name, port in ports)
    return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints};"


class Azurite:
    """Blob, queue and table service on free ports of 127.0.0.1, which stay the same from one start to the next.

        with Azurite() as azurite:
            QueueClient.from_connection_string(azurite.connection_string, "queue")

    `folder` holds the data and the log; without one, a temporary folder that goes away on leaving the `with`.
    `persistence="memory"` is quicker and forgets everything at `stop()`. With `certificates` it speaks TLS, and takes
    an identity's token in place of the key: it looks at issuer, audience and times, not at the signature.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        persistence: Persistence = "disk",
        certificates: Certificates | None = None,
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="azurite-"))
        self._persistence = persistence
        self._certificates = certificates
        self._ports: tuple[int, int, int] | None = None
        self._child: Child | None = None

    @property
    def connection_string(self) -> str:
        """What `AzureWebJobsStorage` is to be."""
        if self._ports is None:
            raise ChildFailed("Azurite has no ports before its first start; call start().")
        return connection_string(*self._ports, scheme=self._scheme)

    @property
    def service_uris(self) -> dict[str, str]:
        """Where `blob`, `queue` and `table` are, for callers with an identity.

        By number: the SDK of tables takes `localhost` on a port that is not Azurite's own for Cosmos DB.
        """
        if self._ports is None:
            raise ChildFailed("Azurite has no ports before its first start; call start().")
        ports = zip(SERVICES, self._ports, strict=True)
        return {service: f"{self._scheme}://127.0.0.1:{port}/{ACCOUNT}" for service, port in ports}

    @property
    def _scheme(self) -> str:
        return "http" if self._certificates is None else "https"

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start and wait until all three services answer. After a stop: on the same ports, with the same data."""
        node, script = install_azurite()
        if self._ports is not None:
            self._start(node, script, self._ports)
            return
        for attempt in range(1, PORT_ATTEMPTS + 1):
            ports = (free_port(), free_port(), free_port())
            try:
                self._start(node, script, ports)
            except ChildFailed as error:
                # Somebody took a port between the look and the start, or two of the three are the same.
                if "EADDRINUSE" not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
            else:
                self._ports = ports
                return

    def _start(self, node: Path, script: Path, ports: tuple[int, int, int]) -> None:
        options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        options += ["--inMemoryPersistence"] if self._persistence == "memory" else ["--location", str(self.folder)]
        for service, port in zip(SERVICES, ports, strict=True):
            options += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        if self._certificates is not None:
            files = ["--cert", str(self._certificates.certificate), "--key", str(self._certificates.key)]
            options += ["--oauth", "basic", *files]
        command: list[str | Path] = [node, "--require", AZURE_LIMITS, script, *options]
        self._child = Child("Azurite", command, log=self.folder / "azurite.log")
        self._child.start()
        self._child.wait_until_ready(
            lambda output: output.count("successfully listening") == len(SERVICES) and all(map(self._answers, ports)),
            seconds=PATIENCE,
        )

    def _answers(self, port: int) -> bool:
        """Whether an HTTP server answers at `port`: any answer will do, without a key it is a refusal."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            if self._certificates is None
            else http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=self._certificates.client_context())
        )
        try:
            connection.request("GET", f"/{ACCOUNT}?comp=list")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def stop(self) -> None:
        """Stop in good order: everything that was acknowledged is on disk afterwards."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """End it at once. Unlike the real service it then *loses* what it acknowledged in the last seconds."""
        if self._child is not None:
            self._child.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary:
            self.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.stop()


def install_azurite(folder: Path = SANDBOX_FOLDER) -> tuple[Path, Path]:
    """Node's program and Azurite's script, installed into `folder` where they are not yet. Raises `InstallFailed`."""
    package = install(AZURITE, folder)
    return find_node().program, package / "dist" / "src" / "azurite.js"


if __name__ == "__main__":
    try:
        install_azurite()
    except InstallFailed as failed:
        sys.exit(str(failed))
    say(f"Azurite {AZURITE.version} is installed.")
