"""Embeddings on a split that others have published figures on, such as Gowalla's of the NGCF paper.

A line of either file is a user and the items it took, as numbers: `user item item ...`. All items that
a user has not in the training file are ranked for it; Recall@k is over the user's test items and
NDCG@k over the best order of min(|test|, k) of them, both averaged over the users with a test item.
The number of epochs is the configuration's, or else chosen on a share of the training pairs; the test
file is looked at once, by the model that is then trained on all of them.
"""

import json
import re
import time
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from tqdm import tqdm

from trainer import als, configuration, embeddings, lightgcn, log_files

_K = 20  # the length of the lists that the papers report
_USERS_PER_BLOCK = 512  # times the items in f32: what the scoring holds at once


@dataclass
class Lists:
    """The users that are asked, as sparse rows [users, items]: what each has, what would be right."""

    taken: scipy.sparse.csr_matrix
    right: scipy.sparse.csr_matrix


def read_pairs(path):
    """The distinct (user, item) pairs [n, 2] of a file, in order."""
    pairs = []
    with log_files.open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                user, *items = map(int, line.split())
            except ValueError:
                raise ValueError(f"{path}: line {number} should be a user and its items as whole "
                                 f"numbers, such as '0 17 4'; it is {line.strip()[:40]!r}") from None
            if user < 0 or min(items, default=0) < 0:
                raise ValueError(f"{path}: line {number} has a negative number; they count from 0")
            pairs += [(user, item) for item in items]
    if not pairs:
        raise ValueError(f"{path}: no user has an item")
    return np.unique(np.array(pairs, dtype=np.int64), axis=0)


def cut_validation(pairs, share, seed):
    """(learnt from, validated on): of every user's items a run of `share`, at least one of two.

    The items stand in the order of their numbers, and the run begins anywhere and goes on from the last
    to the first. Numbers were given in the order in which items first appear, so that neighbours belong
    together (one trip, one town). Gowalla's test holds such runs: items drawn one by one would leave
    their neighbours to learn from, and reward memory of them.
    """
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    user = pairs[order, 0]
    count = np.bincount(user)
    begin = (np.random.default_rng(seed).random(len(count)) * count).astype(np.int64)
    rank = np.arange(len(user)) - (np.cumsum(count) - count)[user]
    held = np.where(count < 2, 0, np.maximum(1, np.round(share * count)))
    validation = np.zeros(len(pairs), dtype=bool)
    validation[order] = (rank - begin[user]) % count[user] < held[user]
    return pairs[~validation], pairs[validation]


