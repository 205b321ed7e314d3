"""The training of rankers: what it learns, when it stops, and that it goes on where it was stopped.

Needs PyTorch.
"""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from trainer import configuration, log_files, rankers, ranking, replay

torch.set_num_threads(1)

_USERS, _ITEMS, _P, _Q, _NEGATIVES = 40, 30, 3, 4, 3


def _rows(groups, seed=1):
    """Users take items whose number is odd or even as theirs is; of 10 users there is no history."""
    random = np.random.default_rng(seed)
    lists = 1 + _NEGATIVES
    user = random.integers(0, _USERS, groups)
    item = random.integers(0, _ITEMS, (groups, lists))
    item[:, 0] += (item[:, 0] + user) % 2  # the positive is of the user's parity
    item[:, 0] %= _ITEMS
    urec = random.integers(0, _ITEMS // 2, (groups, 6)) * 2 + user[:, None] % 2 + 1
    urec[user < 10] = 0
    columns = {
        "user": user + 1, "urec": urec, "u1": random.integers(0, 9, (groups, _Q)),
        "u2": random.integers(0, 90, (groups, _P)), "item": item + 1,
        "irec": random.integers(0, _USERS + 1, (groups, lists, 6)),
        "i1": random.integers(0, 9, (groups, lists, _P)),
        "i2": random.integers(0, 90, (groups, lists, _Q))}
    times = (np.arange(6) + random.random((groups, 6))) * 10**10
    times_us = {"urec_time_us": 10**15 - times.astype(np.int64), "unow_us": np.full(groups, 10**15)}
    times_us["ufirst_time_us"] = times_us["urec_time_us"][:, -1]
    label = np.tile(np.r_[1, np.zeros(_NEGATIVES, int)], groups)
    event = np.repeat(np.arange(groups), lists)
    columns = {name: values.astype(np.int32) for name, values in columns.items()}
    return replay.Rows({**columns, **times_us},
                       np.arange(groups * lists), event, label, user[event], event)


def _catalogue():
    random = np.random.default_rng(5)
    return rankers.Catalogue(
        random.normal(size=(_USERS, 8)).astype(np.float32),
        random.normal(size=(_ITEMS, 8)).astype(np.float32), np.arange(_USERS) % _P,
        np.arange(_ITEMS) % _Q, (_P, _Q), rankers.category_rows([str(i % 3) for i in range(_ITEMS)]))


def _ranker(kind, options, **training):
    table = {"name": "r", "kind": kind, **options, "batch": 64, "learning_rate": 0.02, **training}
    return configuration.rankers_of({"ranker": [table]})[0]


_KINDS = (
    ("macgnn", {"dim": 4, "recent_len": 5, "attention": "neighbours"}),
    ("surge", {"item_width": 6, "category_width": 2, "state_width": 6, "max_history": 5,
               "pool_length": 3, "hidden": [8, 4], "head_hidden": [8, 4], "batch_norm": True}),
    ("surge", {"variant": "paper", "item_width": 6, "category_width": 2, "state_width": 6,
               "max_history": 5, "clusters": 2, "head_hidden": [8, 4], "same_mapping": 0.01,
               "single_affiliation": 0.01, "relative_position": 0.001}),
)
_SEQUENCE = {"item_width": 6, "category_width": 2, "max_history": 5, "head_hidden": [8, 4]}
_SEQUENCES = (
    ("ncf", {"gmf_width": 6, "mlp_width": 6, "layers": [8, 4]}),
    ("din", {**_SEQUENCE, "hidden": [8, 4]}),
    ("caser", {**_SEQUENCE, "vertical": 8, "horizontal": 8}),
    ("gru4rec", {**_SEQUENCE, "state_width": 6}),
    ("dien", {**_SEQUENCE, "hidden": [8, 4], "state_width": 6, "augru_width": 6, "variant": "original"}),
    ("slirec", {**_SEQUENCE, "hidden": [8, 4]}),
)


def _train(ranker, rows, checkpoint=None):
    catalogue = _catalogue()
    return ranking.train("r", lambda: rankers.build(ranker, catalogue), rows, ranker.training.epochs,
                         ranker.training, checkpoint)


class Killed(Exception):
    pass


def _killed_after(steps):
    """A _Run that saves at every step and dies in the one after `steps`."""
    made, step = [0], ranking._Run._step

    def dying(run, groups):
        made[0] += 1
        if made[0] > steps:
            raise Killed
        step(run, groups)

    return mock.patch.multiple(ranking._Run, _step=dying, save_every_s=0.0)


class ResumeTest(unittest.TestCase):
    def test_a_killed_and_resumed_training_equals_an_unbroken_one(self):
        rows = _rows(130)
        for kind, options in (*_KINDS, _SEQUENCES[0], _SEQUENCES[4]):
            with self.subTest(options=options), tempfile.TemporaryDirectory() as directory:
                ranker = _ranker(kind, options, epochs=2)
                unbroken = _train(ranker, rows)
                path = Path(directory) / "r"
                for steps in (3, 8):  # in the first epoch, and in the second
                    with _killed_after(steps), self.assertRaises(Killed):
                        _train(ranker, rows, path)
                resumed = _train(ranker, rows, path)
                self._expect_same(unbroken, resumed)
                again = _train(ranker, rows, path)  # nothing is left to do
                self._expect_same(unbroken, again)

    def _expect_same(self, one, other):
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values()):
            self.assertTrue(torch.equal(a, b), name)

    def test_choosing_epochs_goes_on_too(self):
        ranker = _ranker(*_KINDS[0], epochs=4, patience=2)
        build = lambda: rankers.build(ranker, _catalogue())
        choose = lambda checkpoint: ranking.choose_epochs(
            "r", build, _rows(100), _rows(60, seed=2), ranker.training, checkpoint)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "r"
            with _killed_after(9), self.assertRaises(Killed):
                choose(path)
            self.assertEqual(choose(path), choose(None))

    def test_a_crash_while_saving_leaves_the_checkpoint_before(self):
        ranker, rows = _ranker(*_KINDS[0], epochs=1), _rows(100)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "r"
            with _killed_after(2), self.assertRaises(Killed):
                _train(ranker, rows, path)
            with self.assertRaisesRegex(ValueError, "a run with rows 400, not 240"):
                _train(ranker, _rows(60), path)
            before = path.read_bytes()
            with mock.patch("os.replace", side_effect=Killed), self.assertRaises(Killed):
                _train(ranker, rows, path)
            self.assertEqual(path.read_bytes(), before)


