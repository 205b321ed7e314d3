"""The server that the clients' tests ask, and what they have in common."""

import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "integration"))

from connect_server import Server  # noqa: E402

CASES = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))["cases"]
TIMES = json.loads((HERE / "times.json").read_text(encoding="utf-8"))
# By who calls: rights, calls per second (0: any number).
CLIENTS = {"operator": (["read", "write", "admin"], 0), "shop": (["read"], 0), "slow": (["read"], 1),
           "trickle": (["write", "admin"], 3)}
# What ctest takes for "not run".
SKIPPED = 77


def token_of(name):
    """None where a client is to have none; one that the server does not know for who is not in its list."""
    return None if name == "nobody" else f"the token of {name}"


def clients_file(directory):
    text = ""
    for name, (rights, calls_per_s) in CLIENTS.items():
        digest = hashlib.sha256(token_of(name).encode()).hexdigest()
        text += f'[[client]]\nname = "{name}"\ntoken_sha256 = "{digest}"\nrights = {json.dumps(rights)}\n'
        text += f"calls_per_s = {calls_per_s}\n" if calls_per_s else ""
    path = pathlib.Path(directory) / "clients.toml"
    path.write_text(text, encoding="utf-8")
    return path


class CaseServer(Server):
    """One that asks who calls, in a directory of its own. `stop` ends it and removes that."""

    def __init__(self, program, snapshot, *flags, guarded=True):
        self.directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        access = [f"--access.clients_file={clients_file(self.directory.name)}"] if guarded else []
        self._arguments = (program, snapshot, self.directory.name, *access, *flags)
        self.start()

    def start(self):
        """Once more after it was killed, too, on what it left; its ports are others then."""
        super().__init__(*self._arguments)

    def stop(self):
        ended = super().stop()
        self.directory.cleanup()
        return ended

    @property
    def address(self):
        return f"127.0.0.1:{self.ports['grpc']}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.ports['connect']}"


def skip(why):
    print(f"skipped: {why}", flush=True)
    sys.exit(SKIPPED)


def readme_program(path, language):
    """The first program in this language of a README."""
    text = path.read_text(encoding="utf-8")
    return text.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def server_reasons():
    """Every reason that the server's sources name: what is in upper snake case there and nothing else."""
    for path in (ROOT / "server").rglob("*.cc"):
        for name in re.findall(r'"([A-Z]+(?:_[A-Z]+)+|OVERLOADED|DRAINING)"', path.read_text(encoding="utf-8")):
            # A file's name, and states of gRPC's health.
            if name not in ("STAGED_BY_GROUNDSWELL", "NOT_SERVING", "SERVICE_UNKNOWN"):
                yield name


def environment(**more):
    return {**os.environ, **more}
