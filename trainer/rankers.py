"""The kinds of ranker that can be trained, and what a snapshot says of one.

Each kind is a module with the same functions: `Options` (what a configuration may set), `from_catalogue`
(to train one), `tensors` and `manifest_options` (to store it) and `from_tensors` (to score with what was
stored). Its networks are modules of PyTorch that give one logit per row of a batch (replay.Rows), NaN
for a row that they cannot score; `needs_history` and `needs_user` say which these are, `item_rows` how many
rows the table of items has. One that adds a penalty to the loss has `logits_and_penalty(batch)`. A kind
that reads when things happened has `READS_TIMES`.
"""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from trainer import (caser, dien, din, gru4rec, macgnn, ncf, ranking, safetensors, slirec, snapshot,
                     surge)

KINDS = {
    "macgnn": macgnn,
    "surge": surge,
    "ncf": ncf,
    "din": din,
    "caser": caser,
    "gru4rec": gru4rec,
    "dien": dien,
    "slirec": slirec,
}
NOT_TRAINED = "dot"  # the inner product of the embeddings, part of every snapshot


@dataclasses.dataclass
class Ranker:
    """One [[ranker]] of a configuration."""

    name: str
    kind: str
    model: object  # the Options of its kind
    training: ranking.Options

    @property
    def file(self):
        return f"{self.name}.safetensors"

    @property
    def history_len(self):
        """The user's newest items that it reads, or their times."""
        names = ("history_len", "max_history", "recent_len")
        return next((getattr(self.model, name) for name in names if hasattr(self.model, name)), 0)

    @property
    def recent_len(self):
        """The item's newest users that it reads."""
        return getattr(self.model, "recent_len", 0)

    def manifest(self):
        """Its entry in the manifest's `models`."""
        return {"name": self.name, "kind": self.kind, "file": self.file,
                "options": KINDS[self.kind].manifest_options(self.model)}


def not_trained():
    """The entry of the ranker that every snapshot has, likewise."""
    return {"name": NOT_TRAINED, "kind": NOT_TRAINED, "file": snapshot.EMBEDDINGS_FILE, "options": {}}


@dataclasses.dataclass
class Catalogue:
    """What a ranker is built from: the embeddings, clusters and categories of a snapshot."""

    user: np.ndarray  # [U, d]
    item: np.ndarray  # [I, d]
    user_cluster: np.ndarray  # [U]
    item_cluster: np.ndarray  # [I]
    shape: tuple  # (P, Q)
    category_of_item: np.ndarray  # [I + 1], rows of a table of categories; 0 for the unknown item

    def start_tables(self, dim):
        """Start values of tables of width `dim`: the principal directions of the embeddings.

        Rows 0 are zero; a cluster begins at the mean of its members. Where the embeddings have fewer
        directions the rest is small noise.
        """
        both = np.concatenate([self.user, self.item])
        _, _, directions = np.linalg.svd(both, full_matrices=False)
        reduced = both @ directions[:dim].T
        reduced = (reduced * (0.1 / reduced.std())).astype(np.float32)
        if reduced.shape[1] < dim:
            rest = np.random.default_rng(0).normal(scale=0.01, size=(len(both), dim - reduced.shape[1]))
            reduced = np.concatenate([reduced, rest.astype(np.float32)], axis=1)
        users, items = reduced[: len(self.user)], reduced[len(self.user) :]
        unknown = np.zeros((1, dim), np.float32)
        return {
            "user_embed": np.concatenate([unknown, users]),
            "item_embed": np.concatenate([unknown, items]),
            "u_macro_embed": _cluster_means(users, self.user_cluster, self.shape[0]),
            "i_macro_embed": _cluster_means(items, self.item_cluster, self.shape[1]),
        }


def category_rows(categories):
    """category_of_item of Catalogue, of one name per item: numbered by appearance, from 1."""
    rows = {name: row for row, name in enumerate(dict.fromkeys(categories), start=1)}
    return np.array([0, *(rows[name] for name in categories)], np.int64)


def build(ranker, catalogue):
    """An untrained module; the same for the same seed."""
    torch.manual_seed(ranker.training.seed)
    return KINDS[ranker.kind].from_catalogue(ranker.model, catalogue)


def _cluster_means(vectors, clusters, count):
    """[count, d]; zeros for a cluster without members."""
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(sums, clusters, vectors)
    return sums / np.maximum(np.bincount(clusters, minlength=count), 1)[:, None].astype(np.float32)


def write(directory, ranker, model):
    """Writes the ranker's file into a snapshot directory."""
    safetensors.write(Path(directory) / ranker.file, KINDS[ranker.kind].tensors(model))


def read(directory, entry):
    """The module of a model in a snapshot, made from its file and its entry in the manifest."""
    if entry["kind"] not in KINDS:
        raise ValueError(f"model {entry['name']} is of kind {entry['kind']}, which has no module here; "
                         f"there are {', '.join(KINDS)}")
    tensors, _ = safetensors.read(Path(directory) / entry["file"])
    return KINDS[entry["kind"]].from_tensors(tensors, entry["options"])
