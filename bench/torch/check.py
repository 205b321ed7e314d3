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


def macgnn_logits(module, cases, dtype, rows):
    """As one batch in which each row has its own user, and with one user per call."""
    inputs = [torch.from_numpy(np.array(cases[f"in.{name}"]))
              for name in ("user", "u1", "u2", "urec", "item", "i1", "i2", "irec")]
    batch = module(*inputs)
    alone = [module(*(x[row : row + 1] for x in inputs[:4]), *inputs[4:])[row] for row in range(rows)]
    return {"batch": batch, "one user per call": torch.stack(alone)}


def surge_logits(module, cases, dtype, rows, max_history):
    logits = torch.zeros(rows, dtype=dtype)
    lengths = cases["in.history_length"]
    begins = np.cumsum(lengths) - lengths
    for index, (begin, length) in enumerate(zip(begins, lengths)):
        newest = np.array(cases["in.history"][begin : begin + length][-max_history:])
        history = torch.zeros(max_history, dtype=torch.int64)
        history[: len(newest)] = torch.from_numpy(newest)
        of_user = torch.from_numpy(np.flatnonzero(cases["in.history_index"] == index))
        candidates = torch.from_numpy(np.array(cases["in.candidate"]))[of_user]
        logits[of_user] = module(history, len(newest), candidates)
    return {"batch": logits}


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
        expected = torch.from_numpy(np.array(cases[output]))
        rows = len(expected)
        for dtype, tolerance in TOLERANCE.items():
            module = torch.jit.script(checkpoint.build(tensors, options, dtype))
            forms = (macgnn_logits(module, cases, dtype, rows) if name.startswith("MacGNN") else
                     surge_logits(module, cases, dtype, rows, int(options["max_history"])))
            for form, actual in forms.items():
                error = ((actual.double() - expected).abs() / (1 + expected.abs())).max().item()
                verdict = "agrees" if error <= tolerance else f"DIFFERS by more than {tolerance}"
                failed |= not error <= tolerance
                print(f"{name}, {str(dtype)[6:]}, {form}: {rows} rows, largest error {error:.1e}: "
                      f"{verdict}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
