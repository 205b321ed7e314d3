"""The commands train and compare on the beginning of the sample's log.

GROUNDSWELL_SERVER names the program. Needs PyTorch.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from trainer import __main__ as command_line
from trainer import data, ranking, row_quality, snapshot, training

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS = 9000  # of the first four days

_CONFIG = """
[snapshot]
name = "tiny"
output = "{work}/{output}"
server = "{server}"

[data]
events = "{work}/events.csv"
heldout_days = 1
validation_days = 1

[data.provenance]
source = "a test"

[lightgcn]
dim = 8
layers = 1
epochs_max = 1
patience = 1

[clusters]
users = 3
items = 4
seed = 1

[rows]
negatives = {{ uniform = 1, popular = 1 }}

[[ranker]]
name = "macgnn"
kind = "macgnn"
dim = 4
recent_len = 5
epochs = 2
patience = 1
{macgnn}

[[ranker]]
name = "surge"
kind = "surge"
item_width = 4
category_width = 2
state_width = 4
max_history = 6
pool_length = 4
hidden = [6, 4]
head_hidden = [6, 4]
loss = "softmax"
batch_norm = true
{surge}
"""


class Killed(Exception):
    pass


class TrainingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        with open(cls.work / "events.csv", "w", encoding="utf-8") as stream:
            stream.write("timestamp,user,item\n")
            stream.writelines(f"{log.time_s[row]},{log.user[row]},{log.item[row]}\n"
                              for row in range(_EVENTS))
        cls.printed = cls._printed(training.train, cls._config("whole"))

    @classmethod
    def _config(cls, output, macgnn="", surge=""):
        path = cls.work / f"{output}.toml"
        path.write_text(_CONFIG.format(work=cls.work, output=output, server=_SERVER, macgnn=macgnn,
                                       surge=surge), encoding="utf-8")
        return path

    @staticmethod
    def _printed(command, *arguments):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            command(*arguments)
        return printed.getvalue()

    def test_the_server_takes_what_was_trained(self):
        imported = subprocess.run([_SERVER, "import", "--snapshot", self.work / "whole", "--data-dir",
                                   self.work / "db"], capture_output=True, text=True)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertIn("surge within", imported.stdout)

    def test_the_manifest_has_metrics_and_the_digest_of_the_data(self):
        manifest = snapshot.read_manifest(self.work / "whole")
        self.assertEqual([model["name"] for model in manifest["models"]], ["macgnn", "surge", "dot"])
        self.assertEqual(manifest["data"]["events_sha256"], snapshot.sha256(self.work / "events.csv"))
        for scorer in ("macgnn", "surge", "dot", "popularity"):
            for sampling in ("uniform", "popular", "retrieval"):
                for metric in ("auc", "gauc", "mrr", "ndcg_at_3", "recall_at_1"):
                    value = manifest["metrics"][f"heldout.{scorer}.{sampling}.{metric}"]
                    self.assertTrue(0 < value < 1, f"{scorer} {sampling} {metric} is {value}")
        self.assertEqual(manifest["metrics"]["heldout.auc"], manifest["metrics"]["heldout.macgnn.popular.auc"])
        self.assertIn("validation AUC in its list", self.printed)

    def test_a_killed_run_goes_on_to_the_same_snapshot(self):
        config, checkpoints = self._config("resumed"), self.work / "checkpoints"
        train = ranking.train

        def dying(name, *arguments):
            if name == "surge":
                raise Killed
            return train(name, *arguments)

        with mock.patch.object(ranking, "train", dying), self.assertRaises(Killed):
            self._printed(training.train, config, checkpoints)
        self.assertFalse((self.work / "resumed").exists())
        with mock.patch.object(training.lightgcn, "train", side_effect=Killed):  # its result is kept
            self._printed(training.train, config, checkpoints)
        files = snapshot.read_manifest(self.work / "whole")["files"]
        self.assertEqual(snapshot.read_manifest(self.work / "resumed")["files"], files)
        self.assertGreater(len(files), 7)

    def test_checkpoints_of_another_configuration_are_refused(self):
        directory = self.work / "claimed"
        training._claim(directory, {"configuration": "a", "events": "b"})
        training._claim(directory, {"configuration": "a", "events": "b"})
        with self.assertRaisesRegex(ValueError, "another events"):
            training._claim(directory, {"configuration": "a", "events": "c"})

    def test_files_of_models_that_are_gone_are_removed(self):
        draft, output = self.work / "draft", self.work / "output"
        for directory, names in ((output, ("a", "b")), (draft, ("b", "c"))):
            directory.mkdir()
            for name in names:
                (directory / f"{name}.safetensors").write_bytes(directory.name.encode())
            snapshot.write_manifest(directory, {})
        (output / "README").write_text("mine")
        training._replace(draft, output)
        self.assertEqual(sorted(path.name for path in output.iterdir()),
                         ["README", "b.safetensors", "c.safetensors", "manifest.json"])
        self.assertEqual((output / "b.safetensors").read_bytes(), b"draft")

    def test_an_ablation_is_compared_but_not_trained_into_a_snapshot(self):
        before = {path.name: path.read_bytes() for path in (self.work / "whole").iterdir()}
        config = self._config("whole", macgnn='without = ["recent"]', surge='without = ["fusion"]')
        with self.assertRaisesRegex(ValueError, "without recent is an ablation"):
            self._printed(training.train, config)
        with mock.patch.object(sys, "argv", ["trainer", "compare", "--config", str(config), "--seeds", "1",
                                             "2", "--frozen", "--json"]):
            found = json.loads(self._printed(command_line.main))
        self.assertEqual((found["seeds"], found["period"]), ([1, 2], "validation"))
        mean, spread = found["negatives"]["popular"]["macgnn"]["auc"]
        self.assertTrue(0.3 < mean < 1 and 0 < spread < 0.3)
        self.assertEqual(found["negatives"]["uniform"]["popularity"]["auc"][1], 0.0)
        # Live counts know the events since the period began; frozen ones do not.
        self.assertNotEqual(found["negatives"]["uniform"]["popularity"]["auc"],
                            found["negatives"]["uniform, frozen features"]["popularity"]["auc"])
        groups = found["by_history"]["uniform"]["surge"]
        self.assertEqual(list(groups), ["history 1-5", "history 6-10"])  # it reads no more
        lines = row_quality.comparison(found)
        self.assertIn(f"validation rows of {found['events']} events, retrieval negatives; mean and standard "
                      "deviation of 2 seeds", lines)
        self.assertIn(f"{mean:.4f}", "".join(lines))
        self.assertEqual({path.name: path.read_bytes() for path in (self.work / "whole").iterdir()}, before)
        self._config("whole")


if __name__ == "__main__":
    unittest.main()
