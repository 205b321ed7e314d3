"""Example rows of a snapshot: features, and the logits that every model gives them here.

The server scores them before it serves, and refuses a snapshot that it computes differently
(docs/snapshot.md). The logits are those of modules made from the files as they were written, so that
a mistake of the export is found as well as one of the server.
"""

from pathlib import Path

import numpy as np
import torch

from trainer import ranking, safetensors, snapshot

ROWS = 300


def write(directory, models, rows, seed):
    """Chooses among `rows` (replay.Rows) and writes examples.safetensors for the manifest's `models`.

    The models' files are there already.
    """
    candidates = np.random.default_rng(seed).permutation(len(rows))[: 2 * ROWS]
    batch = rows.batch(candidates)
    logits = {model["name"]: _SCORERS[_kind(model)](Path(directory), model, batch)
              for model in models}
    # Only rows that every model scores; the dot product knows no new users.
    scored = np.logical_and.reduce([np.isfinite(values) for values in logits.values()])
    chosen = np.flatnonzero(scored)[:ROWS]
    if len(chosen) == 0:
        raise ValueError(f"none of {len(candidates)} rows is scored by every model")
    features = {name: values[chosen] for name, values in batch.items()}
    for name, option in (("urec", ("recent_len", "max_history")), ("irec", ("recent_len",))):
        longest = max(int(model["options"].get(key, 0)) for model in models for key in option)
        if longest > features[name].shape[1]:
            raise ValueError(f"a model reads {longest} newest neighbours, the rows have "
                             f"{features[name].shape[1]}: replay them with more")
        features[name] = features[name][:, :longest]
    snapshot.write_examples(directory, features,
                            {name: values[chosen] for name, values in logits.items()})


def _kind(model):
    if model["kind"] not in _SCORERS:
        raise ValueError(f"model {model['name']} is of kind {model['kind']}, which has no module here; "
                         f"examples are made of {', '.join(_SCORERS)}")
    return model["kind"]


@torch.no_grad()
def _macgnn(directory, model, batch):
    tensors, _ = safetensors.read(directory / model["file"])
    module = ranking.module(tensors, model["options"])
    length = int(model["options"]["recent_len"])
    inputs = {name: values[:, :length] if name in ("urec", "irec") else values
              for name, values in batch.items()}
    return ranking.logits(module, inputs)


def _dot(directory, model, batch):
    """Not a number where user or item is unknown."""
    tensors, _ = safetensors.read(directory / model["file"])
    user, item = batch["user"], batch["item"]
    products = tensors["user"][user - 1].astype(np.float64) * tensors["item"][item - 1]
    return np.where((user > 0) & (item > 0), products.sum(1), np.nan).astype(np.float32)


_SCORERS = {"macgnn": _macgnn, "dot": _dot}
