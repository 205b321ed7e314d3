"""LightGCN (He et al., SIGIR 2020): embeddings for retrieval by inner product.

The only parameters are one vector per user and item, E0 [n, d]. With A the normalised adjacency of
the user-item graph, layer l is E_l = A^l E0 and the final vectors are the mean of E_0 .. E_L. With no
layers this is matrix factorisation.

Two losses. For a user u with an item i taken, s(u, j) the inner product or (`cosine`) the cosine:

    bpr      softplus(s(u, j) - s(u, i)) for one item j drawn uniformly (Rendle et al., UAI 2009)
    softmax  -log( exp(s(u, i) / t) / sum over j of exp(s(u, j) / t - c log Q(j)) )

The sum of the sampled softmax runs over the items of the batch, or over the item itself and a pool of
`negatives` that is drawn by popularity and shared by the batch (Wu et al., "On the Effectiveness of
Sampled Softmax Loss", 2022). Q(j) is how often j is expected there: with c = 1 the sum estimates
the one over all items (logQ, Yi et al., RecSys 2019), with c = 0 popular items are pushed down.

With c < 1 the scores lack (1 - c) t log Q(i) of popularity, and a cosine has little room for it in any
case. `popularity_bias` b puts it back: b log(how many took i) is exported as one more coordinate of
the item, where every user has 1, so that the served inner product is s(u, i) + b log degree. It takes
no part in the training, and is chosen on validation.
"""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
import scipy.sparse
import torch
from tqdm import tqdm

from trainer import checkpoint

_MASKED = -1e9  # a score that no softmax sees


@dataclass
class Options:
    dim: int = 64
    layers: int = 2
    loss: str = "softmax"  # or "bpr"
    cosine: bool = False  # scores and exported vectors are normalised to length 1
    temperature: float = 1.0
    negatives: int = 0  # of the softmax, by popularity and shared by a batch; 0: the batch's items
    popularity_correction: float = 1.0  # c above
    popularity_bias: float = 0.0  # b: exported scores are s + b log degree, in one more coordinate
    learning_rate: float = 0.01
    weight_decay: float = 1e-4  # on E0's rows of a batch
    batch: int = 2048
    average: float = 0.0  # decay per step of the running mean of E0 that is exported; 0: the last E0
    half_life_days: float = 40.0  # how fast an interaction of a log loses its say in the loss
    epochs_max: int = 20
    patience: int = 4  # epochs without a better validation
    seed: int = 1

    def __post_init__(self):
        if self.loss not in ("bpr", "softmax"):
            raise ValueError(f"lightgcn.loss is {self.loss!r}; it may be 'bpr' or 'softmax'")


def normalised_adjacency(user, item, users, items):
    """D^-1/2 [[0, R], [R', 0]] D^-1/2 over the distinct pairs, as CSR."""
    pairs = np.unique(np.stack([user, item], axis=1), axis=0)
    ones = np.ones(len(pairs), dtype=np.float32)
    taken = scipy.sparse.csr_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(users, items))
    graph = scipy.sparse.bmat([[None, taken], [taken.T, None]], format="csr", dtype=np.float32)
    degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1.0)
    scale = scipy.sparse.diags((degree**-0.5).astype(np.float32))
    return (scale @ graph @ scale).tocsr().astype(np.float32)


class Adjacency:
    """A constant symmetric sparse matrix that multiplies tensors [n, d].

    A sum of weighted rows is what embedding_bag computes, vectorised and with prefetching: on one
    core of a Zen 5 it takes 7 ms for Gowalla's 1.6 million entries at d = 64, SciPy's product 45 ms.
    """

    def __init__(self, matrix):
        self.begin = torch.from_numpy(matrix.indptr[:-1].astype(np.int64))
        self.column = torch.from_numpy(matrix.indices.astype(np.int64))
        self.value = torch.from_numpy(matrix.data)

    @torch.no_grad()
    def __matmul__(self, x):
        return torch.nn.functional.embedding_bag(
            self.column, x, self.begin, mode="sum", per_sample_weights=self.value)


class _Propagate(torch.autograd.Function):
    """y = A x for a symmetric A, so that the gradient is A times the gradient."""

    @staticmethod
    def forward(context, x, adjacency):
        context.adjacency = adjacency
        return adjacency @ x

    @staticmethod
    def backward(context, gradient):
        return context.adjacency @ gradient.contiguous(), None


