"""ALS against naive solves, encoders against the embeddings they fold into, and that a server proves them.

GROUNDSWELL_SERVER names the program. Needs PyTorch.
"""

import contextlib
import io
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import scipy.sparse

from trainer import als, clusters, configuration, data, embeddings, encoders, lightgcn, replay, safetensors, snapshot

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS, _DIM = 4000, 6


def _counts(seed=1, users=25, items=15):
    random = np.random.default_rng(seed)
    return random.poisson(0.4, (users, items)) * (np.arange(users) != 3)[:, None]  # user 3 has nothing


def _naive_vector(vectors, counts, options):
    """The minimum over one user's vector, over all items, as published."""
    p, c = (counts > 0).astype(float), 1 + options.alpha * counts
    weighted = options.lambda_ * (max((counts > 0).sum(), 1) if options.regularisation == "weighted" else 1)
    return np.linalg.inv(vectors.T @ np.diag(c) @ vectors + weighted * np.eye(vectors.shape[1])) @ vectors.T @ (c * p)


class AlsTest(unittest.TestCase):
    def test_a_half_step_is_the_naive_solution_of_every_row(self):
        counts, vectors = _counts(), np.random.default_rng(2).normal(size=(15, 4))
        for regularisation in ("plain", "weighted"):
            options = als.Options(dim=4, alpha=3.0, lambda_=0.5, regularisation=regularisation)
            found = als.half_step(scipy.sparse.csr_matrix(counts.astype(float)), vectors, options)
            for row, expected in zip(found, counts):
                np.testing.assert_allclose(row, _naive_vector(vectors, expected, options), rtol=1e-9, atol=1e-12)
            self.assertFalse(found[3].any())

    def test_no_epoch_makes_the_loss_larger(self):
        counts = _counts()
        for regularisation, weighted in (("plain", False), ("weighted", True)):
            options = als.Options(dim=3, alpha=2.0, lambda_=0.3, regularisation=regularisation)
            trainer, losses = als.Trainer(scipy.sparse.csr_matrix(counts), options), []
            of_users, of_items = ((counts > 0).sum(side) if weighted else np.ones(counts.shape[1 - side])
                                  for side in (1, 0))
            for epoch in range(6):
                trainer.epoch("")
                user, item = trainer.user, trainer.item.astype(float)
                error = ((1 + options.alpha * counts) * ((counts > 0) - user @ item.T) ** 2).sum()
                losses.append(error + options.lambda_ * (of_users @ (user ** 2).sum(1) + of_items @ (item ** 2).sum(1)))
            self.assertTrue((np.diff(losses) < 1e-4).all(), losses)
            self.assertLess(losses[-1], 0.9 * losses[0])

    def test_the_trained_users_are_a_half_step_from_the_trained_items(self):
        options = als.Options(dim=4, alpha=5.0)
        trainer = als.Trainer(scipy.sparse.csr_matrix(_counts()), options)
        for _ in range(3):
            trainer.epoch("")
        user, item = trainer.embeddings()
        for vector, counts in zip(user, _counts()):
            np.testing.assert_allclose(vector, _naive_vector(item.astype(float), counts, options), rtol=1e-5, atol=1e-6)

    def test_a_run_that_goes_on_ends_the_same(self):
        taken, options = scipy.sparse.csr_matrix(_counts()), als.Options(dim=4)
        unbroken, begun, resumed = (als.Trainer(taken, options) for _ in range(3))
        embeddings.train_epochs(unbroken, 4)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "state.safetensors"
            embeddings.train_epochs(begun, 2, path)
            embeddings.train_epochs(resumed, 4, path)
            with self.assertRaisesRegex(ValueError, "with alpha 1.0, not 2.0"):
                embeddings.train_epochs(als.Trainer(taken, als.Options(dim=4, alpha=2.0)), 4, path)
        for found, expected in zip(resumed.embeddings(), unbroken.embeddings()):
            np.testing.assert_array_equal(found, expected)

    def test_counts_are_the_weights_that_stand_at_the_cut(self):
        log = data.Log(np.arange(7), list("aababab"), list("xxyxxxx"), np.array([2, 1, 1, 3, -1, -5, 9]))
        found = als.log_trainer(data.index_interactions(log, 6), 6, als.Options(dim=2)).taken
        self.assertEqual(found.toarray().tolist(), [[1, 0], [0, 1]])  # b never had x


