"""The sequence rankers in PyTorch against the golden vectors, and what only training has. Needs PyTorch.

GROUNDSWELL_GOLDEN_SEQUENCE names the folder that holds a folder of vectors per kind; tests/golden is the default.
"""

import os
import unittest
from pathlib import Path

import numpy as np
import torch

from trainer import rankers, ranking, replay, safetensors, sequence

torch.set_num_threads(1)

_GOLDEN = Path(os.environ.get("GROUNDSWELL_GOLDEN_SEQUENCE", Path(__file__).parents[1] / "golden"))
_TOLERANCE = 1e-5  # absolute and relative
_KINDS = ("ncf", "din", "caser", "gru4rec", "dien", "slirec")
_USERS, _ITEMS = 9, 20

_WIDTHS = {"item_width": 6, "category_width": 2, "max_history": 5, "head_hidden": (6, 5)}
_SMALL = (
    ("ncf", {"gmf_width": 4, "mlp_width": 3, "layers": (6, 5, 4), "output_bias": True}),
    ("din", {**_WIDTHS, "hidden": (7, 4)}),
    ("din", {**_WIDTHS, "hidden": (7, 4), "variant": "original", "activation": "dice"}),
    ("caser", {**_WIDTHS, "vertical": 3, "horizontal": 4}),
    ("caser", {**_WIDTHS, "vertical": 3, "horizontal": 4, "padding": "masked"}),
    ("caser", {**_WIDTHS, "variant": "original", "vertical": 3, "horizontal": 4, "z_width": 5}),
    ("gru4rec", {**_WIDTHS, "state_width": 5}),
    ("gru4rec", {**_WIDTHS, "state_width": 5, "reset": "after"}),
    ("gru4rec", {**_WIDTHS, "state_width": 5, "variant": "original"}),
    ("dien", {**_WIDTHS, "hidden": (7, 4), "state_width": 5, "augru_width": 6}),
    ("dien", {**_WIDTHS, "hidden": (7, 4), "augru_width": 6, "first_layer": "none", "activation": "relu",
              "augru": "paper"}),
    ("dien", {**_WIDTHS, "hidden": (7, 4), "state_width": 5, "augru_width": 6, "variant": "original"}),
    ("slirec", {**_WIDTHS, "hidden": (7, 4)}),
    ("slirec", {**_WIDTHS, "hidden": (7, 4), "padding": "masked", "time_last": "previous_action"}),
)


def _golden(path):
    """(module, cases) of a file of cases."""
    cases, options = safetensors.read(path)
    weights, _ = safetensors.read(path.parent / options["weights"])
    if "in.category_of_item" in cases:
        weights = {**weights, "category_of_item": cases["in.category_of_item"]}
    return rankers.KINDS[options["kind"]].from_tensors(weights, options), cases


def _inputs(cases, longest):
    """The Inputs of golden cases, whose histories are whole and oldest first."""
    def newest(values, count=longest):
        """(the newest of each history, oldest first; what comes before them, 0 for nothing)"""
        lists = np.split(values, np.cumsum(cases["in.history_length"])[:-1])
        table, before = np.zeros((len(lists), count), np.int64), np.zeros(len(lists), np.int64)
        for row, found in enumerate(lists):
            table[row, : len(found[-count:])] = found[-count:]
            before[row] = found[-count - 1] if len(found) > count else 0
        first = [found[0] if len(found) else 0 for found in lists]
        return torch.from_numpy(table), torch.from_numpy(before), torch.tensor(first)

    index = cases["in.history_index"]
    user = np.zeros(len(cases["in.history_length"]), np.int64)
    user[index] = cases["in.user"]
    made = sequence.Inputs(
        newest(cases["in.history"])[0], torch.from_numpy(cases["in.history_length"].copy()).clamp_max(longest),
        torch.from_numpy(user), torch.from_numpy(index.copy()), torch.from_numpy(cases["in.candidate"].copy()))
    if "in.now_us" in cases:
        made.time_us, made.previous_us, made.first_us = newest(cases["in.history_time_us"])
        made.now_us = torch.from_numpy(cases["in.now_us"].copy())
    return made


def _catalogue():
    random = np.random.default_rng(5)
    return rankers.Catalogue(
        random.normal(size=(_USERS, 8)).astype(np.float32), random.normal(size=(_ITEMS, 8)).astype(np.float32),
        np.arange(_USERS) % 2, np.arange(_ITEMS) % 3, (2, 3),
        rankers.category_rows([str(i % 4) for i in range(_ITEMS)]))


def _small(kind, **changes):
    torch.manual_seed(3)
    return rankers.KINDS[kind].from_catalogue(rankers.KINDS[kind].Options(**changes), _catalogue())


