"""MacGNN in PyTorch against the golden vectors. Needs PyTorch.

GROUNDSWELL_GOLDEN names the folder of the vectors; tests/golden/macgnn is the default.
"""

import os
import unittest
from pathlib import Path

import numpy as np
import torch

from trainer import macgnn, safetensors

torch.set_num_threads(1)

_GOLDEN = Path(os.environ.get("GROUNDSWELL_GOLDEN", Path(__file__).parents[1] / "golden/macgnn"))
# Attention as the manifest names it, and as the golden vectors do.
_ATTENTIONS = (("none", "official"), ("neighbours", "paper"))


class MacGnnTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.weights, cls.options = safetensors.read(_GOLDEN / "weights.safetensors")
        cls.cases, _ = safetensors.read(_GOLDEN / "cases.safetensors")
        cls.batch = {name[3:]: torch.from_numpy(values.copy()).long()
                     for name, values in cls.cases.items() if name.startswith("in.")}

    def _model(self, attention, prefix):
        statistics = {name: self.cases[f"{prefix}.{name}"]
                      for name in ("mlp.1.mean", "mlp.1.std", "mlp.3.mean", "mlp.3.std")}
        return macgnn.from_tensors({**self.weights, **statistics},
                                   {**self.options, "attention": attention})

    def test_an_unknown_attention_is_refused(self):
        with self.assertRaisesRegex(ValueError, "neighbours"):
            macgnn.Options(attention="sideways")
        with self.assertRaisesRegex(ValueError, "two_hop"):
            macgnn.Options(without=("edges",))

    @torch.no_grad()
    def test_what_an_ablation_leaves_out_has_no_effect(self):
        changed = {"macro": ("u1", "u2", "i1", "i2"), "two_hop": ("u2", "i2"), "recent": ("urec", "irec")}
        for part, names in changed.items():
            model = self._model("neighbours", "paper")
            other = {**self.batch, **{name: self.batch[name].flip(0) for name in names}}
            self.assertGreater((model(self.batch) - model(other)).abs().max().item(), 0.01)
            model.options.without = (part,)
            np.testing.assert_array_equal(model(self.batch).numpy(), model(other).numpy(), part)

    @torch.no_grad()
    def test_logits_equal_the_golden_vectors(self):
        for attention, prefix in _ATTENTIONS:
            with self.subTest(attention=attention):
                logits = self._model(attention, prefix)(self.batch).numpy()
                np.testing.assert_allclose(
                    logits, self.cases[f"{prefix}.logit"].ravel(), rtol=1e-5, atol=1e-5)

    @torch.no_grad()
    def test_a_score_does_not_depend_on_the_rest_of_the_batch(self):
        model = self._model("neighbours", "paper")
        alone = torch.cat([model({name: values[row : row + 1] for name, values in self.batch.items()})
                           for row in range(10)])
        np.testing.assert_allclose(alone.numpy(), model(self.batch)[:10].numpy(), atol=1e-5)

    @torch.no_grad()
    def test_frozen_statistics_are_those_of_all_rows(self):
        model = self._model("none", "official")
        halves = [{name: values[begin : begin + 150] for name, values in self.batch.items()}
                  for begin in (0, 150)]
        macgnn.freeze_dice(model, lambda: iter(halves))
        z = model.mlp[:1](model.concat(self.batch)).double()
        np.testing.assert_allclose(model.mlp[1].mean.numpy(), z.mean(0).numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.mlp[1].std.numpy(), z.std(0).numpy(), rtol=1e-4)


if __name__ == "__main__":
    unittest.main()