class TrainingTest(unittest.TestCase):
    def test_every_kind_learns_what_is_planted(self):
        rows, later = _rows(300), _rows(150, seed=2)
        known = later.batch(slice(None))["urec"][:, 0] > 0
        losses = ("softmax", "softmax", "bce", *["softmax"] * len(_SEQUENCES))
        for (kind, options), loss in zip((*_KINDS, *_SEQUENCES), losses):
            with self.subTest(options=options, loss=loss):
                model = _train(_ranker(kind, options, epochs=16, loss=loss, weight_decay=0.0), rows)
                auc = ranking.metrics.auc(later.label[known], ranking.score(model, later)[known])
                # Half of the negatives are of the user's parity as well, so that .75 is the best.
                self.assertGreater(auc, 0.65)

    def test_it_stops_when_validation_gets_no_better(self):
        ranker = _ranker(*_KINDS[0], epochs=30, patience=2)
        build = lambda: rankers.build(ranker, _catalogue())
        values = iter([0.5, 0.7, 0.6, 0.69])  # a fifth is not asked for
        with mock.patch.object(ranking.metrics, "gauc", lambda *rows: next(values)):
            epochs = ranking.choose_epochs("r", build, _rows(40), _rows(20, seed=2), ranker.training)
        self.assertEqual(epochs, 2)

    def test_rows_that_cannot_be_scored_get_the_prior(self):
        rows = _rows(50)
        model = rankers.build(_ranker(*_KINDS[1]), _catalogue())
        scores = ranking.score(model, rows)
        unknown = rows.batch(slice(None))["urec"][:, 0] == 0
        np.testing.assert_allclose(scores[unknown], np.log(1 / _NEGATIVES), rtol=1e-6)
        self.assertGreater(len(np.unique(scores[~unknown])), 50)

    def test_the_softmax_loss_is_that_of_each_list(self):
        logits = torch.tensor([1.0, 200.0, -3.0, 0.5, 0.5])
        label = torch.tensor([1.0, 0, 0, 1, 0])
        expected = (-torch.log_softmax(logits[:3], 0)[0] - torch.log_softmax(logits[3:], 0)[0]) / 2
        self.assertAlmostEqual(ranking._softmax_loss(logits, label).item(), expected.item(), places=4)

    def test_the_logarithm_of_how_often_an_item_is_a_negative_is_taken_from_every_logit(self):
        rows = _rows(200)
        drawn, negatives = [0] * (_ITEMS + 1), 0
        for row in range(len(rows)):
            if rows.label[row] == 0:
                drawn[rows.columns["item"].ravel()[row]] += 1
                negatives += 1
        log_q = ranking.log_q_of(rows, _ITEMS + 1)
        for item, count in enumerate(drawn):
            self.assertAlmostEqual(log_q[item], np.log((count + 1) / (negatives + _ITEMS + 1)), places=5)
        self.assertAlmostEqual(np.exp(log_q).sum(), 1, places=5)
        # The loss of a step is that of a naive softmax over each list of corrected logits.
        ranker = _ranker(*_KINDS[0], loss="softmax", log_q=True, basket_start_share=0.0)
        run = ranking._Run("r", rankers.build(ranker, _catalogue()), rows, ranker.training, None)
        groups = np.arange(5)
        chosen = np.arange(5 * (1 + _NEGATIVES))
        run.model.train()  # Dice has the statistics of the batch
        batch = rows.batch(chosen)
        with torch.no_grad():
            logits = run.model(ranking.tensors(batch)).tolist()
        expected = 0.0
        for first in range(0, len(chosen), 1 + _NEGATIVES):
            corrected = [logits[row] - np.log((drawn[batch["item"][row]] + 1) / (negatives + _ITEMS + 1))
                         for row in range(first, first + 1 + _NEGATIVES)]
            expected += (np.log(sum(np.exp(corrected))) - corrected[0]) / len(groups)
        run._step(groups)
        self.assertAlmostEqual(run.loss_sum, expected, places=4)

    def test_a_popular_negative_is_not_held_down_with_the_correction(self):
        # Every user takes any item as often, and item 0 is half of the negatives.
        random = np.random.default_rng(3)
        rows = _rows(600)
        rows.columns["item"][:, 0] = random.integers(1, _ITEMS + 1, 600)
        rows.columns["item"][:, 1:] = np.where(random.random((600, _NEGATIVES)) < 0.5, 1,
                                               random.integers(1, _ITEMS + 1, (600, _NEGATIVES)))
        of_first = {}
        for log_q in (False, True):
            model = _train(_ranker(*_KINDS[0], loss="softmax", log_q=log_q, epochs=8), rows)
            logits, is_first = ranking.score(model, rows), rows.items() == 1
            of_first[log_q] = logits[is_first].mean() - logits[~is_first].mean()
        self.assertLess(of_first[False], -1)
        self.assertGreater(of_first[True], of_first[False] + 1)

    def test_the_loss_over_lists_goes_down(self):
        rows = _rows(300)
        for (kind, options), log_q in zip(_KINDS, (True, True, False)):
            with self.subTest(options=options):
                ranker = _ranker(kind, options, loss="softmax", log_q=log_q, epochs=6)
                losses, run = [], ranking._Run("r", rankers.build(ranker, _catalogue()), rows, ranker.training, None)
                step = run._step
                run._step = lambda groups: (step(groups), losses.append(run.loss_sum - sum(losses)))
                sums = []
                for _ in range(6):
                    losses.clear()
                    run.epoch()
                    sums.append(np.mean(losses))
                self.assertLess(sums[-1], sums[0] - 0.05)

    def test_dice_is_frozen_over_the_rows(self):
        rows, ranker = _rows(100), _ranker(*_KINDS[0])
        model = _train(ranker, rows)
        again = _train(ranker, rows)
        self.assertTrue(torch.equal(model.mlp[1].mean, again.mlp[1].mean))
        self.assertFalse(torch.equal(model.mlp[1].std, torch.ones_like(model.mlp[1].std)))

    def test_a_period_without_rows_is_named(self):
        with self.assertRaisesRegex(ValueError, "period"):
            _train(_ranker(*_KINDS[0]), _rows(0))


