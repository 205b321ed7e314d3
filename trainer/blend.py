"""The weights of the blend that a snapshot starts with, learned by the server's own learner."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from trainer import data, serving_quality

_POLL_S = 0.05


def learn(server, directory, settings, log, type_):
    """What a server of this program, snapshot directory and settings learns from the interactions of `log`,
    which follow the snapshot: the text of a blend.json. `type_` is an event type that the server knows."""
    of_run = {**settings, **serving_quality.REPLAY_SETTINGS}
    client = str(Path(server).with_name("groundswell"))
    with (tempfile.TemporaryDirectory(prefix="groundswell-blend-") as work,
          serving_quality.serving(server, directory, of_run) as address):
        events = Path(work) / "events.csv"
        data.write_log(events, log)
        printed = lambda *command: subprocess.run(
            [client, "--server", address, "--timeout-ms", str(serving_quality.CALL_TIMEOUT_MS), "--json", *command],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        # It tells the server every event, new items among them.
        serving_quality.told(printed("evaluate", str(events), "--test-from", str(log.time_s[0]), "--create-items", "--every",
                                     str(len(log)), "--lists", "blend", "--type", type_, "--skip-refused"))
        while (graph := json.loads(printed("status"))["graph"])["applied_offset"] != graph["log_end_offset"]:
            time.sleep(_POLL_S)
        weights = printed("blend", "--weights")
    print(f"the blend learned from {len(log)} events before the cut")
    return weights
