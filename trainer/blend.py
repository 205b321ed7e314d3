"""The weights of the blend that a snapshot starts with, learned by the server's own learner."""

import json
import subprocess
import tempfile
from pathlib import Path

from trainer import data, serving_quality

FILE = "blend.json"
_EVENTS_MIN = 200  # fewer teach less than they mislead
_DIGITS = 4


def learn(server, directory, settings, log, type_):
    """What a server of this program, snapshot directory and settings learns from the interactions of `log`,
    which follow the snapshot, as blend.json has it; None of too few. `type_` is an event type that the
    server knows."""
    if len(log) < _EVENTS_MIN:
        print(f"the blend keeps the weights that the server has built in: {len(log)} events after the "
              f"snapshot to learn from, fewer than {_EVENTS_MIN}")
        return None
    client = str(Path(server).with_name("groundswell"))
    with (tempfile.TemporaryDirectory(prefix="groundswell-blend-") as work,
          serving_quality.serving(server, directory, {**settings, **serving_quality.REPLAY_SETTINGS}) as address):
        events = Path(work) / "events.csv"
        data.write_log(events, log)
        of_server = [client, "--server", address, "--json"]
        # Which tells the server every event, new items among them, and that it was told.
        subprocess.run([*of_server, "evaluate", str(events), "--test-from", str(log.time_s[0]), "--create-items",
                        "--every", str(len(log)), "--lists", "blend", "--type", type_],
                       check=True, stdout=subprocess.DEVNULL)
        learned = json.loads(subprocess.run([*of_server, "blend"], check=True, stdout=subprocess.PIPE,
                                            text=True).stdout)
    print(f"the blend learned from {learned['steps']} of {len(log)} events before the cut")
    return {row: {name: round(weight, _DIGITS) for name, weight in weights.items()}
            for row, weights in learned["weights"].items()}


def write(directory, weights):
    text = json.dumps({"format_version": 1, "weights": weights}, indent=2) + "\n"
    (Path(directory) / FILE).write_text(text, encoding="utf-8")
