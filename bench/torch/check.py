#!/usr/bin/python3
"""Compares the TorchScript modules of all variants with golden vectors, in float64 and float32.

    check.py --golden DIR     DIR holds macgnn/, surge/ and a folder of each sequence ranker
"""

import argparse
import pathlib
import sys

import numpy as np
import torch

import checkpoint
import sequence
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
    of_user = {"history": histories, "length": length, **times(cases, max_history)}
    alone = torch.zeros(len(index), dtype=dtype)
    for user in index[from_numpy(has_score(cases))].unique().tolist():
        rows = index == user
        alone[rows] = call(module, {name: values[user : user + 1] for name, values in of_user.items()},
                           candidates[rows])
    rows = from_numpy(has_score(cases))
    together = torch.zeros(len(index), dtype=dtype)
    together[rows] = call(module, {name: values[index[rows]] for name, values in of_user.items()},
                          candidates[rows])
    return {"one user per call": alone, "user in every row": together}


def call(module, of_user, candidates):
    history, length, *others = of_user.values()
    return module(history, length, candidates, *others)


def has_score(cases):
    """Rows that have one."""
    return cases["has_score"] > 0 if "has_score" in cases else np.ones(len(cases["logit"]), bool)


def times(cases, max_history):
    """SLi-Rec's times; none of other models."""
    if "in.now_us" not in cases:
        return {}
    lists = np.split(cases["in.history_time_us"], np.cumsum(cases["in.history_length"])[:-1])
    time_us = np.zeros((len(lists), max_history), np.int64)
    for row, found in enumerate(lists):
        newest = found[-max_history:]
        time_us[row, : len(newest)] = newest
    first_us = np.array([found[0] if len(found) else 0 for found in lists])
    return {"time_us": from_numpy(time_us), "first_us": from_numpy(first_us), "now_us": from_numpy(cases["in.now_us"])}


def ncf_logits(tensors, options, cases, dtype):
    """Likewise."""
    module = torch.jit.script(checkpoint.build(tensors, options, dtype))
    rows = from_numpy(has_score(cases))
    user, item = (from_numpy(cases[f"in.{name}"]) for name in ("user", "candidate"))
    alone, together = torch.zeros(len(user), dtype=dtype), torch.zeros(len(user), dtype=dtype)
    for row in rows.nonzero()[:, 0].tolist():
        alone[row] = module(user[row : row + 1], item[row : row + 1])
    together[rows] = module(user[rows], item[rows])
    return {"one user per call": alone, "user in every row": together}


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
    for kind in sequence.KINDS:
        weights, metadata = safetensors.read(golden / kind / "deeprec.weights.safetensors")
        cases, _ = safetensors.read(golden / kind / "deeprec.cases.safetensors")
        if "in.category_of_item" in cases:
            weights = {**weights, checkpoint.CATEGORIES: cases["in.category_of_item"]}
        yield kind, weights, metadata, cases, "logit"


LOGITS = {"MacGNN": macgnn_logits, "ncf": ncf_logits}


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
            forms = LOGITS.get(name.split()[0], surge_logits)(tensors, options, cases, dtype)
            for form, actual in forms.items():
                error = ((actual.double() - expected).abs() / (1 + expected.abs())).max().item()
                verdict = "agrees" if error <= tolerance else f"DIFFERS by more than {tolerance}"
                failed |= not error <= tolerance
                print(f"{name}, {str(dtype)[6:]}, {form}: {len(expected)} rows, largest error {error:.1e}: "
                      f"{verdict}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