def lists_of(taken, right, users, items):
    def rows(pairs):
        return scipy.sparse.csr_matrix(
            (np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(users, items))
    return Lists(rows(taken), rows(right))


def recall_ndcg(user, item, lists, k):
    """Mean Recall@k and NDCG@k of the inner products of `user` [users, d] and `item` [items, d]."""
    item = torch.from_numpy(item)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.r_[0.0, np.cumsum(discount)]
    asked = np.flatnonzero(np.diff(lists.right.indptr))
    recall = ndcg = 0.0
    for begin in tqdm(range(0, len(asked), _USERS_PER_BLOCK), desc="lists", leave=False, disable=None):
        users = asked[begin : begin + _USERS_PER_BLOCK]
        scores = torch.from_numpy(user[users]) @ item.T
        taken, right = lists.taken[users].tocoo(), lists.right[users]
        scores[torch.from_numpy(taken.row).long(), torch.from_numpy(taken.col).long()] = -np.inf
        top = torch.topk(scores, k).indices.numpy()
        row = np.repeat(np.arange(len(users)), k)
        hit = np.asarray(right[row, top.reshape(-1)]).reshape(len(users), k)
        relevant = np.diff(right.indptr)
        recall += (hit.sum(1) / relevant).sum()
        ndcg += (hit @ discount / best[np.minimum(relevant, k)]).sum()
    return float(recall / len(asked)), float(ndcg / len(asked))


@dataclass
class Result:
    model: str
    seed: int
    epochs: int
    recall: float
    ndcg: float
    choosing_s: float  # training without the validation pairs, and validating; 0 where not done
    training_s: float  # training on all pairs; both count from where a checkpoint left off


def run(train_path, test_path, config_path, seeds, checkpoints=None):
    """A Result of popularity, and one of every model of the configuration by seed.

    With a directory `checkpoints`, a run that was killed goes on from the last epoch it finished.
    """
    torch.set_num_threads(1)  # the same sums in the same order, on any machine
    config = _read_config(config_path)
    train, test = read_pairs(train_path), read_pairs(test_path)
    users, items = np.maximum(train.max(0), test.max(0)) + 1
    print(f"{users} users, {items} items, {len(train)} training pairs, {len(test)} test pairs",
          flush=True)
    if items < _K:
        raise ValueError(f"{train_path}: {items} items are too few for lists of {_K}")
    lists = lists_of(train, test, users, items)
    results = [_popularity(train, lists)]
    for name, (options, epochs) in config["models"].items():
        choosing_s = 0.0
        for seed in seeds:
            options = replace(options, seed=seed)
            files = _checkpoint_files(checkpoints, name, seed)
            if not epochs:  # the first seed's choice holds for the others
                epochs, choosing_s = _choose_epochs(train, lists, config, name, options, files[0])
            begin = time.monotonic()
            trainer = _trainer(train, users, items, options)
            embeddings.train_epochs(trainer, epochs, files[1], f"{name}, seed {seed}")
            training_s = time.monotonic() - begin
            quality = recall_ndcg(*trainer.embeddings(), lists, _K)
            results.append(Result(name, seed, epochs, *quality, choosing_s, training_s))
            choosing_s = 0.0
            print(f"{name}, seed {seed}: {epochs} epochs, Recall@{_K} {quality[0]:.4f}, "
                  f"NDCG@{_K} {quality[1]:.4f}", flush=True)
    return results


def table(results):
    """A line per model: means over its seeds, and the standard deviation where there are several."""
    names = list(dict.fromkeys(result.model for result in results))
    width = max(map(len, names))
    recall, ndcg = f"Recall@{_K}", f"NDCG@{_K}"
    lines = [f"{'model':{width}}  {recall:16}  {ndcg:16}  seeds  epochs  choosing  training"]
    for name in names:
        rows = [result for result in results if result.model == name]
        figures = [_mean_spread([getattr(row, field) for row in rows]) for field in ("recall", "ndcg")]
        choosing_s = sum(row.choosing_s for row in rows)
        training_s = np.mean([row.training_s for row in rows])
        lines.append(f"{name:{width}}  {figures[0]:16}  {figures[1]:16}  {len(rows):5}  "
                     f"{rows[0].epochs:6}  {choosing_s:6.0f} s  {training_s:6.0f} s")
    return "\n".join(lines)


def as_json(results):
    return json.dumps([asdict(result) for result in results], indent=2)


def _mean_spread(values):
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} +- {np.std(values, ddof=1):.4f}"


def _popularity(train, lists):
    users, items = lists.right.shape
    count = np.bincount(train[:, 1], minlength=items).astype(np.float32)[:, None]
    quality = recall_ndcg(np.ones((users, 1), np.float32), count, lists, _K)
    return Result("popularity", 0, 0, *quality, 0.0, 0.0)


def _choose_epochs(train, lists, config, name, options, checkpoint):
    """(epochs, seconds it took); the test is not looked at."""
    begin = time.monotonic()
    learnt, validation = cut_validation(train, config["validation_share"], config["validation_seed"])
    held = lists_of(learnt, validation, *lists.right.shape)
    trainer = _trainer(learnt, *lists.right.shape, options)
    epochs, _ = embeddings.choose_epochs_by(
        trainer, lambda: recall_ndcg(*trainer.embeddings(), held, _K), checkpoint, name)
    return epochs, time.monotonic() - begin


def _checkpoint_files(directory, name, seed):
    """(of choosing the epochs, of the training), or no paths without a directory."""
    if directory is None:
        return None, None
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name)
    return [Path(directory) / f"{stem}-{seed}-{phase}.safetensors" for phase in ("choosing", "training")]


def _trainer(pairs, users, items, options):
    make = als.pair_trainer if isinstance(options, als.Options) else lightgcn.Trainer
    return make(pairs, users, items, options)


def _read_config(path):
    """The configuration, with (Options, epochs) by name under `models`: the common options of its kind, then
    its own; 0 epochs where they are to be chosen."""
    with open(path, "rb") as stream:
        config = tomllib.load(stream)
    common = {kind: config.pop(kind, {}) for kind in embeddings.KINDS}
    config["models"] = {name: _model_options(common, own, f"{path}: models.{name}")
                        for name, own in config["models"].items()}
    return config


def _model_options(common, own, where):
    kind = own.get("kind", "lightgcn")
    if kind not in common:
        raise ValueError(f'{where}: kind is "{kind}"; there are {", ".join(common)}')
    options = {**common[kind], **{name: value for name, value in own.items() if name not in ("kind", "epochs")}}
    return configuration.options(embeddings.KINDS[kind].Options, options, where), own.get("epochs", 0)
