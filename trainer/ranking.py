"""Trains MacGNN on replayed rows."""

from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm import tqdm

from trainer import macgnn


@dataclass
class Options:
    dim: int = 10
    recent_len: int = 20
    attention: str = "none"
    tau: float = 1.0
    learning_rate: float = 0.005
    weight_decay: float = 1e-5
    batch: int = 1024
    epochs: int = 1  # more overfit: embeddings memorise the rows
    negatives: dict = field(default_factory=lambda: {"uniform": 2, "popular": 2})
    basket_start_share: float = 0.85  # of the rows; see Rows.batch
    seed: int = 1


def _tensors(batch):
    return {name: torch.from_numpy(values).long() for name, values in batch.items()}


def initial_tables(user, item, user_clusters, item_clusters, shape, dim):
    """Start values of MacGNN's tables: the principal directions of the retrieval embeddings.

    Rows 0 are zero; a macro node begins at the mean of its members.
    """
    both = np.concatenate([user, item])
    _, _, directions = np.linalg.svd(both, full_matrices=False)
    reduced = both @ directions[:dim].T
    reduced = (reduced * (0.1 / reduced.std())).astype(np.float32)
    users, items = reduced[: len(user)], reduced[len(user) :]
    mean = lambda vectors, clusters, k: np.stack([vectors[clusters == c].mean(0) for c in range(k)])
    unknown = np.zeros((1, dim), np.float32)
    return {
        "user_embed": np.concatenate([unknown, users]),
        "item_embed": np.concatenate([unknown, items]),
        "u_macro_embed": mean(users, user_clusters, shape[0]),
        "i_macro_embed": mean(items, item_clusters, shape[1]),
    }


def train(rows, tables, options):
    """A MacGnn in evaluation mode, its Dice statistics frozen over the training rows."""
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    model = macgnn.MacGnn(*(len(table) for table in tables.values()), options.dim, options.tau,
                          options.attention)
    with torch.no_grad():
        for name, table in tables.items():
            getattr(model, name).weight.copy_(torch.from_numpy(table))
    optimiser = torch.optim.Adam(
        model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    from_start = random.random(len(rows)) < options.basket_start_share
    for epoch in range(1, options.epochs + 1):
        model.train()
        order = random.permutation(len(rows))
        loss_sum = 0.0
        begins = range(0, len(order) - options.batch + 1, options.batch)
        for begin in tqdm(begins, desc=f"macgnn: epoch {epoch} of {options.epochs}", disable=None):
            chosen = np.sort(order[begin : begin + options.batch])
            logits = model(_tensors(rows.batch(chosen, from_start[chosen])))
            labels = torch.from_numpy(rows.label[chosen]).float()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
            # Falls to 0 over the training: the last steps settle.
            done = (epoch - 1 + begin / len(order)) / options.epochs
            optimiser.param_groups[0]["lr"] = options.learning_rate * (1 - done)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item()
        print(f"macgnn: epoch {epoch} of {options.epochs}  loss {loss_sum / len(begins):.4f}")
    macgnn.freeze_dice(model, lambda: _all_batches(rows, from_start))
    return model


def _all_batches(rows, from_start=None):
    for begin in range(0, len(rows), 8192):
        chosen = np.arange(begin, min(begin + 8192, len(rows)))
        yield _tensors(rows.batch(chosen, None if from_start is None else from_start[chosen]))


@torch.no_grad()
def score(model, rows):
    """One logit per row, with the features just before the event."""
    model.eval()
    return np.concatenate([model(batch).numpy() for batch in _all_batches(rows)])


@torch.no_grad()
def logits(model, batch):
    """One logit per row of `batch`, arrays as Rows.batch gives them."""
    model.eval()
    return model(_tensors(batch)).numpy()


def weights(model):
    """The tensors of macgnn.safetensors."""
    return {name: value.numpy() for name, value in model.state_dict().items()}


def module(tensors, options):
    """The MacGnn, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    tables = ("user_embed", "item_embed", "u_macro_embed", "i_macro_embed")
    model = macgnn.MacGnn(*(len(tensors[f"{table}.weight"]) for table in tables),
                          tensors["user_embed.weight"].shape[1], float(options["tau"]),
                          options["attention"])
    # Copies, since PyTorch has no tensor that must not be written to.
    model.load_state_dict({name: torch.from_numpy(tensors[name].copy())
                           for name in model.state_dict()})
    return model.eval()