class LightGcn(torch.nn.Module):
    def __init__(self, matrix, users, items, options):
        super().__init__()
        self.adjacency, self.users = Adjacency(matrix), users
        self.layers, self.cosine = options.layers, options.cosine
        self.base = torch.nn.Parameter(torch.randn(users + items, options.dim) * 0.1)

    def forward(self, base=None):
        """(user, item) vectors: the mean of all layers over `base`, or over the parameters."""
        layer = total = self.base if base is None else base
        for _ in range(self.layers):
            layer = _Propagate.apply(layer, self.adjacency)
            total = total + layer
        mean = total / (self.layers + 1)
        return mean[: self.users], mean[self.users :]

    def scaled(self, vectors):
        """The vectors whose inner product is the score."""
        return torch.nn.functional.normalize(vectors, dim=1) if self.cosine else vectors


def bpr_loss(user, item, negative, known):
    """Mean over the rows [b, d]; a row with known[b], whose negative was taken too, counts nothing."""
    worse = (user * negative).sum(1) - (user * item).sum(1)
    return (torch.nn.functional.softplus(worse) * ~known).mean()


def in_batch_loss(user, item, item_index, log_frequency, options):
    """The sampled softmax over the items of the batch; `log_frequency` [b] is c log Q up to a constant."""
    scores = user @ item.T / options.temperature - log_frequency
    # Another row's item that is this row's own item is no negative.
    same = item_index[None, :] == item_index[:, None]
    same.fill_diagonal_(False)
    return torch.nn.functional.cross_entropy(
        scores.masked_fill(same, _MASKED), torch.arange(len(user)))


def pool_loss(user, item, pool, log_weight, known, options):
    """The sampled softmax over a row's own item and a shared pool.

    `pool` [p, d] are distinct items, `log_weight` [p] is how often each was drawn over c-corrected
    expectation, in logs, and `known` are (rows, columns) of items that the row's user has taken.
    """
    own = (user * item).sum(1) / options.temperature
    scores = (user / options.temperature) @ pool.T + log_weight
    scores = scores.index_put(known, torch.tensor(_MASKED))
    return (torch.logaddexp(own, scores.logsumexp(1)) - own).mean()