class NeighboursTest(unittest.TestCase):
    def test_the_newest_come_first_with_all_their_counts(self):
        graph = {"user_begin": np.array([0, 4, 4, 6]), "item": np.array([0, 0, 1, 2, 1, 2]),
                 "count": np.array([5, 1, 2, 1, 1, 4]), "last_time_us": np.array([1, 9, 7, 7, 7, 3]),
                 "last_offset": np.array([1, 6, 3, 4, 5, 2])}
        found = encoders.neighbours(graph, 3, 4)
        lists = {side: [list(zip(*(values.tolist() for values in of.of(node)))) for node in range(len(of.begin) - 1)]
                 for side, of in found.items()}
        self.assertEqual(lists["user"], [[(0, 6), (2, 1), (1, 2)], [], [(1, 1), (2, 4)]])
        self.assertEqual(lists["item"], [[(0, 6)], [(2, 1), (0, 2)], [(0, 1), (2, 4)], []])


_OF_LIGHTGCN = """
[lightgcn]
dim = 6
layers = 2
average = 0.9

[[encoder]]
name = "users"
side = "user"
kind = "linear"

[[encoder]]
name = "items"
side = "item"
kind = "linear"

[[encoder]]
name = "items.short"
side = "item"
kind = "linear"
length = "none"

[[encoder]]
name = "newest"
side = "user"
kind = "newest"
half = 3

[[encoder]]
name = "newest.few"
side = "user"
kind = "newest"
neighbors = 2

[[encoder]]
name = "mixture"
side = "user"
kind = "mixture"
clusters_max = 2

[[encoder]]
name = "als"
side = "user"
kind = "als"
alpha = 4
lambda = 2
neighbors = 5
"""

