"""From a log to a running server with a tiny MacGNN of each attention, and its logits over gRPC.

What the server ranks by is compared with the PyTorch module on features from a slow, obvious replay.
GROUNDSWELL_SERVER names the program. Needs PyTorch, gRPC and protoc.
"""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import grpc
import numpy as np

from tests.trainer.replay_oracle import MacroGraphOracle
from trainer import data, examples, ranking, replay, safetensors, serving_quality, snapshot

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS, _P, _Q, _DIM, _RECENT_LEN = 6000, 4, 5, 8, 6
_TOLERANCE = 1e-4  # absolute and relative
_DEADLINE_S = 20.0


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
    snapshot.write_catalogue(directory, interactions.user_ids,
                             [(id_, id_, "any") for id_ in interactions.item_ids])
    snapshot.write_embeddings(directory, user, item)
    snapshot.write_clusters(directory, user_clusters, item_clusters, user_centroids, item_centroids)
    fields = {"name": "tiny", "version": "1", "create_time": "2011-11-11T12:50:00Z", "users": users,
              "items": items, "embedding_dim": _DIM, "user_clusters": _P, "item_clusters": _Q,
              "graph_offset": len(log), "models": [], "metrics": {}}
    snapshot.write_manifest(directory, fields)
    past = replay.Replay(_SERVER, directory, log, work)
    end_s = int(log.time_s[-1]) + 1
    past.graph(end_s, directory / "graph.safetensors")
    rows = past.rows(0, end_s, {"uniform": 1, "popular": 1}, _RECENT_LEN, _RECENT_LEN, 1)
    for attention in ("none", "neighbours"):
        options = ranking.Options(dim=4, recent_len=_RECENT_LEN, attention=attention, tau=1.5,
                                  batch=256, learning_rate=0.02)
        tables = ranking.initial_tables(user, item, user_clusters, item_clusters, (_P, _Q),
                                        options.dim)
        file = f"macgnn-{attention}.safetensors"
        safetensors.write(directory / file, ranking.weights(ranking.train(rows, tables, options)))
        fields["models"].append({"name": f"macgnn-{attention}", "kind": "macgnn", "file": file,
                                 "options": {"attention": attention, "tau": "1.5",
                                             "recent_len": str(_RECENT_LEN)}})
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
        cls.graph = MacroGraphOracle(*clusters, _P, _Q, _RECENT_LEN)
        for user, item in zip(cls.interactions.user, cls.interactions.item):
            cls.graph.apply(int(user), int(item))

    def _features(self, user, items):
        graph, n = self.graph, len(items)
        of_user = {"user": user + 1, "u1": graph.h1_u[user], "u2": graph.user_two_hop(user),
                   "urec": graph.recent_items(user)}
        batch = {name: np.repeat(np.array(value)[None], n, 0) for name, value in of_user.items()}
        return {**batch, "item": items + 1, "i1": graph.h1_i[items], "i2": graph.h2_i[items],
                "irec": np.stack([graph.recent_users(item) for item in items])}

    def test_the_export_carries_examples_of_every_model(self):
        tensors, _ = safetensors.read(self.snapshot / snapshot.EXAMPLES_FILE)
        shapes = {name: list(values.shape) for name, values in tensors.items()}
        n = examples.ROWS
        self.assertEqual(shapes, {
            "user": [n], "item": [n], "u1": [n, _Q], "u2": [n, _P], "i1": [n, _P], "i2": [n, _Q],
            "urec": [n, _RECENT_LEN], "irec": [n, _RECENT_LEN], "logit.macgnn-none": [n],
            "logit.macgnn-neighbours": [n], "logit.dot": [n]})
        self.assertIn(snapshot.EXAMPLES_FILE, snapshot.read_manifest(self.snapshot)["files"])
        for name, values in tensors.items():
            self.assertGreater(len(np.unique(values)), 1, f"{name} proves nothing")

    def test_a_snapshot_whose_weights_changed_is_refused(self):
        spoiled = self.work / "spoiled"
        shutil.copytree(self.snapshot, spoiled)
        tensors, _ = safetensors.read(spoiled / "macgnn-neighbours.safetensors")
        tensors = {name: values.copy() for name, values in tensors.items()}
        tensors["mlp.1.mean"] += 0.5  # as if Dice had been frozen over other rows
        safetensors.write(spoiled / "macgnn-neighbours.safetensors", tensors)
        snapshot.update_files(spoiled)
        refused = _import(spoiled, self.work / "spoiled-db")
        self.assertEqual(refused.returncode, 1)
        self.assertIn('model "macgnn-neighbours" gives row', refused.stderr)
        self.assertFalse((self.work / "spoiled-db").exists())

    def test_a_model_that_cannot_be_scored_here_is_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "surge.*which has no module here"):
            examples.write(self.snapshot, [{"name": "s", "kind": "surge", "file": "", "options": {}}],
                           replay.Rows({name: np.zeros((1, 1, 1), np.int32) for name in replay.FEATURES},
                                       *(np.zeros(1, int) for _ in range(5))), 1)

    def test_the_server_ranks_by_the_modules_logits(self):
        imported = _import(self.snapshot, self.work / "db")
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertIn(f"proved by {examples.ROWS} examples: macgnn-none within", imported.stdout)
        messages, services = serving_quality.compile_stubs(
            self.enterContext(tempfile.TemporaryDirectory()))
        server = subprocess.Popen(
            [_SERVER, "serve", f"--server.data_dir={self.work / 'db'}", "--logging.level=error",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        port = server.stdout.readline().split("grpc_port=")[1].split()[0]
        channel = self.enterContext(grpc.insecure_channel(f"127.0.0.1:{port}"))
        rank = services.RecommendationServiceStub(channel).Rank
        ids, random = self.interactions, np.random.default_rng(5)
        for model in snapshot.read_manifest(self.snapshot)["models"][:2]:
            tensors, _ = safetensors.read(self.snapshot / model["file"])
            module = ranking.module(tensors, model["options"])
            seen = []
            for user in random.choice(len(ids.user_ids), 10, replace=False):
                items = random.choice(len(ids.item_ids), 20, replace=False)
                answer = rank(messages.RankRequest(
                    user_id=ids.user_ids[user], item_ids=[ids.item_ids[item] for item in items],
                    ranker=model["name"]), timeout=_DEADLINE_S)
                probability = {entry.item_id: entry.score for entry in answer.items}
                served = np.array([probability[ids.item_ids[item]] for item in items])
                expected = ranking.logits(module, self._features(user, items))
                np.testing.assert_allclose(np.log(served / (1 - served)), expected, rtol=_TOLERANCE,
                                           atol=_TOLERANCE, err_msg=f"{model['name']}, user {user}")
                seen.append(expected)
            self.assertGreater(np.std(seen), 0.05, "the logits hardly differ: nothing is compared")


if __name__ == "__main__":
    unittest.main()