def _batch(groups=10, seed=2, longest=6):
    """Rows of 1 to `longest` items, four for each user and moment."""
    random = np.random.default_rng(seed)
    columns = {"user": random.integers(1, _USERS + 1, groups), "urec": np.zeros((groups, longest), np.int64),
               "urec_time_us": np.zeros((groups, longest), np.int64)}
    columns["unow_us"] = random.integers(10**15, 10**15 + 10**13, groups)
    for row, now in enumerate(columns["unow_us"]):
        n = 1 + row % longest
        columns["urec"][row, :n] = random.integers(1, _ITEMS + 1, n)
        columns["urec_time_us"][row, :n] = now - np.sort(random.integers(1, 10**13, n))
    columns["ufirst_time_us"] = np.where(columns["urec_time_us"] > 0, columns["urec_time_us"], 10**17).min(1)
    batch = {name: torch.from_numpy(np.repeat(values, 4, 0)) for name, values in columns.items()}
    return {**batch, "item": torch.from_numpy(random.integers(1, _ITEMS + 1, 4 * groups))}


class GoldenTest(unittest.TestCase):
    @torch.no_grad()
    def test_every_stage_equals_the_golden_vectors(self):
        for path in sorted(file for kind in _KINDS for file in (_GOLDEN / kind).glob("*.cases.safetensors")):
            model, cases = _golden(path)
            if path.parent.name == "ncf":
                stages = model.stages(*(torch.from_numpy(cases[f"in.{name}"].copy())
                                        for name in ("user", "candidate")))
            else:
                stages = model.stages(_inputs(cases, model.options.max_history))
            compared = [name for name in cases if not name.startswith(("in.", "has_score"))]
            self.assertIn("logit", compared)
            for name in compared:
                with self.subTest(file=f"{path.parent.name}/{path.name}", stage=name):
                    found, expected = stages[name].numpy(), cases[name]
                    if name.startswith("user."):
                        keep = cases["in.history_length"] > 0
                    else:
                        keep = cases["has_score"] > 0
                    if expected.ndim > 1 and found.shape[1] != expected.shape[1]:
                        expected = expected[:, : found.shape[1]]
                    np.testing.assert_allclose(found[keep], expected[keep], rtol=_TOLERANCE, atol=_TOLERANCE)