class ConfigurationTest(unittest.TestCase):
    def test_mistakes_are_named(self):
        for table, message in (
                ({"name": "a", "kind": "gnn"}, "there are macgnn, surge"),
                ({"name": "a/b", "kind": "surge"}, "letters"),
                ({"name": "dot", "kind": "surge"}, "another ranker"),
                ({"name": "a", "kind": "surge", "max_histroy": 9}, "did you mean max_history"),
                ({"name": "a", "kind": "surge", "max_history": "9"}, "an integer"),
                ({"name": "a", "kind": "macgnn", "epochs": 0}, "epochs is 0"),
                ({"name": "a", "kind": "macgnn", "loss": "hinge"}, "softmax"),
                ({"name": "a", "kind": "macgnn", "device": "cuda:9"}, "cpu")):
            with self.subTest(table=table), self.assertRaisesRegex(ValueError, message):
                configuration.rankers_of({"ranker": [table]})

    def test_the_samples_configuration_is_read(self):
        config = configuration.read(Path(__file__).parents[2] / "trainer/online-retail.toml")
        (first, *_) = configuration.rankers_of(config)
        self.assertEqual((first.name, first.manifest()["options"]),
                         ("macgnn", {"attention": "none", "tau": "1.0", "recent_len": "20"}))
        self.assertEqual(configuration.rows(config).negatives, {"uniform": 2, "popular": 2})

    def test_the_servers_candidates_as_negatives_bring_the_loss_over_lists(self):
        tables = {"rows": {"negatives": "candidates", "candidate_sources": ["next_items", "trending"],
                           "candidate_draw": "uniform"},
                  "ranker": [{"name": "a", "kind": "macgnn"}, {"name": "b", "kind": "surge", "loss": "bce"},
                             {"name": "c", "kind": "surge", "log_q": True}]}
        of_rows = configuration.rows(tables)
        self.assertEqual(of_rows.negatives, {"candidates": 8})
        self.assertEqual(of_rows.candidates().arguments(),
                         ["--candidate-sources", "next_items,trending", "--candidate-draw", "uniform"])
        self.assertEqual([(ranker.training.loss, ranker.training.log_q) for ranker in configuration.rankers_of(tables)],
                         [("softmax", False), ("bce", False), ("softmax", True)])
        for negatives in ({"uniform": 2}, {"candidates": 0, "uniform": 1}):
            tables["rows"]["negatives"] = negatives
            self.assertEqual(configuration.rankers_of({**tables, "ranker": tables["ranker"][:1]})[0].training.loss, "bce")
            with self.assertRaisesRegex(ValueError, 'ranker c: log_q is true and loss is "bce"'):
                configuration.rankers_of(tables)

    def test_candidates_that_cannot_be_drawn_are_refused(self):
        for table, message in (({"negatives": "popular"}, 'must be "candidates", or a table'),
                               ({"candidate_sources": ["history"]}, "nothing reads history; there are embedding"),
                               ({"candidate_sources": []}, "candidate_sources is empty"),
                               ({"candidate_draw": "hard"}, '"stratified" or "uniform"')):
            with self.subTest(table=table), self.assertRaisesRegex(ValueError, message):
                configuration.rows({"rows": table})
        with self.assertRaisesRegex(ValueError, "candidates are those just before each event"):
            configuration.rankers_of({"rows": {"negatives": {"candidates": 1}},
                                      "ranker": [{"name": "a", "kind": "macgnn", "features": "frozen"}]})

    def test_negatives_of_no_source_are_refused(self):
        for negatives, message in (({"hard": 2}, "nothing reads hard"), ({"uniform": 0}, "not all 0"),
                                   ({"uniform": -1}, "not all 0")):
            with self.assertRaisesRegex(ValueError, message):
                configuration.rows({"rows": {"negatives": negatives}})

    def test_settings_of_a_server_are_taken_by_section(self):
        settings = {"serving": {"retrieval": {"popular": 0}, "ranking": {"candidates": 9}}}
        self.assertEqual(configuration.serving(settings), {"retrieval.popular": 0, "ranking.candidates": 9})
        self.assertEqual(configuration.serving({}), {})
        with self.assertRaisesRegex(ValueError, "popular must be in a section"):
            configuration.serving({"serving": {"popular": 0}})

    def test_types_of_events_are_one_setting_of_the_servers_and_weigh_in_the_log(self):
        config = {"serving": {"event_types": {"buy": 2, "return": -2}}, "data": {"type": "buy"}}
        self.assertEqual(configuration.serving(config), {"event_types": "buy=2,return=-2"})
        weights = log_files.weights_of(config)
        self.assertEqual((weights.of_type, weights.default_type), ({"buy": 2, "return": -2}, "buy"))
        self.assertEqual(log_files.weights_of({"data": {}}), log_files.EventWeights())
        self.assertEqual(log_files.parse_event_types("buy=2,return=-2"), weights.of_type)
        for weight in (1.5, 1_000_001, True):
            with self.assertRaisesRegex(ValueError, "serving.event_types.: view is .* whole number"):
                log_files.weights_of({"serving": {"event_types": {"view": weight}}, "data": {}})
        for text in ("view", "view=x", "=1", "view=1,"):
            with self.assertRaisesRegex(ValueError, "must be name=weight"):
                log_files.parse_event_types(text)

    def test_a_log_may_have_several_files(self):
        whole = (Path(__file__).parents[2] / "trainer/online-retail.toml").read_text(encoding="utf-8")
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "joined.toml"
        old = 'events = "data/online-retail/events.csv.zst"'
        path.write_text(whole.replace(old, 'events = ["a.csv", "b.jsonl"]'), encoding="utf-8")
        self.assertEqual(log_files.files_of(configuration.read(path)), ["a.csv", "b.jsonl"])
        for wrong in ("[]", "3", '["a.csv", 3]', '""'):
            path.write_text(whole.replace(old, f"events = {wrong}"), encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "it must be a file, or a list of files"):
                configuration.read(path)

    def test_the_configurations_of_the_comparisons_are_read(self):
        for name in ("online-retail-rankers", "online-retail-candidates", "globo"):
            config = configuration.read(Path(__file__).parents[2] / f"trainer/{name}.toml")
            served = [ranker for ranker in configuration.rankers_of(config)
                      if not getattr(ranker.model, "without", ())]
            self.assertEqual(len({str(ranker.manifest()) for ranker in served}), len(served), name)
            self.assertLessEqual(configuration.rows(config).measured_share, 1)

    def test_the_old_table_says_where_it_went(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "old.toml"
            path.write_text("[macgnn]\ndim = 10\n")
            with self.assertRaisesRegex(ValueError, r"\[\[ranker\]\]"):
                configuration.read(path)

    def test_a_key_that_is_missing_or_misspelt_is_named(self):
        whole = (Path(__file__).parents[2] / "trainer/online-retail.toml").read_text(encoding="utf-8")
        for old, new, message in (
                ("heldout_days", "held_out_days", "did you mean heldout_days"),
                ("[clusters]", "[cluster]", "did you mean clusters"),
                ('name = "online-retail"', "", r"\[snapshot\] lacks name"),
                ('license = "CC BY 4.0"', f'license = "{"x" * 257}"', r"\[data.provenance\]: license .* at most 256 bytes"),
                ('license = "CC BY 4.0"', "license = 4", r"\[data.provenance\]: license is '4'"),
                ('name = "online-retail"', r'name = "a\nb"', r"\[snapshot\]: name .* control characters"),
                ("heldout_days = 28", "heldout_days =", "online.toml: ")):
            with self.subTest(message=message), tempfile.TemporaryDirectory() as directory:
                path = Path(directory) / "online.toml"
                path.write_text(whole.replace(old, new, 1), encoding="utf-8")
                with self.assertRaisesRegex(ValueError, message):
                    configuration.read(path)

    def test_an_ablation_is_not_exported(self):
        for kind, part in (("macgnn", "macro"), ("surge", "fusion")):
            with self.assertRaisesRegex(ValueError, "ablation"):
                _ranker(kind, {"without": [part]}).manifest()


if __name__ == "__main__":
    unittest.main()
