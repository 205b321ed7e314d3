"""SURGE in PyTorch against the golden vectors, its gradients and its penalties. Needs PyTorch.

GROUNDSWELL_GOLDEN_SURGE names the folder of the vectors; tests/golden/surge is the default.
"""

import os
import unittest
from pathlib import Path

import numpy as np
import torch

from trainer import safetensors, surge

torch.set_num_threads(1)

_GOLDEN = Path(os.environ.get("GROUNDSWELL_GOLDEN_SURGE", Path(__file__).parents[1] / "golden/surge"))
_TOLERANCE = 1e-5  # absolute and relative


def _golden(variant):
    """(module, cases, batch)"""
    weights, options = safetensors.read(_GOLDEN / f"{variant}.weights.safetensors")
    cases, _ = safetensors.read(_GOLDEN / f"{variant}.cases.safetensors")
    model = surge.from_tensors({**weights, "category_of_item": cases["in.category_of_item"]}, options)
    longest = int(options["max_history"])
    histories = np.split(cases["in.history"], np.cumsum(cases["in.history_length"])[:-1])
    index = cases["in.history_index"]
    history = np.zeros((len(histories), longest), np.int64)
    for row, items in enumerate(histories):
        newest = items[-longest:]
        history[row, : len(newest)] = newest
    length = np.minimum(cases["in.history_length"], longest)
    inputs = [torch.from_numpy(values.copy()) for values in
              (history, length, index, cases["in.candidate"])]
    return model, cases, inputs


def _small(variant, **changes):
    torch.manual_seed(3)
    options = surge.Options(
        variant=variant, max_history=6, pool_length=3, clusters=2, item_width=6, category_width=2,
        state_width=5, hidden=(7, 4), head_hidden=(6, 5), **{"batch_norm": False, **changes})
    return surge.build(options, np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32),
                       np.arange(30) % 4)


