"""The programs of the server, which the trainer runs."""

import os
import shutil
from pathlib import Path

# Names the server's program where neither a configuration nor a flag does.
SERVER_VARIABLE = "GROUNDSWELL_TRAINER_SERVER"


def server(named=None):
    """The path of the server's program: that which is named, here or by the environment, or else that on PATH.
    `groundswell` is expected beside it."""
    named = named or os.environ.get(SERVER_VARIABLE)
    mend = f"name it in [snapshot] server, by --server, or in {SERVER_VARIABLE}"
    if named:
        if not Path(named).exists():
            raise FileNotFoundError(f"{named} is not there: build it (make demo builds it), or {mend}")
        return Path(named)
    found = shutil.which("groundswell-server")
    if found is None:
        raise FileNotFoundError(f"there is no groundswell-server on PATH: install the package (docs/packages.md), or {mend}")
    return Path(found)


def client(named=None):
    """The path of `groundswell`, beside the server's program that `named` is, or that would be found."""
    beside = server(named).with_name("groundswell")
    if not beside.exists():
        raise FileNotFoundError(f"{beside} is not there: it must be beside groundswell-server")
    return beside
