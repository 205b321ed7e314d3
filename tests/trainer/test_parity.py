"""From a log to a running server with a tiny ranker of every kind, and its logits over gRPC.

What the server ranks by is compared with the PyTorch modules on features from a slow, obvious replay,
before and after events that the server takes in. GROUNDSWELL_SERVER names the program. Needs PyTorch,
gRPC and protoc.
"""

import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import grpc
import numpy as np
import torch

from tests.trainer.replay_oracle import MacroGraphOracle
from trainer import (api, configuration, data, examples, rankers, ranking, replay, safetensors, snapshot,
                     surge)

torch.set_num_threads(1)

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS, _P, _Q, _DIM = 6000, 4, 5, 8
_RECENT_LEN, _MAX_HISTORY = 6, 10
_TOLERANCE = 1e-4  # absolute and relative
_DEADLINE_S = 20.0

_SURGE = {"kind": "surge", "max_history": _MAX_HISTORY, "item_width": 6, "category_width": 2, "heads": 2,
          "state_width": 5, "head_hidden": [9, 7], "batch_norm": True}
_SEQUENCE = {"max_history": _MAX_HISTORY, "item_width": 6, "category_width": 2, "head_hidden": [9, 7]}
_ORIGINAL = {"variant": "original", "max_history": 5, "item_width": 6}
_RANKERS = [
    *({"name": f"macgnn-{attention}", "kind": "macgnn", "attention": attention, "dim": 4, "tau": 1.5,
       "recent_len": _RECENT_LEN} for attention in ("none", "neighbours")),
    {"name": "surge-authors", **_SURGE, "pool_length": 4, "hidden": [8, 6], "loss": "softmax"},
    {"name": "surge-paper", **_SURGE, "variant": "paper", "clusters": 3, "same_mapping": 0.01,
     "single_affiliation": 0.01, "relative_position": 0.001},
    {"name": "ncf", "kind": "ncf", "gmf_width": 4, "mlp_width": 6, "layers": [7, 5], "output_bias": True},
    {"name": "din", "kind": "din", **_SEQUENCE, "hidden": [8, 6], "loss": "softmax"},
    {"name": "din-original", "kind": "din", **_SEQUENCE, "hidden": [8, 6], "variant": "original",
     "activation": "dice"},
    {"name": "caser", "kind": "caser", **_SEQUENCE, "vertical": 5, "horizontal": 4},
    {"name": "caser-original", "kind": "caser", **_ORIGINAL, "vertical": 3, "horizontal": 4, "z_width": 7,
     "user_width": 5},
    {"name": "gru4rec", "kind": "gru4rec", **_SEQUENCE, "state_width": 5},
    {"name": "gru4rec-original", "kind": "gru4rec", **_ORIGINAL, "state_width": 5, "reset": "after"},
    {"name": "dien", "kind": "dien", **_SEQUENCE, "hidden": [8, 6], "state_width": 5, "augru_width": 7},
    {"name": "dien-original", "kind": "dien", **_SEQUENCE, "hidden": [8, 6], "state_width": 5,
     "augru_width": 7, "variant": "original", "user_width": 4},
    {"name": "slirec", "kind": "slirec", **_SEQUENCE, "hidden": [8, 6]},
    # Of the item before its history it reads the time.
    {"name": "slirec-previous", "kind": "slirec", **_SEQUENCE, "hidden": [8, 6],
     "max_history": _MAX_HISTORY - 1, "padding": "masked", "time_last": "previous_action"},
]


def _clustered(vectors, count, random):
    """Any assignment does here: (clusters, centroids), none of them empty."""
    clusters = random.permutation(np.arange(len(vectors)) % count).astype(np.int32)
    centroids = np.stack([vectors[clusters == c].mean(0) for c in range(count)])
    return clusters, centroids.astype(np.float32)