_OF_ALS = """
[als]
dim = 6
alpha = 10.0
lambda = 0.5
regularisation = "weighted"

[[encoder]]
name = "users"
side = "user"
kind = "als"

[[encoder]]
name = "items"
side = "item"
kind = "als"

[[encoder]]
name = "plain"
side = "user"
kind = "als"
lambda = 3
regularisation = "plain"
"""


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        cls.log = log.at(np.arange(_EVENTS))
        cls.interactions = data.index_interactions(cls.log, int(cls.log.time_s[-1]) + 1)
        cls.material, cls.encoders = {}, {}
        cls.lightgcn = cls._write("lightgcn", _OF_LIGHTGCN)
        cls.als = cls._write("als", _OF_ALS)

    @classmethod
    def _write(cls, name, config):
        """A snapshot with these embeddings and encoders, and no model."""
        config = configuration.tomllib.loads(config)
        kind, options = configuration.embeddings_of(config)
        end_s = int(cls.log.time_s[-1]) + 1
        trained = embeddings.train(kind, cls.interactions, end_s, 2, options)
        directory = cls.work / name
        directory.mkdir()
        ids = cls.interactions
        snapshot.write_catalogue(directory, ids.user_ids, [(id_, "", "") for id_ in ids.item_ids])
        snapshot.write_embeddings(directory, trained.user, trained.item)
        (user, of_users), (item, of_items) = (clusters.kmeans(vectors, count, 1) for vectors, count in (
            (trained.user, 3), (trained.item, 4)))
        snapshot.write_clusters(directory, user, item, of_users, of_items)
        fields = {"name": name, "version": "1", "create_time": "2011-11-11T12:50:00Z", "users": len(ids.user_ids),
                  "items": len(ids.item_ids), "embedding_dim": _DIM, "user_clusters": 3, "item_clusters": 4,
                  "graph_offset": len(cls.log), "models": [], "metrics": {}}
        snapshot.write_manifest(directory, fields)
        replay.Replay(_SERVER, directory, cls.log, cls.work).graph(end_s, directory / snapshot.GRAPH_FILE)
        cls.material[directory] = encoders.Material(directory, options, trained.encoder_tensors)
        cls.encoders[directory] = configuration.encoders_of(config)
        fields["encoders"] = encoders.write(directory, cls.encoders[directory], options, trained.encoder_tensors)
        snapshot.write_manifest(directory, fields)
        return directory

    def _examples(self, directory):
        return safetensors.read(directory / snapshot.ENCODER_EXAMPLES_FILE)[0]

    def _on_the_training_graph(self, directory, name):
        """What an encoder makes of the first 80 nodes of its side and of all that they have."""
        encoder = next(encoder for encoder in self.encoders[directory] if encoder.name == name)
        material = self.material[directory]
        neighbours = material.neighbours[encoder.side]
        targets = encoders.Targets(np.arange(80), [neighbours.of(node) for node in range(80)])
        return encoder.options.examples(encoder.side, material, targets)

    def _vectors(self, directory):
        return safetensors.read(directory / snapshot.EMBEDDINGS_FILE)[0]

    def _import(self, directory):
        return subprocess.run([_SERVER, "import", "--snapshot", str(directory), "--data-dir",
                               str(self.work / f"{directory.name}-db")], capture_output=True, text=True)

    def test_the_server_proves_every_encoder(self):
        for directory in (self.lightgcn, self.als):
            imported = self._import(directory)
            self.assertEqual(imported.returncode, 0, imported.stderr)
            for entry in snapshot.read_manifest(directory)["encoders"]:
                self.assertIn(f"{entry['name']} within", imported.stdout)

    def test_what_was_exported_wrongly_is_refused(self):
        for directory, file, tensor, name in (
                (self.lightgcn, "encoder.linear.safetensors", "item_context", "users"),
                (self.als, "encoder.als.safetensors", "user_gram", "items")):
            with self.subTest(file=file):
                path = directory / file
                before = path.read_bytes()
                tensors, _ = safetensors.decode(before)
                safetensors.write(path, {**tensors, tensor: 2 * tensors[tensor]})
                snapshot.update_files(directory)
                refused = self._import(directory)
                path.write_bytes(before)
                snapshot.update_files(directory)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(f'encoder "{name}" gives target', refused.stderr)

    def test_on_the_graph_of_the_training_linear_gives_the_trained_vectors(self):
        vectors = self._vectors(self.lightgcn)
        for name, side in (("users", "user"), ("items", "item"), ("items.short", "item")):
            examples = self._on_the_training_graph(self.lightgcn, name)
            np.testing.assert_allclose(examples[f"fold.{side}"], vectors[side][:80], rtol=1e-5, atol=1e-6)

    def test_a_new_item_is_as_long_as_the_median_of_the_trained_ones(self):
        examples, vectors = self._examples(self.lightgcn), self._vectors(self.lightgcn)
        new = (examples["items.in.fold.item.row"] < 0) & (examples["items.known"] == 1)
        self.assertGreater(new.sum(), 10)
        lengths = np.linalg.norm(examples["items.fold.item"][new], axis=1)
        np.testing.assert_allclose(lengths, np.median(np.linalg.norm(vectors["item"], axis=1)), rtol=0.02)
        short = np.linalg.norm(examples["items.short.fold.item"][new], axis=1)
        self.assertGreater(np.std(short / lengths), 0.01)

    def test_who_took_what_a_trained_user_took_gets_the_vector_that_als_trained(self):
        examples = self._on_the_training_graph(self.als, "users")
        np.testing.assert_allclose(examples["vector"], self._vectors(self.als)["user"][:80], rtol=1e-4, atol=1e-5)

    def test_examples_tell_nothing_of_anybody(self):
        graph = safetensors.read(self.als / snapshot.GRAPH_FILE)[0]
        own = {frozenset(graph["item"][begin:end].tolist())
               for begin, end in zip(graph["user_begin"], graph["user_begin"][1:])}
        examples = self._examples(self.als)
        begins, items = examples["users.in.user_begin"], examples["users.in.item"]
        lists = [frozenset(items[begin:end].tolist()) for begin, end in zip(begins, begins[1:])]
        self.assertFalse([one for one in lists if len(one) > 1 and one in own])

    def test_examples_have_new_targets_and_one_of_whom_nothing_is_known(self):
        for directory in (self.lightgcn, self.als):
            examples = self._examples(directory)
            for entry in snapshot.read_manifest(directory)["encoders"]:
                known = examples[f"{entry['name']}.known"]
                self.assertEqual((len(known), known[-1]), (100, 0))
                self.assertGreater(known[80:].sum(), 10)
        self.assertIn(-1, self._examples(self.als)["items.in.user"])

    def test_the_manifest_says_what_is_to_be_served(self):
        entries = {entry["name"]: entry for entry in snapshot.read_manifest(self.als)["encoders"]}
        self.assertEqual(entries["users"]["options"], {"alpha": "10.0", "lambda": "0.5", "regularisation": "weighted"})
        self.assertEqual(entries["plain"]["options"], {"alpha": "10.0", "lambda": "3.0", "regularisation": "plain"})
        tensors, _ = safetensors.read(self.als / "encoder.als.safetensors")
        self.assertEqual((tensors["item_gram"].dtype, tensors["item_gram"].shape), (np.float64, (_DIM, _DIM)))


