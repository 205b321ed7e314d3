"""Training on the server's own candidates, from the log to a snapshot that a server takes, for every ranker.

GROUNDSWELL_SERVER names the program. Needs PyTorch.
"""

import contextlib
import io
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

from trainer import configuration, data, replay, snapshot, training

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS = 3000  # of the first two days
_RANKERS = ("macgnn", "surge", "surge-paper")

_SURGE = """
kind = "surge"
item_width = 4
category_width = 2
state_width = 4
max_history = 6
head_hidden = [6, 4]
epochs = 3
batch = 128
learning_rate = 0.02
"""
_CONFIG = """
[snapshot]
name = "tiny"
output = "{work}/tiny"
server = "{server}"

[data]
events = "{work}/events.csv"
heldout_days = 0.2
validation_days = 0.2

[lightgcn]
dim = 4
layers = 1
epochs_max = 1
patience = 1

[clusters]
users = 2
items = 3
seed = 1

[rows]
negatives = "candidates"

[[ranker]]
name = "macgnn"
kind = "macgnn"
dim = 4
recent_len = 5
epochs = 3
batch = 128
log_q = true

[[ranker]]
name = "surge"
pool_length = 4
hidden = [6, 4]
log_q = true
{surge}

[[ranker]]
name = "surge-paper"
variant = "paper"
clusters = 2
{surge}
"""


class CandidatesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        with open(cls.work / "events.csv", "w", encoding="utf-8") as stream:
            stream.write("timestamp,user,item\n")
            stream.writelines(f"{log.time_s[row]},{log.user[row]},{log.item[row]}\n" for row in range(_EVENTS))
        cls.config = cls.work / "tiny.toml"
        cls.config.write_text(_CONFIG.format(work=cls.work, server=_SERVER, surge=_SURGE), encoding="utf-8")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            training.train(cls.config)
        cls.printed = printed.getvalue()

    def test_the_loss_of_every_ranker_goes_down(self):
        for ranker in _RANKERS:
            losses = [float(loss) for loss in re.findall(rf"^{ranker}: epoch \d of 3  loss ([\d.]+)", self.printed, re.M)]
            self.assertEqual(len(losses), 3, ranker)
            self.assertLess(losses[-1], losses[0] - 0.02, f"{ranker}: {losses}")

    def test_the_server_takes_what_was_trained(self):
        imported = subprocess.run([_SERVER, "import", "--snapshot", self.work / "tiny", "--data-dir", self.work / "db"],
                                  capture_output=True, text=True)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        metrics = snapshot.read_manifest(self.work / "tiny")["metrics"]
        for ranker in _RANKERS:
            self.assertIn(f"{ranker} within", imported.stdout)
            self.assertTrue(0 < metrics[f"heldout.{ranker}.popular.auc"] < 1)

    def test_rows_are_of_candidates_that_the_user_has_not_and_the_same_every_time(self):
        run = training.Training(configuration.read(self.config))
        rows = [run.rows(replay.Replay(_SERVER, self.work / "tiny", run.log, self.work), 0, run.split.cut_s)
                for _ in range(2)]
        for name, values in rows[0].columns.items():
            np.testing.assert_array_equal(values, rows[1].columns[name], name)
        self.assertEqual((rows[0].sources() == 0).sum() * 9, len(rows[0]))
        self.assertGreater((rows[0].sources() == 5).mean(), 0.7)


if __name__ == "__main__":
    unittest.main()
