"""ALS for implicit feedback (Hu, Koren, Volinsky, ICDM 2008): embeddings in closed form, by turns.

A[u, i] is how often user u took item i, p = 1 where that is above 0, c = 1 + alpha A. Minimised is

    sum over all u, i of c_ui (p_ui - x_u . y_i)^2 + lambda (sum_u n_u |x_u|^2 + sum_i n_i |y_i|^2)

with n = 1 ("plain", as published) or the number of one's items or users ("weighted", Zhou et al., 2008, and
Spark). With the items fixed, a user's vector is the solution of one system of d equations,

    (Y'Y + sum_i (c_ui - 1) y_i y_i' + lambda n_u I) x_u = sum_i c_ui y_i

over the user's own items; likewise an item's. An epoch solves the items for the users there are, then the users for
these items. So a user's vector is exactly what a server solves for who has taken the same (encoder `als`).
"""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
import torch
from tqdm import tqdm


@dataclass
class Options:
    dim: int = 64
    alpha: float = 1.0  # what one interaction adds to the confidence
    lambda_: float = 1.0
    regularisation: str = "plain"  # or "weighted"
    epochs_max: int = 20
    patience: int = 4  # epochs without a better validation
    seed: int = 1

    def __post_init__(self):
        if self.regularisation not in ("plain", "weighted"):
            raise ValueError(f'regularisation is "{self.regularisation}"; it may be "plain" or "weighted"')
        if not self.alpha > 0 or not self.lambda_ > 0:
            raise ValueError(f"alpha is {self.alpha} and lambda {self.lambda_}; both must be above 0")
        check_dim(self.dim)


def check_dim(dim):
    if not 1 <= dim <= 512:
        raise ValueError(f"dim is {dim}; the server's fold-in solves 1 to 512 equations")


def solve(gram, vectors, counts, options):
    """The vector [d] of whose neighbours have these `vectors` [n, d] and `counts` [n], all in float64; `gram` is
    Y'Y of all of the neighbours' side. 0 without neighbours."""
    more = options.alpha * counts
    weighted = options.lambda_ * (max(len(counts), 1) if options.regularisation == "weighted" else 1)
    matrix = gram + (vectors.T * more) @ vectors + weighted * np.eye(len(gram))
    # One by one: where NumPy's LAPACK is its own, its solve of many at once takes many times as long.
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix), vectors.T @ (1.0 + more))


def half_step(taken, vectors, options, label="solving"):
    """[rows, d] float64: the vector of every row of `taken`, counts as CSR [rows, n], from `vectors` [n, d]."""
    vectors = vectors.astype(np.float64)
    gram, found = vectors.T @ vectors, np.zeros((taken.shape[0], vectors.shape[1]))
    for row in tqdm(range(taken.shape[0]), desc=label, leave=False, disable=None):
        own = slice(taken.indptr[row], taken.indptr[row + 1])
        found[row] = solve(gram, vectors[taken.indices[own]], taken.data[own], options)
    return found


class Trainer:
    """Trains on the counts of a CSR matrix [users, items], epoch by epoch."""

    def __init__(self, taken, options):
        self.options = options
        self.taken, self.takers = taken.astype(np.float64).tocsr(), taken.astype(np.float64).T.tocsr()
        random = np.random.default_rng(options.seed)
        # A first epoch makes of them what it will: that they differ is enough.
        self.user = random.normal(scale=0.1, size=(taken.shape[0], options.dim))
        self.item = np.zeros((taken.shape[1], options.dim), np.float32)

    def epoch(self, label):
        """Items, then users. The items are those of the export, f32, so that the users fit them."""
        self.item = half_step(self.takers, self.user, self.options, f"{label}, items").astype(np.float32)
        self.user = half_step(self.taken, self.item, self.options, f"{label}, users")

    def embeddings(self):
        return self.user.astype(np.float32), self.item

    def encoder_tensors(self):
        return {}  # the vectors are enough

    def state(self):
        return {"user": torch.from_numpy(self.user), "item": torch.from_numpy(self.item)}, {}

    def restore(self, tensors, numbers):
        self.user, self.item = tensors["user"].numpy(), tensors["item"].numpy()

    def identity(self):
        """What a checkpoint must have been made with; how long to train may differ."""
        options = {name: value for name, value in asdict(self.options).items()
                   if name not in ("epochs_max", "patience")}
        counts = hashlib.sha256(b"".join(part.tobytes() for part in (
            self.taken.indptr, self.taken.indices, self.taken.data)))
        return {**options, "counts": counts.hexdigest()}


def log_trainer(interactions, cut_s, options):
    """A trainer on the graph that a log leaves before `cut_s`."""
    user, item, weight = interactions.weights(cut_s)
    shape = (len(interactions.user_ids), len(interactions.item_ids))
    taken = scipy.sparse.csr_matrix((weight, (user, item)), shape=shape)
    taken.eliminate_zeros()
    return Trainer(taken, options)


def pair_trainer(pairs, users, items, options):
    """A trainer on distinct pairs [n, 2] of (user, item), each taken once."""
    return Trainer(scipy.sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])),
                                           shape=(users, items)), options)