class Trainer:
    """Trains on distinct pairs [n, 2] of (user, item), epoch by epoch.

    `weight` [n] is a pair's say in the loss: an epoch draws half as many pairs as there are by it,
    with replacement. Without it, an epoch takes every pair once.
    """

    def __init__(self, pairs, users, items, options, weight=None):
        self.options = options
        self.random = np.random.default_rng(options.seed)
        torch.manual_seed(options.seed)
        self.user, self.item = torch.from_numpy(pairs.astype(np.int64)).T.contiguous()
        self.share = None if weight is None else weight / weight.sum()
        frequency = np.bincount(pairs[:, 1], weights=weight, minlength=items) + 1e-3
        self.frequency = frequency / frequency.sum()
        self.log_frequency = torch.from_numpy(np.log(self.frequency)).float()
        self.taken = scipy.sparse.csr_matrix(
            (np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(users, items))
        matrix = normalised_adjacency(pairs[:, 0], pairs[:, 1], users, items)
        self.model = LightGcn(matrix, users, items, options)
        self.average = self.model.base.detach().clone() if options.average else None
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)
        self.steps = 0

    def epoch(self, label):
        """One pass; returns the mean loss."""
        drawn, batch, total = self._draw(), self.options.batch, 0.0
        for begin in tqdm(range(0, len(drawn), batch), desc=label, leave=False, disable=None):
            rows = torch.from_numpy(drawn[begin : begin + batch])
            loss = self._loss(self.user[rows], self.item[rows])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.steps += 1
            self._follow()
            total += float(loss) * len(rows)
        return total / len(drawn)

    @torch.no_grad()
    def embeddings(self):
        """(user [users, d], item [items, d]) as f32 arrays; d is one more than dim with a bias."""
        user, item = (self.model.scaled(side).numpy().copy() for side in self.model(self.average))
        if not self.options.popularity_bias:
            return user, item
        degree = np.maximum(np.asarray(self.taken.sum(axis=0)), 1).reshape(-1, 1)
        bias = (self.options.popularity_bias * np.log(degree)).astype(np.float32)
        return np.hstack([user, np.ones((len(user), 1), np.float32)]), np.hstack([item, bias])

    @torch.no_grad()
    def encoder_tensors(self):
        """E0, of which the embeddings are sums over the layers' neighbours."""
        base = self.model.base if self.average is None else self.average
        users = self.model.users
        return {"user_base": base[:users].numpy().copy(), "item_base": base[users:].numpy().copy()}

    def identity(self):
        """What a checkpoint must have been made with; how long to train and what to export may differ."""
        options = {name: value for name, value in asdict(self.options).items()
                   if name not in ("epochs_max", "patience", "popularity_bias")}
        pairs = hashlib.sha256(self.user.numpy().tobytes() + self.item.numpy().tobytes())
        return {**options, "pairs": pairs.hexdigest()}

    def state(self):
        """(tensors, numbers): what `restore` needs to go on as if nothing had happened. PyTorch's
        generator is used for the start alone."""
        tensors = {"base": self.model.base, **checkpoint.optimiser_tensors(self.optimiser)}
        if self.average is not None:
            tensors["average"] = self.average
        return tensors, {"steps": self.steps, "random": self.random.bit_generator.state}

    @torch.no_grad()
    def restore(self, tensors, numbers):
        self.model.base.copy_(tensors["base"])
        self.average = tensors.get("average")
        checkpoint.restore_optimiser(self.optimiser, tensors)
        self.steps, self.random.bit_generator.state = numbers["steps"], numbers["random"]

    def _draw(self):
        if self.share is None:
            return self.random.permutation(len(self.user))
        return self.random.choice(len(self.user), size=len(self.user) // 2, p=self.share)

    def _loss(self, users, items):
        options, model = self.options, self.model
        user, item = model()
        row_user, row_item = model.scaled(user[users]), model.scaled(item[items])
        correction = options.popularity_correction
        if options.loss == "bpr":
            negative, known = self._uniform_negatives(users)
            loss = bpr_loss(row_user, row_item, model.scaled(item[negative]), known)
        elif options.negatives == 0:
            loss = in_batch_loss(
                row_user, row_item, items, correction * self.log_frequency[items], options)
        else:
            pool, log_weight, known = self._pool(users.numpy())
            loss = pool_loss(row_user, row_item, model.scaled(item[pool]), log_weight, known, options)
        own = model.base[users].square().sum() + model.base[model.users + items].square().sum()
        return loss + options.weight_decay * own / len(users)

    def _uniform_negatives(self, users):
        """(items, whether the row's user has taken it)."""
        negative = self.random.integers(self.taken.shape[1], size=len(users))
        known = np.asarray(self.taken[np.array(users), negative]).ravel()
        return torch.from_numpy(negative), torch.from_numpy(known)

    def _pool(self, users):
        """(distinct items, log weights, (rows, columns) of those that the row's user has taken)."""
        drawn = self.random.choice(len(self.frequency), size=self.options.negatives, p=self.frequency)
        pool, times = np.unique(drawn, return_counts=True)
        expected = self.options.negatives * self.frequency[pool]
        log_weight = np.log(times) - self.options.popularity_correction * np.log(expected)
        column = np.full(self.taken.shape[1], -1)
        column[pool] = np.arange(len(pool))
        taken = self.taken[users]
        columns = column[taken.indices]
        rows = np.repeat(np.arange(len(users)), np.diff(taken.indptr))
        known = torch.from_numpy(rows[columns >= 0]), torch.from_numpy(columns[columns >= 0])
        return torch.from_numpy(pool), torch.from_numpy(log_weight).float(), known

    @torch.no_grad()
    def _follow(self):
        """Moves the running mean of E0, faster during the first steps, so that the start is forgotten."""
        if self.average is not None:
            decay = min(self.options.average, self.steps / (self.steps + 10))
            self.average.lerp_(self.model.base, 1.0 - decay)


def log_trainer(interactions, cut_s, options):
    """A trainer on the distinct pairs of a log before `cut_s`, where recent ones say more."""
    users, items = len(interactions.user_ids), len(interactions.item_ids)
    past = interactions.taken(0, cut_s) & (interactions.user >= 0) & (interactions.item >= 0)
    pairs, age_days = _newest_pairs(
        interactions.user[past], interactions.item[past],
        (cut_s - interactions.time_s[past]) / 86_400.0)
    return Trainer(pairs, users, items, options, weight=0.5 ** (age_days / options.half_life_days))


def _newest_pairs(user, item, age_days):
    """The distinct (user, item) pairs [n, 2] and the age of each pair's latest interaction."""
    pairs = np.stack([user, item], axis=1).astype(np.int64)
    newest_first = pairs[::-1]
    distinct, position = np.unique(newest_first, axis=0, return_index=True)
    return distinct, age_days[::-1][position]
