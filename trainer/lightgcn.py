"""LightGCN (He et al., SIGIR 2020): embeddings for retrieval by inner product.

The only parameters are one vector per user and item. Propagation averages neighbours along the
symmetrically normalised user-item graph, and the final vector is the mean over all layers, the
first included. Training maximises the inner product of a user with an item taken, against the other
items of the batch (a sampled softmax, corrected for how often popular items appear in a batch).
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from tqdm import tqdm

from trainer import evaluation, metrics


@dataclass
class Options:
    dim: int = 64
    layers: int = 2
    learning_rate: float = 0.01
    weight_decay: float = 1e-4  # on the first layer of the rows of a batch
    batch: int = 2048
    temperature: float = 1.0
    popularity_correction: float = 1.0  # 0: popular items are pushed down; 1: fully corrected
    half_life_days: float = 40.0  # how fast an interaction's say in the loss fades
    epochs_max: int = 20
    patience: int = 4
    seed: int = 1


class _Propagate(torch.autograd.Function):
    """y = A x for a constant symmetric sparse A, so that the gradient is A times the gradient."""

    @staticmethod
    def forward(context, x, adjacency):
        context.adjacency = adjacency
        return torch.from_numpy(adjacency @ x.detach().numpy())

    @staticmethod
    def backward(context, gradient):
        return torch.from_numpy(context.adjacency @ gradient.contiguous().numpy()), None


def normalised_adjacency(user, item, users, items):
    """D^-1/2 [[0, R], [R', 0]] D^-1/2 over the distinct pairs, as CSR."""
    pairs = np.unique(np.stack([user, item], axis=1), axis=0)
    ones = np.ones(len(pairs), dtype=np.float32)
    taken = scipy.sparse.csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(users, items))
    graph = scipy.sparse.bmat([[None, taken], [taken.T, None]], format="csr", dtype=np.float32)
    degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1.0)
    scale = scipy.sparse.diags((degree**-0.5).astype(np.float32))
    return (scale @ graph @ scale).tocsr().astype(np.float32)


class LightGcn(torch.nn.Module):
    def __init__(self, adjacency, users, items, options):
        super().__init__()
        self.adjacency, self.users, self.layers = adjacency, users, options.layers
        self.base = torch.nn.Parameter(torch.randn(users + items, options.dim) * 0.1)

    def forward(self):
        """(user, item) vectors: the mean of all layers."""
        layer = total = self.base
        for _ in range(self.layers):
            layer = _Propagate.apply(layer, self.adjacency)
            total = total + layer
        mean = total / (self.layers + 1)
        return mean[: self.users], mean[self.users :]


def _softmax_loss(user, item, user_index, item_index, log_frequency, options):
    scores = user[user_index] @ item[item_index].T / options.temperature
    scores = scores - options.popularity_correction * log_frequency[item_index]
    # Another row's item that is this row's own item is no negative.
    same = item_index[None, :] == item_index[:, None]
    same.fill_diagonal_(False)
    return torch.nn.functional.cross_entropy(
        scores.masked_fill(same, -1e9), torch.arange(len(user_index)))


class Trainer:
    """Trains on the distinct pairs of a log before `cut_s`, epoch by epoch."""

    def __init__(self, interactions, cut_s, options):
        self.options = options
        self.random = np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        users, items = len(interactions.user_ids), len(interactions.item_ids)
        past = (interactions.time_s < cut_s) & (interactions.user >= 0) & (interactions.item >= 0)
        pairs, age_days = _newest_pairs(
            interactions.user[past], interactions.item[past],
            (cut_s - interactions.time_s[past]) / 86_400.0)
        self.user, self.item = torch.from_numpy(pairs).long().T
        weight = 0.5 ** (age_days / options.half_life_days)
        self.share = weight / weight.sum()
        frequency = np.bincount(pairs[:, 1], weights=weight, minlength=items) + 1e-3
        self.log_frequency = torch.from_numpy(np.log(frequency / frequency.sum())).float()
        adjacency = normalised_adjacency(pairs[:, 0], pairs[:, 1], users, items)
        self.model = LightGcn(adjacency, users, items, options)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)

    def epoch(self, label):
        """One pass over half as many pairs as there are, drawn by recency."""
        drawn = self.random.choice(len(self.user), size=len(self.user) // 2, p=self.share)
        batch = self.options.batch
        for begin in tqdm(range(0, len(drawn), batch), desc=label, leave=False, disable=None):
            rows = torch.from_numpy(drawn[begin : begin + batch])
            users, items = self.user[rows], self.item[rows]
            user, item = self.model()
            loss = _softmax_loss(user, item, users, items, self.log_frequency, self.options)
            own = self.model.base[users].square().sum() + self.model.base[
                self.model.users + items].square().sum()
            loss = loss + self.options.weight_decay * own / len(rows)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    @torch.no_grad()
    def embeddings(self):
        """(user, item) as f32 arrays."""
        user, item = self.model()
        return user.numpy().copy(), item.numpy().copy()


def _newest_pairs(user, item, age_days):
    """The distinct (user, item) pairs [n, 2] and the age of each pair's latest interaction."""
    pairs = np.stack([user, item], axis=1).astype(np.int64)
    newest_first = pairs[::-1]
    distinct, position = np.unique(newest_first, axis=0, return_index=True)
    return distinct, age_days[::-1][position]


def choose_epochs(interactions, split, options):
    """The number of epochs with the best Recall@20 on the validation weeks."""
    truth = evaluation.new_items(interactions, split.validation_s, split.cut_s)
    trainer = Trainer(interactions, split.validation_s, options)
    best, best_epochs = -1.0, 0
    for epoch in range(1, options.epochs_max + 1):
        trainer.epoch(f"lightgcn, choosing epochs: {epoch}")
        user, item = trainer.embeddings()
        lists = evaluation.top_unseen(lambda u: item @ user[u], truth, 20)
        recall, ndcg = metrics.mean_recall_ndcg(lists, truth.relevant, 20)
        print(f"lightgcn: epoch {epoch:2d}  validation Recall@20 {recall:.4f}  NDCG@20 {ndcg:.4f}")
        if recall > best:
            best, best_epochs = recall, epoch
        elif epoch - best_epochs >= options.patience:
            break
    return best_epochs


def train(interactions, cut_s, epochs, options):
    """(user, item) embeddings of everything before `cut_s`."""
    trainer = Trainer(interactions, cut_s, options)
    for epoch in range(1, epochs + 1):
        trainer.epoch(f"lightgcn: epoch {epoch} of {epochs}")
    return trainer.embeddings()