def _batch(rows=40, seed=2):
    random = np.random.default_rng(seed)
    urec = np.zeros((rows // 4, 8), np.int64)
    for row in urec:
        n = random.integers(1, 9)
        row[:n] = random.integers(1, 30, n)
    return {"urec": torch.from_numpy(np.repeat(urec, 4, 0)),
            "item": torch.from_numpy(random.integers(1, 30, rows))}


class GoldenTest(unittest.TestCase):
    @torch.no_grad()
    def test_every_stage_equals_the_golden_vectors(self):
        for variant, names in (("authors", ("score", "state", "readout", "logit")),
                               ("paper", ("cluster_score", "state", "readout", "logit"))):
            model, cases, inputs = _golden(variant)
            stages = model.stages(*inputs)
            for name in names:
                with self.subTest(variant=variant, stage=name):
                    np.testing.assert_allclose(stages[name].numpy(), cases[name], rtol=_TOLERANCE,
                                               atol=_TOLERANCE)
            if variant == "authors":
                np.testing.assert_array_equal(stages["selected"].numpy(), cases["selected"] > 0)
                sums = stages["adjacency"].sum(2)[inputs[2]].numpy()
                np.testing.assert_array_equal(sums, cases["adjacency_row_sums"])

    @torch.no_grad()
    def test_hardly_a_golden_row_is_undecided(self):
        model, cases, (history, length, index, candidate) = _golden("authors")
        newest_first = torch.zeros_like(history)
        for row, n in enumerate(length.tolist()):
            newest_first[row, :n] = history[row, :n].flip(0)
        # An unknown item at the end of a batch's list is none at all.
        whole = history[:, 0] > 0
        batch = {"urec": newest_first[index], "item": candidate}
        rows = whole[index]
        np.testing.assert_allclose(model(batch)[rows].numpy(), cases["logit"][rows.numpy()],
                                   rtol=_TOLERANCE, atol=_TOLERANCE)
        self.assertGreater(model.decided(batch, margin=2e-7)[rows].float().mean(), 0.99)


class SurgeTest(unittest.TestCase):
    @torch.no_grad()
    def test_a_score_does_not_depend_on_the_rest_of_the_batch(self):
        batch = _batch()
        for variant in surge.VARIANTS:
            model = _small(variant).eval()
            alone = torch.cat([model({name: values[row : row + 1] for name, values in batch.items()})
                               for row in range(len(batch["item"]))])
            np.testing.assert_allclose(model(batch).numpy(), alone.numpy(), atol=1e-6)

    @torch.no_grad()
    def test_without_a_history_there_is_no_score(self):
        batch = _batch()
        batch["urec"][4:8] = 0
        for variant in surge.VARIANTS:
            missing = torch.isnan(_small(variant).eval()(batch))
            self.assertEqual(missing.nonzero()[:, 0].tolist(), [4, 5, 6, 7])

    def test_every_tensor_learns_but_those_that_cancel(self):
        for variant, still in (("authors", set()), ("paper", {"cluster"})):
            model = _small(variant).train()
            model(_batch()).square().sum().backward()
            unmoved = {name.split(".")[0] for name, parameter in model.named_parameters()
                       if parameter.grad is None or not parameter.grad.any()
                       # A constant under a softmax has no gradient.
                       if not name.endswith(("mlp.4.bias", "mlp.2.bias"))}
            self.assertEqual(unmoved, still, variant)

    @torch.no_grad()
    def test_the_gradient_of_edges_does_not_change_the_values(self):
        for variant in surge.VARIANTS:
            model = _small(variant)
            np.testing.assert_array_equal(model.train()(_batch()).numpy(), model.eval()(_batch()).numpy())

    def test_penalties_equal_their_equations(self):
        random = np.random.default_rng(4)
        n, m = 5, 3
        s = torch.from_numpy(random.dirichlet(np.ones(m), n))
        a = torch.from_numpy((random.random((n, n)) < 0.5).astype(float))
        found = surge.SurgePaper.penalties(s[None], a[None], torch.ones(1, n, dtype=torch.bool))
        p_n, p_m = np.arange(1, n + 1), np.arange(1, m + 1)
        s, a = s.numpy(), a.numpy()
        self.assertAlmostEqual(found["same_mapping"].item(), np.linalg.norm(a - s @ s.T), places=6)
        self.assertAlmostEqual(found["single_affiliation"].item(), -(s * np.log(s)).sum() / n, places=6)
        self.assertAlmostEqual(found["relative_position"].item(), np.linalg.norm(p_n @ s - p_m), places=6)

    def test_penalties_do_not_see_padding(self):
        s = torch.rand(1, 3, 2, dtype=torch.float64).softmax(-1)
        a = torch.ones(1, 3, 3, dtype=torch.float64)
        wide = torch.zeros(1, 5, 2, dtype=torch.float64)
        wide[:, :3] = s
        short = surge.SurgePaper.penalties(s, a, torch.ones(1, 3, dtype=torch.bool))
        padded = surge.SurgePaper.penalties(
            wide, torch.ones(1, 5, 5, dtype=torch.float64), torch.arange(5)[None] < 3)
        for name, value in short.items():
            self.assertAlmostEqual(value.item(), padded[name].item(), places=9)

    @torch.no_grad()
    def test_folded_batch_normalisation_gives_the_same_logits(self):
        for variant in surge.VARIANTS:
            model = _small(variant, batch_norm=True).train()
            for seed in range(20):
                model(_batch(seed=seed))
            model.head["norm2"].weight.copy_(torch.rand(6) + 0.5)
            model.head["norm0"].bias.copy_(torch.rand(len(model.head["norm0"].bias)))
            tensors = surge.tensors(model)
            self.assertFalse([name for name in tensors if "norm" in name or "running" in name])
            again = surge.from_tensors(tensors, surge.manifest_options(model.options))
            expected = model.eval()(_batch()).numpy()
            np.testing.assert_allclose(again(_batch()).numpy(), expected, atol=1e-5)
            self.assertGreater(expected.std(), 0.01)

    def test_what_cannot_be_is_refused_by_its_name(self):
        with self.assertRaisesRegex(ValueError, 'variant is "both"'):
            surge.Options(variant="both")
        with self.assertRaisesRegex(ValueError, "hidden is .8.; it must have two widths"):
            surge.Options(hidden=(8,))
        with self.assertRaisesRegex(ValueError, "ablation"):
            surge.manifest_options(surge.Options(without=("fusion",)))

    @torch.no_grad()
    def test_ablations_change_the_score(self):
        for variant in surge.VARIANTS:
            whole = _small(variant).eval()(_batch())
            for part in ("fusion", "extraction"):
                other = _small(variant, without=(part,)).eval()(_batch())
                self.assertGreater((other - whole).abs().max().item(), 1e-4, f"{variant} without {part}")


if __name__ == "__main__":
    unittest.main()