class ConfigurationTest(unittest.TestCase):
    def _refused(self, text, message):
        with self.assertRaisesRegex(ValueError, message):
            configuration.encoders_of(configuration.tomllib.loads(text))

    def test_mistakes_are_named_with_the_mend(self):
        usual = {"name": "e", "side": "user", "kind": "newest"}
        encoder = lambda **fields: "[[encoder]]\n" + "".join(
            f"{name} = {value!r}\n" for name, value in {**usual, **fields}.items())
        for text, message in (
                (encoder(kind="newst"), 'encoder 1: kind is "newst"; there are als, linear, mixture, newest'),
                (encoder(name="a/b"), "it must be of letters"),
                (encoder() + encoder(), 'another encoder of the name "e"'),
                ("".join(encoder(name=f"e{n}") for n in range(17)), "at most 16"),
                (encoder(side="users"), 'encoder e of kind newest: side is "users"; it may be user'),
                (encoder(side="item"), 'side is "item"; it may be user'),
                (encoder(kind="linear", side="both"), "it may be user or item"),
                (encoder(halve=3), "nothing reads halve; did you mean half"),
                (encoder(half=-1), "must not be below 0"),
                (encoder(neighbors="all"), "it must be an integer"),
                (encoder(kind="mixture", clusters_max=0), "from 1 to 65536"),
                (encoder(kind="als"), r"set alpha and lambda, .* not of \[als\]"),
                ("[als]\n" + encoder(kind="als", regularisation="l1"), 'it may be "plain" or "weighted"'),
                ("[als]\n" + encoder(kind="als", alpha=-1), "must not be below 0"),
                ("[als]\n" + encoder(kind="linear"), r"embeddings of \[lightgcn\]; for others .* newest"),
                ("[lightgcn]\ncosine = true\n" + encoder(kind="linear"), "set it to false, or take another kind"),
                ("[lightgcn]\npopularity_bias = 0.1\n" + encoder(), "popularity_bias .* set it to 0"),
                (encoder(kind="linear", length="median"), "length is of encoders of items"),
                (encoder(kind="linear", side="item", length="mean"), '"median" or "none"'),
                ("[als]\n[lightgcn]\n", r"\[als\] and \[lightgcn\].* remove all but one"),
                ("[als]\nlambda = 0\n", r"\[als\]: alpha is 1.0 and lambda 0.0; both must be above 0"),
                ("[als]\nlambda_ = 1\n", "nothing reads lambda_; did you mean lambda"),
                ("[als]\ndim = 600\n", "1 to 512"),
                ("[als]\nregularisation = 'l2'\n", '"plain" or "weighted"')):
            with self.subTest(text=text):
                self._refused(text, message)


if __name__ == "__main__":
    unittest.main()