def _write_snapshot(directory, work, log, interactions):
    """Trains on the log; (clusters of users, clusters of items)."""
    random = np.random.default_rng(2)
    users, items = len(interactions.user_ids), len(interactions.item_ids)
    user = random.normal(size=(users, _DIM)).astype(np.float32)
    item = random.normal(size=(items, _DIM)).astype(np.float32)
    user_clusters, user_centroids = _clustered(user, _P, random)
    item_clusters, item_centroids = _clustered(item, _Q, random)
    categories = [f"category {random.integers(6)}" for _ in range(items)]
    snapshot.write_catalogue(directory, interactions.user_ids,
                             list(zip(interactions.item_ids, interactions.item_ids, categories)))
    snapshot.write_embeddings(directory, user, item)
    snapshot.write_clusters(directory, user_clusters, item_clusters, user_centroids, item_centroids)
    fields = {"name": "tiny", "version": "1", "create_time": "2011-11-11T12:50:00Z", "users": users,
              "items": items, "embedding_dim": _DIM, "user_clusters": _P, "item_clusters": _Q,
              "graph_offset": len(log), "models": [], "metrics": {}}
    snapshot.write_manifest(directory, fields)
    past = replay.Replay(_SERVER, directory, log, work)
    end_s = int(log.time_s[-1]) + 1
    past.graph(end_s, directory / "graph.safetensors")
    rows = past.rows(0, end_s, {"uniform": 1, "popular": 1}, _MAX_HISTORY, _RECENT_LEN, 1)
    catalogue = rankers.Catalogue(user, item, user_clusters, item_clusters, (_P, _Q),
                                  rankers.category_rows(categories))
    for ranker in configuration.rankers_of({"ranker": [
            {**table, "batch": 256, "learning_rate": 0.02} for table in _RANKERS]}):
        model = ranking.train(ranker.name, lambda: rankers.build(ranker, catalogue), rows, 1,
                              ranker.training)
        rankers.write(directory, ranker, model)
        fields["models"].append(ranker.manifest())
    fields["models"].append({"name": "dot", "kind": "dot", "file": snapshot.EMBEDDINGS_FILE,
                             "options": {}})
    examples.write(directory, fields["models"], rows, 1)
    snapshot.write_manifest(directory, fields)
    return user_clusters, item_clusters


def _import(directory, data_dir):
    return subprocess.run([_SERVER, "import", "--snapshot", str(directory), "--data-dir", str(data_dir)],
                          capture_output=True, text=True)


class ParityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        log = data.Log(log.time_s[:_EVENTS], log.user[:_EVENTS], log.item[:_EVENTS])
        cls.interactions = data.index_interactions(log, int(log.time_s[-1]) + 1)
        cls.snapshot = cls.work / "snapshot"
        cls.snapshot.mkdir()
        clusters = _write_snapshot(cls.snapshot, cls.work, log, cls.interactions)
        cls.graph = MacroGraphOracle(*clusters, _P, _Q, _MAX_HISTORY)
        ids = cls.interactions
        for user, item, time_s in zip(ids.user, ids.item, ids.time_s):
            cls.graph.apply(int(user), int(item), time_us=int(time_s) * 10**6)

    def _features(self, user, items):
        graph, n = self.graph, len(items)
        of_user = {"user": user + 1, "u1": graph.h1_u[user], "u2": graph.user_two_hop(user),
                   "urec": graph.recent_items(user), "urec_time_us": graph.recent_times_us(user),
                   "ufirst_time_us": graph.first_time_us(user), "unow_us": time.time_ns() // 1000}
        batch = {name: np.repeat(np.array(value)[None], n, 0) for name, value in of_user.items()}
        return {**batch, "item": items + 1, "i1": graph.h1_i[items], "i2": graph.h2_i[items],
                "irec": np.stack([graph.recent_users(item) for item in items])}

    def test_the_export_carries_examples_of_every_model(self):
        tensors, _ = safetensors.read(self.snapshot / snapshot.EXAMPLES_FILE)
        shapes = {name: list(values.shape) for name, values in tensors.items()}
        n = examples.ROWS
        logits = {f"logit.{table['name']}": [n] for table in _RANKERS}
        self.assertEqual(shapes, {
            "user": [n], "item": [n], "u1": [n, _Q], "u2": [n, _P], "i1": [n, _P], "i2": [n, _Q],
            "urec": [n, _MAX_HISTORY], "irec": [n, _RECENT_LEN], "urec_time_us": [n, _MAX_HISTORY],
            "ufirst_time_us": [n], "unow_us": [n], **logits, "logit.dot": [n]})
        self.assertIn(snapshot.EXAMPLES_FILE, snapshot.read_manifest(self.snapshot)["files"])
        for name, values in tensors.items():
            self.assertGreater(len(np.unique(values)), 1, f"{name} proves nothing")

    def test_a_snapshot_whose_weights_changed_is_refused(self):
        for model, name in (("macgnn-neighbours", "mlp.1.mean"), ("surge-authors", "head.2.bias"),
                            ("surge-paper", "pool.weight"), ("ncf", "mlp.2.bias"),
                            ("slirec", "lstm.last.input.bias")):
            with self.subTest(model=model):
                spoiled = self.work / f"spoiled-{model}"
                shutil.copytree(self.snapshot, spoiled)
                tensors, _ = safetensors.read(spoiled / f"{model}.safetensors")
                tensors = {name: values.copy() for name, values in tensors.items()}
                tensors[name] += np.linspace(0, 2, len(tensors[name]), dtype=np.float32).reshape(
                    -1, *[1] * (tensors[name].ndim - 1))  # as if it had been frozen over other rows
                safetensors.write(spoiled / f"{model}.safetensors", tensors)
                snapshot.update_files(spoiled)
                refused = _import(spoiled, self.work / "spoiled-db")
                self.assertEqual(refused.returncode, 1)
                self.assertIn(f'model "{model}" gives row', refused.stderr)
                self.assertFalse((self.work / "spoiled-db").exists())

    def test_a_model_that_cannot_be_scored_here_is_refused_by_name(self):
        batch = {name: np.zeros((1, 1), np.int32) for name in replay.FEATURES}
        with self.assertRaisesRegex(ValueError, "model s is of kind tower, which has no module here"):
            examples.write_batch(self.snapshot, [{"name": "s", "kind": "tower", "file": "", "options": {}}],
                                 batch, 1)

    def test_rows_with_too_few_neighbours_are_refused(self):
        batch = {name: np.zeros((1, 1), np.int32) for name in replay.FEATURES}
        models = snapshot.read_manifest(self.snapshot)["models"]
        with self.assertRaisesRegex(ValueError, f"{_MAX_HISTORY} newest.*have 1 in urec"):
            examples.write_batch(self.snapshot, models, batch, 1)

    def test_the_server_ranks_by_the_modules_logits(self):
        imported = _import(self.snapshot, self.work / "db")
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertIn(f"proved by {examples.ROWS} examples: macgnn-none within", imported.stdout)
        channel = self._serve()
        messages = api.Api()
        rank = messages.unary(channel, "RecommendationService", "Rank")
        self._compare(rank, messages, "", 5)
        token = self._ingest(channel, messages)
        self._compare(rank, messages, token, 6)

    def _serve(self):
        """A channel to a server that holds the snapshot."""
        server = subprocess.Popen(
            [_SERVER, "serve", f"--server.data_dir={self.work / 'db'}", "--logging.level=error",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             # However busy the machine is, an answer is of the state that its token asks for.
             "--request.consistency_wait_ms=600000", "--request.default_deadline_ms=600000"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        port = server.stdout.readline().split("grpc_port=")[1].split()[0]
        return self.enterContext(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def _ingest(self, channel, messages):
        """60 interactions, half of them of the users that are asked for; the token of the last."""
        record = messages.unary(channel, "InteractionService", "RecordInteraction")
        ids, random = self.interactions, np.random.default_rng(7)
        asked = self._asked(6)
        for event in range(60):
            user = int(asked[event % len(asked)] if event % 2 else random.integers(len(ids.user_ids)))
            item = int(random.integers(len(ids.item_ids)))
            interaction = messages.Interaction(
                event_id=f"parity-{event}", user_id=ids.user_ids[user], item_id=ids.item_ids[item],
                event_type="purchase")
            interaction.event_time.seconds = int(self.interactions.time_s[-1]) + 1 + event
            answer = record(messages.RecordInteractionRequest(interaction=interaction),
                            timeout=_DEADLINE_S)
            self.assertFalse(answer.duplicate)
            self.graph.apply(user, item, time_us=interaction.event_time.seconds * 10**6)
        return answer.consistency_token

    def _asked(self, seed):
        return np.random.default_rng(seed).choice(len(self.interactions.user_ids), 10, replace=False)

    def _compare(self, rank, messages, token, seed):
        ids, random = self.interactions, np.random.default_rng(seed)
        for model in snapshot.read_manifest(self.snapshot)["models"][:-1]:
            module = rankers.read(self.snapshot, model)
            seen = []
            for user in self._asked(seed):
                items = random.choice(len(ids.item_ids), 20, replace=False)
                answer = rank(messages.RankRequest(
                    user_id=ids.user_ids[user], item_ids=[ids.item_ids[item] for item in items],
                    ranker=model["name"], consistency_token=token), timeout=_DEADLINE_S)
                self.assertEqual(answer.ranker, model["name"])
                probability = {entry.item_id: entry.score for entry in answer.items}
                served = np.array([probability[ids.item_ids[item]] for item in items])
                features = self._features(user, items)
                expected = ranking.logits(module, features)
                decided = np.ones(len(items), bool)
                if isinstance(module, surge.SurgeAuthors):
                    decided = module.decided(ranking.tensors(features)).numpy()
                np.testing.assert_allclose(
                    np.log(served / (1 - served))[decided], expected[decided], rtol=_TOLERANCE,
                    atol=_TOLERANCE, err_msg=f"{model['name']}, user {user}")
                seen.extend(expected[decided])
            self.assertGreater(len(seen), 100)
            self.assertGreater(np.std(seen), 0.02, "the logits hardly differ: nothing is compared")


if __name__ == "__main__":
    unittest.main()
