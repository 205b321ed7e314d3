"""Embeddings of a log, whichever way they are trained: how long, on what, and what of it is exported.

A kind is a module with `Options`, which has `epochs_max`, `patience` and `dim`, and `log_trainer(
interactions, cut_s, options)`: an object with `options`, `epoch(label)` for one pass, `embeddings()`, the
(user, item) vectors as f32 arrays whose inner product is the score, `encoder_tensors()`, arrays by name that
the kind's encoder needs beside the vectors (trainer/encoders.py), and `state()`, `restore(tensors, numbers)`
and `identity()` for checkpoints.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from trainer import als, checkpoint, evaluation, lightgcn, metrics

KINDS = {"als": als, "lightgcn": lightgcn}  # by the table of the configuration


@dataclass
class Trained:
    user: np.ndarray  # [users, d] f32
    item: np.ndarray  # [items, d] f32
    encoder_tensors: dict = field(default_factory=dict)


def choose_epochs_by(trainer, quality, checkpoint_path=None, label="lightgcn"):
    """(epochs, quality) of the best epoch; `quality()` is (Recall@20, NDCG@20) on validation.

    Ends `options.patience` epochs after the best. With a path, the state after every epoch is kept
    there, and a run that was killed goes on from it.
    """
    options = trainer.options
    progress = {"epoch": 0, "best_epochs": 0, "best": (-1.0, -1.0)}
    progress = _resume(trainer, progress, checkpoint_path)
    while (progress["epoch"] < options.epochs_max
           and progress["epoch"] - progress["best_epochs"] < options.patience):
        epoch = progress["epoch"] = progress["epoch"] + 1
        trainer.epoch(f"{label}, choosing epochs: {epoch}")
        recall, ndcg = quality()
        print(f"{label}: epoch {epoch:2d}  validation Recall@20 {recall:.4f}  NDCG@20 {ndcg:.4f}",
              flush=True)
        if recall > progress["best"][0]:
            progress.update(best_epochs=epoch, best=(recall, ndcg))
        _keep(trainer, progress, checkpoint_path)
    return progress["best_epochs"], tuple(progress["best"])


def train_epochs(trainer, epochs, checkpoint_path=None, label="lightgcn"):
    """Has the trainer do so many epochs; checkpoints as above."""
    progress = _resume(trainer, {"epoch": 0}, checkpoint_path)
    while progress["epoch"] < epochs:
        progress["epoch"] += 1
        trainer.epoch(f"{label}: epoch {progress['epoch']} of {epochs}")
        _keep(trainer, progress, checkpoint_path)


def choose_epochs(kind, interactions, split, options, checkpoint_path=None):
    """The number of epochs with the best Recall@20 on the validation weeks of a log."""
    truth = evaluation.new_items(interactions, split.validation_s, split.cut_s)
    trainer = KINDS[kind].log_trainer(interactions, split.validation_s, options)
    if not truth.relevant:
        print("warning: in the validation period no user with a past took anything new, so nothing tells how "
              "many epochs are best; lengthen data.validation_days")

    def quality():
        user, item = trainer.embeddings()
        lists = evaluation.top_unseen(lambda u: item @ user[u], truth, 20)
        return metrics.mean_recall_ndcg(lists, truth.relevant, 20)

    return choose_epochs_by(trainer, quality, checkpoint_path, kind)[0]


def train(kind, interactions, cut_s, epochs, options, checkpoint_path=None):
    """Trained of everything in a log before `cut_s`."""
    trainer = KINDS[kind].log_trainer(interactions, cut_s, options)
    train_epochs(trainer, epochs, checkpoint_path, kind)
    return Trained(*trainer.embeddings(), trainer.encoder_tensors())


def write(path, trained, epochs):
    """Keeps them among the checkpoints, with how many epochs it took."""
    arrays = {"user": trained.user, "item": trained.item, **trained.encoder_tensors}
    checkpoint.write(path, {}, {name: torch.from_numpy(array) for name, array in arrays.items()},
                     {"epochs": epochs})


def read(path):
    """(Trained, epochs), or None where there is no file."""
    found = checkpoint.read(path, {})
    if found is None:
        return None
    arrays = {name: tensor.numpy() for name, tensor in found[0].items()}
    return Trained(arrays.pop("user"), arrays.pop("item"), arrays), found[1]["epochs"]


def _resume(trainer, progress, path):
    found = checkpoint.read(path, trainer.identity()) if path else None
    if found is None:
        return progress
    tensors, numbers = found
    trainer.restore(tensors, numbers)
    return numbers["progress"]


def _keep(trainer, progress, path):
    if path:
        tensors, numbers = trainer.state()
        checkpoint.write(path, trainer.identity(), tensors, {**numbers, "progress": progress})