class SequenceTest(unittest.TestCase):
    @torch.no_grad()
    def test_a_score_does_not_depend_on_the_rest_of_the_batch(self):
        batch = _batch()
        for kind, options in _SMALL:
            with self.subTest(kind=kind, options=options):
                model = _small(kind, **options).eval()
                alone = torch.cat([model({name: values[row : row + 1] for name, values in batch.items()})
                                   for row in range(len(batch["item"]))])
                np.testing.assert_allclose(model(batch).numpy(), alone.numpy(), atol=1e-6)
                self.assertGreater(alone.std().item(), 1e-3)

    @torch.no_grad()
    def test_what_cannot_be_scored_has_no_logit(self):
        batch = _batch()
        batch["urec"][4:8] = 0
        batch["user"][:4] = 0
        for kind, options in _SMALL:
            with self.subTest(kind=kind, options=options):
                missing = torch.isnan(_small(kind, **options).eval()(batch)).nonzero()[:, 0].tolist()
                self.assertEqual(missing, [0, 1, 2, 3] if kind == "ncf" else [4, 5, 6, 7])

    def test_every_tensor_learns(self):
        for kind, options in _SMALL:
            with self.subTest(kind=kind, options=options):
                model = _small(kind, **options).train()
                logits, penalty = (model.logits_and_penalty(_batch()) if kind == "dien" else
                                   (model(_batch()), 0.0))
                (logits.square().sum() + penalty).backward()
                # A constant that a softmax or a normalisation swallows has no gradient.
                still = {name for name, parameter in model.named_parameters()
                         if parameter.grad is None or not parameter.grad.abs().sum() > 0}
                self.assertFalse({name for name in still if not name.endswith(".bias")})

    @torch.no_grad()
    def test_what_is_stored_gives_the_same_logits(self):
        for kind, options in _SMALL:
            with self.subTest(kind=kind, options=options):
                module = rankers.KINDS[kind]
                model = _small(kind, **options).train()
                for seed in range(20):
                    model(_batch(seed=seed))
                tensors = module.tensors(model)
                self.assertFalse([name for name in tensors if "norm" in name or name.startswith("auxiliary")])
                again = module.from_tensors(tensors, module.manifest_options(model.options))
                expected = model.eval()(_batch()).numpy()
                np.testing.assert_allclose(again(_batch()).numpy(), expected, atol=1e-5)
                self.assertGreater(expected.std(), 1e-3)

    @torch.no_grad()
    def test_an_unknown_user_is_stored_as_the_mean(self):
        for kind in ("caser", "dien"):
            options = next(options for of, options in _SMALL if of == kind and options.get("variant") == "original")
            table = rankers.KINDS[kind].tensors(_small(kind, **options))["user_embed.weight"]
            np.testing.assert_allclose(table[0], table[1:].mean(0), atol=1e-6)

    @torch.no_grad()
    def test_the_order_of_a_history_matters_to_all_but_din(self):
        batch = _batch(groups=6)
        turned = dict(batch)
        turned["urec"] = batch["urec"].clone()
        turned["urec"][20:, :6] = batch["urec"][20:, :6].flip(1)
        for kind, options in _SMALL:
            with self.subTest(kind=kind, options=options):
                model = _small(kind, **{**options, "max_history": 6} if kind != "ncf" else options).eval()
                moved = (model(turned) - model(batch)).abs().max().item()
                (self.assertLess if kind in ("din", "ncf") else self.assertGreater)(moved, 1e-6)

    @torch.no_grad()
    def test_time_alone_changes_the_score_of_slirec(self):
        batch = _batch()
        later = {**batch, "unow_us": batch["unow_us"] + 30 * 86400 * 10**6}
        for kind, options in _SMALL[-2:]:
            model = _small(kind, **options).eval()
            self.assertGreater((model(later) - model(batch)).abs().min().item(), 0)
        # A user whose times go together is one history; other times make another one.
        self.assertEqual(len(model.inputs(batch).history), 10)

    def test_the_time_of_the_item_before_the_history_is_read(self):
        model = _small("slirec", **_SMALL[-1][1]).eval()
        batch = _batch(groups=6)
        inputs = model.inputs(batch)
        self.assertEqual(inputs.previous_us[:5].tolist(), [0] * 5)
        self.assertEqual(inputs.previous_us[5], batch["urec_time_us"][20, 5])
        _, last = model.times(inputs)
        self.assertEqual(last[:5, 0].tolist(), [0.0] * 5)
        self.assertNotEqual(last[5, 0].item(), 0.0)

    def test_the_auxiliary_loss_learns_what_comes_next(self):
        options = next(options for kind, options in _SMALL if options.get("variant") == "original" and kind == "dien")
        model = _small("dien", **options).train()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
        losses = []
        for _ in range(150):
            inputs = model.inputs(_batch())
            loss = model.auxiliary_loss(inputs, model.stages(inputs)["user.interests"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        self.assertLess(losses[-1], 0.5 * losses[0])
        _, penalty = model.logits_and_penalty(_batch())
        self.assertGreater(penalty.item(), 0)
        one = {name: values[:4] for name, values in _batch().items()}
        self.assertEqual(model.logits_and_penalty(one)[1].item(), 0.0)  # nothing to tell from

    @torch.no_grad()
    def test_dice_has_the_statistics_of_valid_positions(self):
        dice = sequence.Dice(2).train()
        z = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])
        valid = torch.tensor([[True, True, False]])
        with torch.no_grad():
            dice.alpha.fill_(0.5)
        found = dice(z, valid)[0, 0].numpy()
        p = 1 / (1 + np.exp(-(np.array([1.0, 2.0]) - [2.0, 4.0]) / [1.0, 2.0]))
        np.testing.assert_allclose(found, (p + 0.5 * (1 - p)) * [1.0, 2.0], rtol=1e-5)
        for _ in range(400):
            dice(z, valid)
        np.testing.assert_allclose(dice.mean.numpy(), [2.0, 4.0], rtol=1e-3)
        np.testing.assert_allclose(dice.std.numpy(), [1.0, 2.0], rtol=1e-3)

    def test_what_cannot_be_is_refused_by_its_name(self):
        for kind, options, message in (
                ("din", {"variant": "both"}, 'variant is "both"; it must be "deeprec" or "original"'),
                ("din", {"hidden": (8,)}, "hidden is .8.; it must have two widths"),
                ("dien", {"variant": "original", "reset": "after"}, 'reset is "after"; .* has "before" alone'),
                ("dien", {"first_layer": "none", "reset": "after"}, "which has no GRU"),
                ("caser", {"windows": 51}, "windows is 51; it must be 1 to max_history, 50"),
                ("slirec", {"time_unit_s": 0.0}, "time_unit_s is 0.0"),
                ("ncf", {"layers": ()}, "layers is ..; it must have 1 to 8 widths")):
            with self.assertRaisesRegex(ValueError, message):
                rankers.KINDS[kind].Options(**options)

    def test_tensors_of_other_options_are_refused(self):
        module = rankers.KINDS["gru4rec"]
        tensors = module.tensors(_small("gru4rec", **_SMALL[6][1]))
        with self.assertRaisesRegex(ValueError, "not those of its options: gru.candidate.state_bias"):
            module.from_tensors(tensors, {"max_history": "5", "reset": "after"})


if __name__ == "__main__":
    unittest.main()
