"""LightGCN: propagation and losses against dense arithmetic, runs that go on, and the fixed split."""

import contextlib
import io
import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from trainer import __main__, data, embeddings, fixed_split, lightgcn, metrics

_USERS, _ITEMS = 30, 20


def _communities(seed=3, taken=6):
    """Pairs of two groups of users, each with its own half of the items."""
    random = np.random.default_rng(seed)
    return np.array([(user, item) for user in range(_USERS)
                     for item in sorted(random.choice(_ITEMS // 2, taken, replace=False)
                                        + (user % 2) * (_ITEMS // 2))])


def _dense_adjacency(pairs):
    taken = np.zeros((_USERS, _ITEMS))
    taken[pairs[:, 0], pairs[:, 1]] = 1
    graph = np.block([[np.zeros((_USERS, _USERS)), taken],
                      [taken.T, np.zeros((_ITEMS, _ITEMS))]])
    scale = np.maximum(graph.sum(1), 1) ** -0.5
    return scale[:, None] * graph * scale


def _options(**changes):
    return lightgcn.Options(**{"dim": 8, "layers": 2, "batch": 64, **changes})


class ModelTest(unittest.TestCase):
    def test_the_vectors_are_the_mean_of_the_powers_of_the_adjacency(self):
        pairs = _communities()
        trainer = lightgcn.Trainer(pairs, _USERS, _ITEMS, _options())
        a, base = _dense_adjacency(pairs), trainer.model.base.detach().numpy()
        expected = (base + a @ base + a @ a @ base) / 3
        np.testing.assert_allclose(np.concatenate(trainer.embeddings()), expected, atol=1e-6)

    def test_the_gradient_of_the_propagation_is_the_dense_one(self):
        pairs = _communities()
        trainer = lightgcn.Trainer(pairs, _USERS, _ITEMS, _options())
        weight = torch.randn(_USERS + _ITEMS, 8)
        (torch.cat(trainer.model()) * weight).sum().backward()
        a = _dense_adjacency(pairs)
        expected = (weight.numpy() + a @ weight.numpy() + a @ a @ weight.numpy()) / 3
        np.testing.assert_allclose(trainer.model.base.grad.numpy(), expected, atol=1e-6)

    def test_the_popularity_bias_is_one_more_coordinate(self):
        pairs = np.array([(user, item) for user in range(_USERS) for item in range(user % _ITEMS + 1)])
        options = _options(cosine=True)
        user, item = lightgcn.Trainer(pairs, _USERS, _ITEMS, options).embeddings()
        np.testing.assert_allclose(np.linalg.norm(item, axis=1), 1.0, rtol=1e-5)
        biased = lightgcn.Trainer(
            pairs, _USERS, _ITEMS, replace(options, popularity_bias=0.5)).embeddings()
        expected = user @ item.T + 0.5 * np.log(np.bincount(pairs[:, 1], minlength=_ITEMS))
        np.testing.assert_allclose(biased[0] @ biased[1].T, expected, atol=1e-5)

    def test_a_wrong_name_is_refused_with_the_right_ones(self):
        with self.assertRaisesRegex(ValueError, "lightgcn.loss is 'bprr'.*'bpr' or 'softmax'"):
            _options(loss="bprr")


class LossTest(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(5)
        self.user, self.item = (torch.from_numpy(random.normal(size=(4, 3))).float() for _ in "ui")
        self.options = _options(temperature=0.5)

    def test_bpr_is_the_log_odds_of_the_right_order(self):
        negative, known = self.item.flip(0), torch.tensor([False, True, False, False])
        better = ((self.user * self.item) - (self.user * negative)).sum(1).numpy().astype(float)
        expected = np.log1p(np.exp(-better))[[0, 2, 3]].sum() / 4
        loss = lightgcn.bpr_loss(self.user, self.item, negative, known)
        self.assertAlmostEqual(float(loss), expected, places=5)

    def test_the_batch_is_the_softmax_but_for_repeated_items(self):
        index, log_frequency = torch.tensor([7, 8, 7, 9]), torch.tensor([-1.0, -2.0, -1.0, -3.0])
        scores = (self.user @ self.item.T / 0.5 - log_frequency).numpy().astype(float)
        scores[0, 2] = scores[2, 0] = -np.inf
        expected = np.mean(np.log(np.exp(scores).sum(1)) - np.diag(scores))
        loss = lightgcn.in_batch_loss(self.user, self.item, index, log_frequency, self.options)
        self.assertAlmostEqual(float(loss), expected, places=5)

    def test_the_pool_is_the_softmax_of_the_item_and_what_was_drawn(self):
        pool, log_weight = torch.randn(5, 3), torch.tensor([0.1, -0.4, 0.0, 0.7, 0.2])
        known = torch.tensor([0, 3]), torch.tensor([1, 4])
        scores = (self.user @ pool.T / 0.5 + log_weight).numpy().astype(float)
        scores[0, 1] = scores[3, 4] = -np.inf
        own = (self.user * self.item).sum(1).numpy().astype(float) / 0.5
        expected = np.mean(np.log(np.exp(own) + np.exp(scores).sum(1)) - own)
        loss = lightgcn.pool_loss(self.user, self.item, pool, log_weight, known, self.options)
        self.assertAlmostEqual(float(loss), expected, places=5)

    def test_a_corrected_pool_estimates_the_sum_over_all_items(self):
        pairs = np.array([(user, item) for user in range(_USERS) for item in range(user % 6 + 1)])
        trainer = lightgcn.Trainer(pairs, _USERS, _ITEMS, _options(negatives=4000))
        pool, log_weight, _ = trainer._pool(np.array([0]))
        value = np.linspace(1.0, 3.0, _ITEMS)
        drawn = trainer.frequency > 0.01  # the others are too rare for 4,000 draws
        estimate = (np.exp(log_weight.numpy()) * value[pool] * drawn[pool]).sum()
        self.assertAlmostEqual(estimate / value[drawn].sum(), 1.0, delta=0.1)

    def test_what_a_user_has_taken_is_no_negative(self):
        pairs = _communities()
        trainer = lightgcn.Trainer(pairs, _USERS, _ITEMS, _options(negatives=200))
        users = np.array([4, 9])
        pool, _, (rows, columns) = trainer._pool(users)
        found = set(zip(users[rows.numpy()].tolist(), pool[columns].tolist()))
        expected = {(user, item) for user, item in pairs.tolist() if user in (4, 9)}
        self.assertEqual(found, {pair for pair in expected if pair[1] in pool.tolist()})
        negative, known = trainer._uniform_negatives(np.repeat(users, 50))
        taken = set(map(tuple, pairs.tolist()))
        self.assertEqual(known.tolist(), [(user, item) in taken for user, item in zip(
            np.repeat(users, 50).tolist(), negative.tolist())])


class TrainingTest(unittest.TestCase):
    def test_every_loss_learns_the_communities(self):
        pairs = _communities()
        for changes in ({"loss": "bpr"}, {}, {"negatives": 16}, {"cosine": True, "temperature": 0.2},
                        {"average": 0.9, "negatives": 16}, {"layers": 0}):
            with self.subTest(**changes):
                trainer = lightgcn.Trainer(pairs, _USERS, _ITEMS, _options(**changes))
                embeddings.train_epochs(trainer, 40)
                user, item = trainer.embeddings()
                scores = user @ item.T
                own = np.arange(_USERS)[:, None] % 2 == np.arange(_ITEMS) // (_ITEMS // 2)
                self.assertGreater(scores[own].mean(), scores[~own].mean() + 0.1)

    def test_what_was_taken_back_is_no_pair_of_a_log(self):
        log = data.Log(np.arange(5), list("abbaa"), list("xxyyy"), np.array([1, 1, 1, 2, -2]))
        trainer = lightgcn.log_trainer(data.index_interactions(log, 5), 5, _options())
        self.assertEqual(trainer.taken.toarray().tolist(), [[True, False], [True, True]])

    def test_a_killed_run_goes_on_and_ends_the_same(self):
        pairs, options = _communities(), _options(negatives=16, average=0.9, epochs_max=5)
        unbroken = lightgcn.Trainer(pairs, _USERS, _ITEMS, options)
        embeddings.train_epochs(unbroken, 5)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "state.safetensors"
            killed = lightgcn.Trainer(pairs, _USERS, _ITEMS, options)
            epoch, done = killed.epoch, []

            def epoch_or_death(label):
                if len(done) == 3:
                    killed.random.random(7)  # in the middle of an epoch
                    raise KeyboardInterrupt
                done.append(label)
                return epoch(label)

            with mock.patch.object(killed, "epoch", epoch_or_death):
                with self.assertRaises(KeyboardInterrupt):
                    embeddings.train_epochs(killed, 5, path)
            again = lightgcn.Trainer(pairs, _USERS, _ITEMS, options)
            embeddings.train_epochs(again, 5, path)
            self.assertEqual(again.steps, 5 * -(-len(pairs) // 64))
            other = lightgcn.Trainer(pairs, _USERS, _ITEMS, replace(options, seed=2))
            with self.assertRaisesRegex(ValueError, "with seed 1, not 2"):
                embeddings.train_epochs(other, 5, path)
        for resumed, expected in zip(again.embeddings(), unbroken.embeddings()):
            np.testing.assert_array_equal(resumed, expected)

    def test_the_best_epoch_is_chosen_also_over_a_break(self):
        recalls = [0.1, 0.3, 0.2, 0.2, 0.9]
        with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
            path = Path(directory) / "state.safetensors"
            for _ in range(2):  # the second time everything is in the checkpoint
                trainer = lightgcn.Trainer(_communities(), _USERS, _ITEMS, _options(patience=2))
                epochs, best = embeddings.choose_epochs_by(
                    trainer, lambda: (recalls.pop(0), 0.5), path)
                self.assertEqual((epochs, best), (2, (0.3, 0.5)))
        self.assertEqual(recalls, [0.9])


class FixedSplitTest(unittest.TestCase):
    def test_recall_and_ndcg_are_those_of_the_metrics(self):
        random = np.random.default_rng(9)
        pairs = _communities(taken=8)
        test = random.random(len(pairs)) < 0.4
        lists = fixed_split.lists_of(pairs[~test], pairs[test], _USERS, _ITEMS)
        user, item = (random.normal(size=(n, 4)).astype(np.float32) for n in (_USERS, _ITEMS))
        ranked, relevant = {}, {}
        for who in set(pairs[test, 0].tolist()):
            scores = user[who] @ item.T
            scores[pairs[~test][pairs[~test, 0] == who, 1]] = -np.inf
            ranked[who] = np.argsort(-scores)[:3].tolist()
            relevant[who] = set(pairs[test][pairs[test, 0] == who, 1].tolist())
        np.testing.assert_allclose(fixed_split.recall_ndcg(user, item, lists, 3),
                                   metrics.mean_recall_ndcg(ranked, relevant, 3), rtol=1e-6)

    def test_validation_is_a_share_of_every_user(self):
        pairs = np.array([(0, item) for item in range(10)] + [(1, 3)] + [(2, 1), (2, 2)])
        learnt, validation = fixed_split.cut_validation(pairs, 0.2, seed=1)
        self.assertEqual(np.bincount(validation[:, 0], minlength=3).tolist(), [2, 0, 1])
        first, second = validation[validation[:, 0] == 0, 1]
        self.assertIn(second - first, (1, 9))  # neighbours, or the last one and the first
        self.assertEqual(sorted(map(tuple, np.concatenate([learnt, validation]).tolist())),
                         sorted(map(tuple, pairs.tolist())))

    def test_a_bad_line_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "train.txt"
            path.write_text("0 1 2\n1 x\n")
            with self.assertRaisesRegex(ValueError, "line 2 .* '1 x'"):
                fixed_split.read_pairs(path)
            path.write_text("0\n")
            with self.assertRaisesRegex(ValueError, "no user has an item"):
                fixed_split.read_pairs(path)

    def test_the_command_prints_every_model(self):
        with tempfile.TemporaryDirectory() as directory:
            found = json.loads(self._benchmark(Path(directory), "--json"))
            self.assertEqual([(row["model"], row["seed"]) for row in found],
                             [("popularity", 0), ("factors", 1), ("factors", 2),
                              ("lightgcn", 1), ("lightgcn", 2), ("als", 1), ("als", 2)])
            self.assertEqual([row["epochs"] for row in found[:3]], [0, 3, 3])
            self.assertIn(found[3]["epochs"], (1, 2))
            self.assertGreater(found[5]["recall"], 0.9)
            self.assertGreater(found[3]["recall"], 0.9)  # of 4 items, 20 are shown: all of the group
            printed = self._benchmark(Path(directory))
            self.assertRegex(printed, r"lightgcn +[01]\.\d{4} \+- 0\.\d{4}")

    def _benchmark(self, directory, *more):
        pairs = _communities(taken=10)
        test = np.random.default_rng(1).random(len(pairs)) < 0.3
        for name, rows in (("train", pairs[~test]), ("test", pairs[test])):
            (directory / name).write_text("".join(
                f"{user} {' '.join(map(str, rows[rows[:, 0] == user, 1]))}\n" for user in range(_USERS)))
        (directory / "config").write_text(
            "validation_share = 0.1\nvalidation_seed = 1\n[lightgcn]\ndim = 8\nepochs_max = 2\n"
            "[models.factors]\nlayers = 0\nepochs = 3\n[models.lightgcn]\nlayers = 2\n"
            "[models.als]\nkind = \"als\"\ndim = 4\nlambda = 0.5\nepochs_max = 2\n")
        arguments = ["trainer", "benchmark", "--seeds", "1", "2", *more]
        for name in ("train", "test", "config"):
            arguments += [f"--{name}", str(directory / name)]
        out = io.StringIO()
        with (mock.patch("sys.argv", arguments), contextlib.redirect_stdout(out),
              contextlib.redirect_stderr(io.StringIO())):
            __main__.main()
        return out.getvalue()


if __name__ == "__main__":
    unittest.main()
