#!/usr/bin/python3
"""Compares the TorchScript modules of all variants with golden vectors, in float64 and float32.

    check.py --golden DIR     DIR holds macgnn/ and surge/, each with weights and cases
"""

import argparse
import pathlib
import sys

import numpy as np
import torch

import checkpoint
from trainer import safetensors

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-4}  # absolute and relative


def from_numpy(array):
    return torch.from_numpy(np.array(array))


def macgnn_logits(tensors, options, cases, dtype):
    """With one user per call, and as one batch in which each row has its own user."""
    inputs = [from_numpy(cases[f"in.{name}"])
              for name in ("user", "u1", "u2", "urec", "item", "i1", "i2", "irec")]
    module = torch.jit.script(checkpoint.build(tensors, options, dtype))
    published = torch.jit.script(checkpoint.build(tensors, options, dtype, published=True))
    alone = [module(*(x[row : row + 1] for x in inputs[:4]), *inputs[4:])[row]
             for row in range(len(inputs[0]))]
    return {"one user per call": torch.stack(alone), "user in every row": module(*inputs),
            "published shape": published(*inputs)}


def surge_logits(tensors, options, cases, dtype):
    """Likewise."""
    module = torch.jit.script(checkpoint.build(tensors, options, dtype))
    length, max_history = cases["in.history_length"], int(options["max_history"])
    histories = torch.zeros(len(length), max_history, dtype=torch.int64)
    for row, history in enumerate(np.split(cases["in.history"], np.cumsum(length)[:-1])):
        newest = history[-max_history:]
        histories[row, : len(newest)] = from_numpy(newest)
    length = from_numpy(length).clamp_max(max_history)
    index, candidates = from_numpy(cases["in.history_index"]), from_numpy(cases["in.candidate"])
    alone = torch.zeros(len(index), dtype=dtype)
    for user in index.unique().tolist():
        of_user = index == user
        alone[of_user] = module(histories[user : user + 1], length[user : user + 1],
                                candidates[of_user])
    return {"one user per call": alone,
            "user in every row": module(histories[index], length[index], candidates)}


def variants(golden):
    """(name, tensors, options, cases, names of the logits) of each variant."""
    weights, metadata = safetensors.read(golden / "macgnn" / "weights.safetensors")
    cases, _ = safetensors.read(golden / "macgnn" / "cases.safetensors")
    for attention, prefix in (("none", "official."), ("neighbours", "paper.")):
        statistics = {name[len(prefix):]: array for name, array in cases.items()
                      if name.startswith(f"{prefix}mlp.")}
        yield (f"MacGNN {attention}", {**weights, **statistics}, {**metadata, "attention": attention},
               cases, f"{prefix}logit")
    for variant in ("authors", "paper"):
        weights, metadata = safetensors.read(golden / "surge" / f"{variant}.weights.safetensors")
        cases, _ = safetensors.read(golden / "surge" / f"{variant}.cases.safetensors")
        tensors = {**weights, checkpoint.CATEGORIES: cases["in.category_of_item"]}
        yield f"SURGE {variant}", tensors, metadata, cases, "logit"


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    failed = False
    for name, tensors, options, cases, output in variants(arguments.golden):
        expected = from_numpy(cases[output])
        for dtype, tolerance in TOLERANCE.items():
            logits = macgnn_logits if checkpoint.is_macgnn(tensors) else surge_logits
            forms = logits(tensors, options, cases, dtype)
            for form, actual in forms.items():
                error = ((actual.double() - expected).abs() / (1 + expected.abs())).max().item()
                verdict = "agrees" if error <= tolerance else f"DIFFERS by more than {tolerance}"
                failed |= not error <= tolerance
                print(f"{name}, {str(dtype)[6:]}, {form}: {len(expected)} rows, largest error {error:.1e}: "
                      f"{verdict}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
