"""Encoders of a snapshot: what a server makes vectors of, of users and items who came or changed since.

Here are the kinds that need no training of their own: they fold what somebody took into vectors that are trained
already. docs/encoders.md has their equations. Each is proved by examples: made-up targets, trained and new, with the
vectors that the implementation here, in float64, makes of them.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse

from trainer import als, lightgcn, safetensors, snapshot

COUNT_MAX = 16  # encoders of a snapshot
_SIDES = ("user", "item")
_TRAINED_TARGETS, _NEW_TARGETS, _NEIGHBOURS_MEAN = 80, 20, 20  # of the examples
_R = 0.5  # of LightGCN: both degrees count by their square roots


@dataclass
class Encoder:
    name: str
    side: str  # whose vectors it makes
    options: object  # one of KINDS' values, fitted

    @property
    def kind(self):
        return next(name for name, kind in KINDS.items() if isinstance(self.options, kind))


def fitted(options, side, of_embeddings):
    """The options of a kind, with what they leave open, for embeddings that were trained with the Options
    `of_embeddings`, or elsewhere (None). ValueError where these do not go together."""
    if side not in options.SIDES:
        raise ValueError(f'side is "{side}"; it may be {" or ".join(options.SIDES)}')
    if getattr(of_embeddings, "popularity_bias", 0):
        raise ValueError("with lightgcn.popularity_bias every user has a 1 in the last place of the vector, which no "
                         "encoder gives: set it to 0")
    return options.fitted(side, of_embeddings)


@dataclass
class Als:
    """A half step of ALS: what the training would give to who has taken the same."""

    alpha: float = 0.0  # these three: 0 or "", those of [als]
    lambda_: float = 0.0
    regularisation: str = ""
    neighbors: int = 0  # the newest that are read; 0: all
    SIDES = _SIDES
    FILE = "encoder.als.safetensors"

    def fitted(self, side, of_embeddings):
        if self.alpha < 0 or self.lambda_ < 0 or self.neighbors < 0:
            raise ValueError("alpha, lambda and neighbors must not be below 0")
        trained = isinstance(of_embeddings, als.Options)
        if not trained and not (self.alpha and self.lambda_):
            raise ValueError("set alpha and lambda, those of the training: the embeddings are not of [als], which has "
                             "them")
        found = replace(self, alpha=self.alpha or of_embeddings.alpha, lambda_=self.lambda_ or of_embeddings.lambda_,
                        regularisation=self.regularisation or (of_embeddings.regularisation if trained else "plain"))
        als.Options(alpha=found.alpha, lambda_=found.lambda_, regularisation=found.regularisation)
        return found

    def manifest_options(self, side, material):
        return {"alpha": repr(self.alpha), "lambda": repr(self.lambda_), "regularisation": self.regularisation,
                **({"neighbors": str(self.neighbors)} if self.neighbors else {})}

    def tensors(self, material):
        """In F64, for the server's solve."""
        als.check_dim(material.vectors["item"].shape[1])
        return {f"{side}_gram": vectors.T.astype(np.float64) @ vectors for side, vectors in material.vectors.items()}

    def examples(self, side, material, targets):
        other = _other(side)
        y = material.vectors[other].astype(np.float64)
        gram = y.T @ y
        options = als.Options(alpha=self.alpha, lambda_=self.lambda_, regularisation=self.regularisation)
        found = []
        for nodes, counts in targets.lists:
            nodes, counts = (values[: self.neighbors or None] for values in (nodes, counts))
            known = nodes >= 0
            found.append(als.solve(gram, y[nodes[known]], counts[known], options))
        return {f"in.{side}_begin": targets.begins(), f"in.{other}": targets.nodes(),
                "in.count": targets.counts(), **_expected("vector", found)}


