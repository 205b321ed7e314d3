"""The commands train and compare on the beginning of the sample's log.

GROUNDSWELL_SERVER names the program. Needs PyTorch.
"""

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from tests.trainer.replay_oracle import MacroGraphOracle
from trainer import __main__ as command_line
from trainer import (blend, data, evaluation, ranking, row_quality, safetensors, serving_quality, snapshot,
                     training)

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS = 9000  # of the first four days
_USERS = 30  # who are asked for lists, at most
_MAX_HISTORY = 6

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
{rows}

[[encoder]]
name = "folded"
side = "user"
kind = "linear"

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
max_history = {max_history}
pool_length = 4
hidden = [6, 4]
head_hidden = [6, 4]
loss = "softmax"
batch_norm = true
{surge}
{more}
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
        cls.printed = cls._printed(training.train, cls._config("whole", more="[blend]\nlearn = true"))

    @classmethod
    def _config(cls, output, macgnn="", surge="", rows="", more=""):
        path = cls.work / f"{output}.toml"
        path.write_text(_CONFIG.format(work=cls.work, max_history=_MAX_HISTORY, output=output, server=_SERVER, macgnn=macgnn,
                                       surge=surge, rows=rows, more=more), encoding="utf-8")
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
        self.assertIn("folded within", imported.stdout)

    def test_the_blend_begins_with_what_the_days_before_the_cut_taught(self):
        self.assertIn("blend.json", snapshot.read_manifest(self.work / "whole")["files"])
        weights = json.loads((self.work / "whole" / "blend.json").read_text(encoding="utf-8"))["weights"]
        self.assertNotEqual(weights["in_visit"]["next_items.near_the_top"], 2.08)  # as built in
        self.assertIn("ranker.near_the_top", weights["in_visit"])
        self.assertIn("events before the cut", self.printed)

    def test_a_busy_server_does_not_end_what_the_blend_learns(self):
        """No call gives up after the second that people at a terminal wait."""
        programs, called = self.work / "programs", self.work / "called"
        programs.mkdir()
        (programs / "groundswell-server").symlink_to(_SERVER)
        client = programs / "groundswell"
        client.write_text(f'#!/bin/sh\necho "$*" >>{called}\nexec {Path(_SERVER).with_name("groundswell")} "$@"\n')
        client.chmod(0o755)
        log = data.read_log(self.work / "events.csv")
        later = log.at(np.flatnonzero(log.time_s >= self._cut_s())[:200])
        printed = self._printed(blend.learn, programs / "groundswell-server", self.work / "whole", {}, later, "purchase")
        self.assertIn("the blend learned from 200 events", printed)
        calls = called.read_text().splitlines()
        self.assertGreater(len(calls), 2)  # evaluate, status until all is applied, blend
        for call in calls:
            self.assertIn(" --timeout-ms 120000 --json ", call)

    def test_the_manifest_has_metrics_and_the_digest_of_the_data(self):
        manifest = snapshot.read_manifest(self.work / "whole")
        self.assertEqual([model["name"] for model in manifest["models"]], ["macgnn", "surge", "dot"])
        self.assertEqual(manifest["data"]["events_sha256"], snapshot.sha256(self.work / "events.csv"))
        for scorer in ("macgnn", "surge", "dot", "popularity"):
            for sampling in ("uniform", "popular", "retrieval"):
                for metric in ("auc", "gauc", "mrr", "ndcg_at_3", "recall_at_1"):
                    value = manifest["metrics"][f"heldout.{scorer}.{sampling}.{metric}"]
                    self.assertTrue(0 < value < 1, f"{scorer} {sampling} {metric} is {value}")
        self.assertIn("validation AUC in its list", self.printed)

    def test_held_out_figures_say_of_how_many_events_they_are(self):
        metrics = snapshot.read_manifest(self.work / "whole")["metrics"]
        log = data.read_log(self.work / "events.csv")
        later = log.time_s >= self._cut_s()
        left_out = {name.rpartition(".")[2]: count for name, count in metrics.items()
                    if name.startswith("heldout.left_out.")}
        self.assertEqual(list(left_out), ["repeat"])  # the plain log has nothing else
        self.assertEqual(metrics["heldout.events"], later.sum())
        self.assertEqual(metrics["heldout.judged"] + left_out["repeat"], later.sum())
        # Items from after the cut are judged, and misses.
        known = set(np.array(log.item)[~later])
        pairs = {(user, item) for user, item, is_later in zip(log.user, log.item, later)
                 if is_later and item not in known}
        self.assertEqual(metrics["heldout.misses"], len(pairs))
        self.assertGreater(len(pairs), 20)
        self.assertTrue(0 < metrics["heldout.auc"] < metrics["heldout.macgnn.popular.auc"])
        of_known = metrics["heldout.judged"] - len(pairs)
        self.assertIn(f"held out, {of_known} of {later.sum()} events (left out: ", self.printed)
        self.assertIn(f"{metrics['heldout.judged']} of {later.sum()} events (left out: {left_out['repeat']} on items that "
                      f"the user had), {len(pairs)} on items outside the snapshot as misses: macgnn", self.printed)

    def test_the_rankers_are_measured_on_the_servers_own_candidates(self):
        metrics = snapshot.read_manifest(self.work / "whole")["metrics"]
        self.assertGreater(metrics["heldout.candidates.users"], 5)
        for ranker in ("macgnn", "surge"):
            named = f"heldout.candidates.{ranker}"
            self.assertAlmostEqual(metrics[f"{named}.ndcg_at_20"] - metrics["heldout.candidates.retrieval.ndcg_at_20"],
                                   metrics[f"{named}.difference"], delta=2e-4)
            worse = metrics[f"{named}.difference"] + metrics[f"{named}.interval"] < 0
            self.assertEqual(metrics[f"{named}.worse_than_retrieval"], worse)
            self.assertIn(f"warning: {ranker} orders" if worse else f"{ranker} on the server's own candidates: NDCG",
                          self.printed)

    def test_a_ranker_that_orders_worse_than_retrieval_is_warned_of(self):
        truth = evaluation.NewItems({}, {user: {0} for user in range(40)}, {}, None)
        best = {user: [0, 1, 2] for user in range(40)}
        last = {user: [2, 1, 0] if user % 4 else [0, 1, 2] for user in range(40)}
        order = {serving_quality.UNRANKED: best, "bad": last, "good": best}
        bad, good = serving_quality.orders_of_candidates({"alone": order, "fused": order}, truth)
        self.assertEqual((bad.ranker, bad.users, bad.retrieval, bad.alone), ("bad", 40, 1.0, 0.625))
        self.assertAlmostEqual(bad.interval, 1.96 * np.std([0.5] * 30 + [0.0] * 10, ddof=1) / 40 ** 0.5, places=4)
        self.assertTrue(bad.line().startswith("warning: bad orders the server's own candidates worse than retrieval "
                                              "does: NDCG@20 0.6250 alone and 0.6250 with its vote, retrieval 1.0000"))
        self.assertEqual(bad.metrics("m")["m.bad.worse_than_retrieval"], 1)
        self.assertEqual(good.metrics("m")["m.good.worse_than_retrieval"], 0)
        self.assertNotIn("warning", good.line())
        # What may be chance is no reason to warn.
        chance = {**best, 0: [1, 0]}
        (order_of_one,) = serving_quality.orders_of_candidates(
            {of: {serving_quality.UNRANKED: best, "one": chance} for of in ("alone", "fused")}, truth)
        self.assertLess(order_of_one.difference, 0)
        self.assertFalse(order_of_one.is_worse)

    def test_lists_of_a_server_are_judged_of_all_and_of_what_was_known(self):
        config = self._config("whole")
        manifest = self.work / "whole/manifest.json"
        before = manifest.read_bytes()
        with serving_quality.serving(_SERVER, self.work / "whole", {}) as address:
            printed = self._printed(serving_quality.evaluate, config, address, True)
        metrics = snapshot.read_manifest(self.work / "whole")["metrics"]
        manifest.write_bytes(before)
        judged, misses = metrics["heldout.lists.judged"], metrics["heldout.lists.misses"]
        self.assertEqual(judged + metrics["heldout.lists.left_out.repeat"], metrics["heldout.lists.events"])
        self.assertTrue(0 < misses < judged)
        self.assertIn(f"judged: {judged} of {metrics['heldout.lists.events']} events (left out: ", printed)
        self.assertIn(f"{misses} of these are sure misses", printed)
        for name in ("heldout", "heldout.dot", "heldout.popularity"):
            self.assertTrue(0 <= metrics[f"{name}.recall_at_20"] < metrics[f"{name}.known.recall_at_20"], name)

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
        with mock.patch.object(training.embeddings, "train", side_effect=Killed):  # its result is kept
            self._printed(training.train, config, checkpoints)
        files = snapshot.read_manifest(self.work / "whole")["files"]
        del files["blend.json"]  # that run was not asked for one
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

    def test_a_directory_of_other_files_stays_as_it_is(self):
        output = self.work / "theirs"
        output.mkdir()
        (output / "manifest.json").write_text('{"files": {"photo.jpg": {}}}')
        (output / "photo.jpg").write_text("mine")
        draft = self.work / "draft-beside-theirs"
        draft.mkdir()
        for write in (lambda: training.train(self._config("theirs")), lambda: training._replace(draft, output)):
            with self.assertRaisesRegex(ValueError, "theirs/manifest.json: format_version is null"):
                write()
        self.assertEqual((output / "photo.jpg").read_text(), "mine")

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
        judgement = found["judgement"]
        self.assertEqual(judgement["judged"], found["events"])
        self.assertEqual(judgement["judged"] + sum(judgement["left_out"].values()), judgement["events"])
        lines = row_quality.comparison(found)
        self.assertIn(f"validation rows of {found['events']} of {judgement['events']} events (left out: "
                      f"{judgement['left_out']['repeat']} on items that the user had), negatives retrieval; mean and "
                      "standard deviation of 2 seeds", lines)
        self.assertIn(f"{mean:.4f}", "".join(lines))
        self.assertEqual({path.name: path.read_bytes() for path in (self.work / "whole").iterdir()}, before)
        self._config("whole")

    def test_a_served_ablation_is_refused(self):
        config = self._config("whole", surge='without = ["extraction"]')
        for served in ({"lists_of": 5}, {"replay_every": 5}):
            with self.assertRaisesRegex(ValueError, "without extraction is an ablation"):
                self._printed(functools.partial(training.compare, **served), config, [1], "heldout")
        with self.assertRaisesRegex(ValueError, "no ranker macgn; there are macgnn, surge"):
            training.compare(config, [1], "heldout", only=["macgn"])
        with mock.patch.object(training, "_measure_rows", return_value={}), \
                mock.patch.object(training, "_measure_lists", return_value=({}, [])) as measured:
            self._printed(functools.partial(training.compare, lists_of=5, only=["macgnn"]), config, [1],
                          "heldout")
        self.assertEqual(list(measured.call_args.args[1]), ["macgnn"])
        self._config("whole")

    def test_a_served_list_is_in_the_order_of_the_ranker_and_seed_that_it_is_named_after(self):
        asked, trained = [], []

        def ask(*arguments):
            asked.append(serving_quality_ask(*arguments))
            return asked[-1]

        def write_models(run, models, *arguments):
            trained.append((run, models))
            return training_write_models(run, models, *arguments)

        serving_quality_ask, training_write_models = serving_quality._ask, training._write_models
        compare = functools.partial(training.compare, lists_of=_USERS)
        with mock.patch.object(serving_quality, "_ask", ask), \
                mock.patch.object(training, "_write_models", write_models):
            found = self._compared(compare)
        (run, models), alone = trained[0], asked[0]
        rankers = [name for name in alone if name not in ("order of the blend", "popularity")]
        # A server for each of them, in whose blend it votes.
        fused = {ranker: lists[""] for ranker, lists in zip(rankers, asked[1:], strict=True)}
        features = _features_at_the_cut(run, self.work / "whole")
        descending = lambda logits: bool((np.diff(logits) < 1e-4).all())
        for name, of_seeds in models.items():
            for seed, model in zip((1, 2), of_seeds):
                logits = {served: [ranking.logits(model, features(user, items))
                                   for user, items in lists[f"{name}.seed-{seed}"].items()]
                          for served, lists in (("alone", alone), ("fused", fused))}
                self.assertTrue(all(map(descending, logits["alone"])), f"{name}, seed {seed}")
                self.assertFalse(all(map(descending, logits["fused"])), f"{name}, seed {seed}")
                other = [ranking.logits(of_seeds[2 - seed], features(user, items))
                         for user, items in alone[f"{name}.seed-{seed}"].items()]
                self.assertFalse(any(map(descending, other)), "the seeds do not differ: nothing is proved")
        self._check_recall(found["lists"], run, alone)

    def _check_recall(self, lists, run, alone):
        truth = evaluation.new_items(run.interactions, run.split.cut_s, run.split.end_s + 1)
        users = list(alone["dot"])
        of_one = lambda served: np.mean([len(truth.relevant[user] & set(alone[served][user])) /
                                         len(truth.relevant[user]) for user in users])
        of_seeds = [round(of_one(f"macgnn.seed-{seed}"), 4) for seed in (1, 2)]
        found = lists[f"{len(users)} users at the cut, in the ranker's order alone"]
        mean, spread = found["macgnn"]["recall_at_20"]
        self.assertGreater(mean, 0)
        self.assertAlmostEqual(mean, np.mean(of_seeds))
        self.assertAlmostEqual(spread, np.std(of_seeds, ddof=1))
        self.assertAlmostEqual(found["order of the blend"]["recall_at_20"][0],
                               of_one("order of the blend"), places=4)
        self.assertEqual(list(found), ["order of the blend", "popularity", "dot", "macgnn", "surge"])
        self.assertGreater(found["popularity"]["recall_at_20"][0], 0)
        counts = evaluation.popularity(run.interactions, len(run.interactions.item_ids), run.split.cut_s)
        first_pages = alone["order of the blend"]
        for user, items in alone["popularity"].items():
            self.assertTrue((np.diff(counts[items]) <= 0).all())
            self.assertGreaterEqual(counts[items].sum(), counts[first_pages[user]].sum())
        self.assertTrue(any(set(items) - set(first_pages[user]) for user, items in alone["popularity"].items()))

    def test_replayed_events_are_asked_for_with_every_ranker(self):
        compare = functools.partial(training.compare, replay_every=10)
        with mock.patch.object(serving_quality, "serving", wraps=serving_quality.serving) as serving:
            found = self._compared(compare, rows="measured_share = 0.3",
                                   more="[serving.retrieval]\nvisit_gap_s = 600")
        settings = [call.args[2] for call in serving.call_args_list]
        self.assertEqual([of.get("ranking.shares") for of in settings],
                         [None, "dot=100", *(f"{name}.seed-{seed}=100"
                                             for name in ("macgnn", "surge") for seed in (1, 2))])
        self.assertEqual({of["retrieval.visit_gap_s"] for of in settings}, {600})
        later = int((data.read_log(self.work / "events.csv").time_s >= self._cut_s()).sum())
        lists = {title.partition(", ")[2]: (title, values) for title, values in found["lists"].items()}
        self.assertEqual(list(lists), ["in the ranker's order alone", "in the order of the blend, with its vote"])
        for title, values in lists.values():
            asked = int(title.split()[0])
            self.assertEqual(title.split()[2], str(later))
            self.assertTrue(later / 20 < asked < later / 5, title)
            self.assertEqual(list(values), ["order of the blend", "popularity", "dot", "macgnn", "surge"])
            for name, metrics in values.items():
                self.assertTrue(0 <= metrics["hit_rate_at_20"][0] < metrics["hit_rate_at_100"][0] < 1, name)
            # A mean of seeds over so many events is a number of hits.
            hits = 2 * asked * values["macgnn"]["hit_rate_at_100"][0]
            self.assertAlmostEqual(hits, round(hits), places=6)
        (_, alone), (_, fused) = lists.values()
        # The server renews popularity by the clock: two replays may differ by a hit or two.
        self.assertAlmostEqual(alone["order of the blend"]["hit_rate_at_100"][0],
                               fused["order of the blend"]["hit_rate_at_100"][0], delta=0.05)
        self.assertIn("recommended lists, " + title, row_quality.comparison(found))

    def test_a_share_of_the_events_is_measured(self):
        whole = self._compared(training.compare)["events"]
        share = self._compared(training.compare, rows="measured_share = 0.3")["events"]
        self.assertTrue(0.25 * whole < share < 0.35 * whole, f"{share} of {whole}")

    def test_each_purchase_stands_against_as_many_items_as_are_asked_for(self):
        few = self._compared(training.compare)
        many = self._compared(functools.partial(training.compare, sampled=19))
        self.assertEqual(many["events"], few["events"])
        self.assertEqual(list(many["negatives"]), ["uniform, 19 of them", "popular, 19 of them"])
        for name, values in many["negatives"]["uniform, 19 of them"].items():
            of_few = few["negatives"]["uniform"][name]
            self.assertTrue(0 < values["ndcg_at_2"][0] < of_few["ndcg_at_3"][0] < 1, name)
            self.assertLess(values["mrr"][0], of_few["mrr"][0])
            # How often a positive outscores a negative does not hang on their number.
            self.assertAlmostEqual(values["auc"][0], of_few["auc"][0], delta=0.03)
        with mock.patch.object(training, "compare", return_value={}) as compare, \
                mock.patch.object(sys, "argv", ["trainer", "compare", "--config", "c", "--sampled", "99", "--json"]):
            self._printed(command_line.main)
        self.assertEqual(compare.call_args.args[-1], 99)

    def _cut_s(self):
        log = data.read_log(self.work / "events.csv")
        return data.split_by_time(log, 1, 1).cut_s

    def _compared(self, compare, **changes):
        """What `compare` finds on the held-out day, with two seeds; the training is kept for the next."""
        config = self._config("whole", **changes)
        checkpoints = self.work / "compared"
        (checkpoints / "run.json").unlink(missing_ok=True)  # the changes are of what is measured
        with contextlib.redirect_stdout(io.StringIO()):
            return compare(config, [1, 2], "heldout", checkpoints=checkpoints)


def _features_at_the_cut(run, directory):
    """A function of (user, items) that gives a batch, by the slow replay of what is before the cut."""
    clusters, _ = safetensors.read(directory / "clusters.safetensors")
    graph = MacroGraphOracle(clusters["user"], clusters["item"], len(clusters["user_centroids"]),
                             len(clusters["item_centroids"]), _MAX_HISTORY)
    for user, item in zip(*run.interactions.between(0, run.split.cut_s)):
        graph.apply(int(user), int(item))

    def features(user, items):
        of_user = {"user": user + 1, "u1": graph.h1_u[user], "u2": graph.user_two_hop(user),
                   "urec": graph.recent_items(user)}
        items = np.array(items)
        return {**{name: np.repeat(np.array(value)[None], len(items), 0) for name, value in of_user.items()},
                "item": items + 1, "i1": graph.h1_i[items], "i2": graph.h2_i[items],
                "irec": np.stack([graph.recent_users(item) for item in items])}

    return features


if __name__ == "__main__":
    unittest.main()
