"""Example rows of a snapshot: features, and the logits that every model gives them here.

The server scores them before it serves, and refuses a snapshot that it computes differently
(docs/snapshot.md). The logits are those of modules made from the files as they were written, so that
a mistake of the export is found as well as one of the server.
"""

from pathlib import Path

import numpy as np
import torch

from trainer import rankers, ranking, replay, safetensors, snapshot, surge

ROWS = 300
_CANDIDATES = 4 * ROWS  # among which rows are looked for that every model scores


def write(directory, models, rows, seed):
    """Chooses among `rows` (replay.Rows) and writes examples.safetensors for the manifest's `models`.

    The models' files are there already.
    """
    candidates = np.sort(np.random.default_rng(seed).permutation(len(rows))[:_CANDIDATES])
    write_batch(directory, models, rows.batch(candidates), seed)


def write_batch(directory, models, batch, seed):
    """Likewise, of features as Rows.batch gives them; those that no model reads may be left out."""
    if not any(getattr(rankers.KINDS.get(model["kind"]), "READS_TIMES", False) for model in models):
        batch = {name: values for name, values in batch.items() if name not in replay.TIMES}
    for name, longest in longest_lists(models).items():
        if longest and batch[name].shape[1] < longest:
            raise ValueError(f"a model reads {longest} newest neighbours, the rows have "
                             f"{batch[name].shape[1]} in {name}: replay them with more")
        for column in (name, f"{name}_time_us"):
            if column in batch:
                batch = {**batch, column: batch[column][:, :longest]}
    logits = {model["name"]: _logits(Path(directory), model, batch) for model in models}
    # Only rows that every model scores, and whose score does not hang on rounding.
    scored = np.flatnonzero(np.logical_and.reduce([np.isfinite(values) for values in logits.values()]))
    if len(scored) == 0:
        raise ValueError(f"none of {len(batch['item'])} rows is scored by every model")
    chosen = np.sort(np.random.default_rng(seed).permutation(scored)[:ROWS])
    features = {name: values[chosen] for name, values in batch.items()
                if values.ndim == 1 or values.shape[1] > 0}
    snapshot.write_examples(directory, features,
                            {name: values[chosen] for name, values in logits.items()})


def longest_lists(models):
    """How many newest items (`urec`) and newest users (`irec`) the manifest's models read."""
    def longest(*keys):
        # Of the item before the history SLi-Rec may read the time.
        return max((int(model["options"].get(key, 0))
                    + (key == "max_history" and model["options"].get("time_last") == "previous_action")
                    for model in models for key in keys), default=0)

    return {"urec": longest("recent_len", "max_history"), "irec": longest("recent_len")}


@torch.no_grad()
def _logits(directory, model, batch):
    """One number per row; not a number where the model has none, or rounding would decide it."""
    if model["kind"] == rankers.NOT_TRAINED:
        return _dot(directory, model, batch)
    module = rankers.read(directory, model)
    found = ranking.logits(module, batch)
    if isinstance(module, surge.SurgeAuthors):
        decided = module.decided(ranking.tensors(batch)).numpy()
        found = np.where(decided, found, np.nan)
    return found


def _dot(directory, model, batch):
    """Not a number where user or item is unknown."""
    tensors, _ = safetensors.read(directory / model["file"])
    user, item = batch["user"], batch["item"]
    products = tensors["user"][user - 1].astype(np.float64) * tensors["item"][item - 1]
    return np.where((user > 0) & (item > 0), products.sum(1), np.nan).astype(np.float32)