@dataclass
class Linear:
    """LightGCN's own propagation, and matrix factorisation's: on the graph of the training it gives the trained
    vectors."""

    length: str = ""  # of items: "median" (if it is not set) or "none"
    SIDES = _SIDES
    FILE = "encoder.linear.safetensors"

    def fitted(self, side, of_embeddings):
        if not isinstance(of_embeddings, lightgcn.Options):
            raise ValueError("it folds into embeddings of [lightgcn]; for others take another kind, such as newest")
        if of_embeddings.cosine:
            raise ValueError("with lightgcn.cosine the trained vectors have length 1, which a sum over neighbours has "
                             "not: set it to false, or take another kind, such as newest")
        if side == "user" and self.length:
            raise ValueError("length is of encoders of items: the length of a user's vector changes no order")
        if self.length not in ("", "median", "none"):
            raise ValueError(f'length is "{self.length}"; it may be "median" or "none"')
        return replace(self, length=self.length or ("median" if side == "item" else ""))

    def manifest_options(self, side, material):
        layers = material.of_embeddings.layers
        return {"r": str(_R), "alpha": ",".join([repr(_alpha(layers))] * (layers + 1)),
                **({"length": self.length} if self.length else {})}

    def tensors(self, material):
        base = {side: material.encoder_tensors[f"{side}_base"] for side in _SIDES}
        layers = material.of_embeddings.layers
        taken = material.neighbours["user"].matrix(len(base["item"]))
        degrees = [np.maximum(np.diff(of.begin), 1.0) for of in material.neighbours.values()]
        share = (scipy.sparse.diags(degrees[0] ** -_R) @ taken @ scipy.sparse.diags(degrees[1] ** (_R - 1))).tocsr()
        layer = {side: values.astype(np.float64) for side, values in base.items()}
        context = {side: np.zeros_like(values) for side, values in layer.items()}
        for _ in range(layers):
            for side in _SIDES:
                context[side] += _alpha(layers) * layer[side]
            layer = {"user": share @ layer["item"], "item": share.T @ layer["user"]}
        return {**{f"{side}_base": base[side] for side in _SIDES},
                **{f"{side}_context": values.astype(np.float32) for side, values in context.items()}}

    def examples(self, side, material, targets):
        other, tensors = _other(side), self.tensors(material)
        base, context = tensors[f"{side}_base"].astype(np.float64), tensors[f"{other}_context"].astype(np.float64)
        lengths = np.sort(np.linalg.norm(material.vectors["item"], axis=1))
        degrees, found = targets.degrees(material.neighbours[other]), []
        for row, (nodes, _), degree in zip(targets.rows, targets.lists, degrees):
            vector = _alpha(material.of_embeddings.layers) * base[row] if row >= 0 else np.zeros(base.shape[1])
            known = nodes >= 0
            vector = vector + (max(len(nodes), 1) ** -_R * degree[known] ** (_R - 1)) @ context[nodes[known]]
            if row < 0 and self.length == "median" and vector.any():
                vector *= lengths[len(lengths) // 2] / np.linalg.norm(vector)
            found.append(vector)
        fold = f"fold.{side}"
        return {f"in.{fold}.row": targets.rows, f"in.{fold}.begin": targets.begins(),
                f"in.{fold}.neighbor": targets.nodes(),
                f"in.{fold}.neighbor_degree": np.concatenate(degrees).astype(np.int64), **_expected(fold, found)}


@dataclass
class Mixture:
    """The centroids of the item clusters that a user took most of."""

    clusters_max: int = 10
    SIDES = ("user",)
    FILE = snapshot.CLUSTERS_FILE

    def fitted(self, side, of_embeddings):
        if not 1 <= self.clusters_max <= 65_536:
            raise ValueError(f"clusters_max is {self.clusters_max}; it must be from 1 to 65536")
        return self

    def manifest_options(self, side, material):
        return {"clusters_max": str(self.clusters_max)}

    def tensors(self, material):
        return None

    def examples(self, side, material, targets):
        centroids = material.item_centroids.astype(np.float64)
        taken, found = np.zeros((len(targets.rows), len(centroids)), np.int64), []
        for of_target, (nodes, counts) in zip(taken, targets.lists):
            known = nodes >= 0
            np.add.at(of_target, material.item_cluster[nodes[known]], counts[known])
            most = np.argsort(-of_target, kind="stable")[: self.clusters_max]
            found.append(of_target[most] @ centroids[most] / max(of_target[most].sum(), 1))
        return {"in.h1": taken, **_expected("vector", found)}


@dataclass
class Newest:
    """The sum of the vectors of a user's newest items."""

    neighbors: int = 0  # so many of them; 0: all
    half: float = 0.0  # an item that is so many places older weighs half as much; 0: all weigh alike
    SIDES = ("user",)
    FILE = snapshot.EMBEDDINGS_FILE

    def fitted(self, side, of_embeddings):
        if self.neighbors < 0 or self.half < 0:
            raise ValueError("neighbors and half must not be below 0")
        return self

    def manifest_options(self, side, material):
        return {**({"neighbors": str(self.neighbors)} if self.neighbors else {}),
                **({"half": repr(self.half)} if self.half else {})}

    def tensors(self, material):
        return None

    def examples(self, side, material, targets):
        item, found = material.vectors["item"].astype(np.float64), []
        for nodes, _ in targets.lists:
            nodes = nodes[nodes >= 0][: self.neighbors or None]
            weights = 0.5 ** (np.arange(len(nodes)) / self.half) if self.half else np.ones(len(nodes))
            found.append(weights @ item[nodes])
        return {"in.length": np.diff(targets.begins()), "in.item": targets.nodes(), **_expected("vector", found)}


KINDS = {"als": Als, "linear": Linear, "mixture": Mixture, "newest": Newest}


def write(directory, encoders, of_embeddings, encoder_tensors, seed=1):
    """Writes the files of these encoders and their examples beside a snapshot's embeddings, clusters and graph.
    Returns what its manifest has as `encoders`."""
    directory = Path(directory)
    material = Material(directory, of_embeddings, encoder_tensors)
    proof, entries = {}, []
    for encoder in encoders:
        options, side = encoder.options, encoder.side
        tensors = options.tensors(material)
        if tensors is not None:
            safetensors.write(directory / options.FILE, tensors)
        nodes, others = (len(material.vectors[of]) for of in (side, _other(side)))
        targets = _draw(nodes, others, seed)
        proof |= {f"{encoder.name}.{name}": values
                  for name, values in options.examples(side, material, targets).items()}
        entries.append({"name": encoder.name, "side": side, "kind": encoder.kind, "file": options.FILE,
                        "options": options.manifest_options(side, material)})
    safetensors.write(directory / snapshot.ENCODER_EXAMPLES_FILE, proof)
    return entries


class Material:
    """What a snapshot without encoders has for them."""

    def __init__(self, directory, of_embeddings, encoder_tensors):
        self.of_embeddings, self.encoder_tensors = of_embeddings, encoder_tensors
        self.vectors, _ = safetensors.read(directory / snapshot.EMBEDDINGS_FILE)
        self.vectors = {side: self.vectors[side] for side in _SIDES}
        clusters, _ = safetensors.read(directory / snapshot.CLUSTERS_FILE)
        self.item_cluster, self.item_centroids = clusters["item"], clusters["item_centroids"]
        graph, _ = safetensors.read(directory / snapshot.GRAPH_FILE)
        self.neighbours = neighbours(graph, len(self.vectors["user"]), len(self.vectors["item"]))


@dataclass
class Neighbours:
    """The neighbours of all nodes of a side, the newest of each first: those of node n stand at begin[n] to
    begin[n + 1]."""

    begin: np.ndarray
    node: np.ndarray
    count: np.ndarray  # A[u, i]

    def of(self, node):
        """(neighbours, counts)"""
        own = slice(self.begin[node], self.begin[node + 1])
        return self.node[own], self.count[own]

    def matrix(self, columns):
        """1 for each neighbour, as CSR."""
        return scipy.sparse.csr_matrix((np.ones(len(self.node)), self.node, self.begin),
                                       shape=(len(self.begin) - 1, columns))


def neighbours(graph, users, items):
    """{side: Neighbours} of the tensors of graph.safetensors."""
    user = np.repeat(np.arange(users, dtype=np.int64), np.diff(graph["user_begin"]))
    pair, edge = np.unique(user * items + graph["item"], return_inverse=True)
    age = np.empty(len(edge), np.int64)  # place from the newest edge on
    age[np.lexsort((graph["last_offset"], graph["last_time_us"]))[::-1]] = np.arange(len(edge))
    youngest = np.full(len(pair), len(edge))
    np.minimum.at(youngest, edge, age)
    count = np.bincount(edge, weights=graph["count"], minlength=len(pair)).astype(np.int64)
    user, item = pair // items, pair % items
    return {"user": _newest_first(user, item, count, youngest, users),
            "item": _newest_first(item, user, count, youngest, items)}


def _newest_first(node, neighbour, count, age, nodes):
    order = np.lexsort((age, node))
    begin = np.concatenate([[0], np.cumsum(np.bincount(node, minlength=nodes))])
    return Neighbours(begin, neighbour[order], count[order])


@dataclass
class Targets:
    rows: np.ndarray  # of the trained tables; -1: a new one
    lists: list  # (neighbours, counts) of each; -1: a new neighbour

    def begins(self):
        return np.concatenate([[0], np.cumsum([len(nodes) for nodes, _ in self.lists])]).astype(np.int64)

    def nodes(self):
        return np.concatenate([nodes for nodes, _ in self.lists]).astype(np.int64)

    def counts(self):
        return np.concatenate([counts for _, counts in self.lists]).astype(np.int64)

    def degrees(self, of_neighbours):
        """How many neighbours the neighbours of each target have: a new target is one more, and a new neighbour
        has the target alone."""
        degree = np.diff(of_neighbours.begin)
        return [np.where(nodes < 0, 1, degree[nodes] + (row < 0)).astype(np.float64)
                for row, (nodes, _) in zip(self.rows, self.lists)]


def _draw(nodes, others, seed):
    """Targets that are made up, of sides of so many nodes: trained ones, new ones with a new neighbour, and one without
    any. Nobody's own neighbours, since a server keeps these files when it forgets somebody."""
    random = np.random.default_rng(seed)
    trained = np.sort(random.permutation(nodes)[:_TRAINED_TARGETS])
    lists = []
    for target in range(len(trained) + _NEW_TARGETS - 1):
        size = min(others, random.geometric(1 / _NEIGHBOURS_MEAN))
        neighbour = random.choice(others, size, replace=False)
        count = random.integers(1, 4, size)
        if target >= len(trained):
            neighbour, count = np.r_[-1, neighbour], np.r_[1, count]
        lists.append((neighbour, count))
    lists.append((np.empty(0, np.int64), np.empty(0, np.int64)))
    rows = np.concatenate([trained, np.full(_NEW_TARGETS, -1)]).astype(np.int64)
    return Targets(rows, lists)


def _expected(name, vectors):
    vectors = np.stack(vectors)
    return {name: vectors.astype(np.float32), "known": vectors.any(1).astype(np.int32)}


def _other(side):
    return "item" if side == "user" else "user"


def _alpha(layers):
    """The share of each layer: LightGCN's vector is their mean."""
    return 1.0 / (layers + 1)
