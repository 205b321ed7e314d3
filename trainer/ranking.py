"""Trains a ranker, of whatever kind, on replayed rows, and scores rows with it.

A step reads whole groups: a positive and its negatives, which share their user. The number of epochs is
chosen on rows of a later period than those trained on (`choose_epochs`); then the same run is made again
on all rows (`train`). Everything random is drawn from the seed and the number of the epoch, so that a
run that was stopped goes on from its checkpoint to the same bits.
"""

import dataclasses
import time

import numpy as np
import torch
from tqdm import tqdm

from trainer import checkpoint, macgnn, metrics

_SCORED_AT_ONCE = 2048  # rows
_FROM_START, _ORDER = 0, 1  # what a generator draws


@dataclasses.dataclass
class Options:
    learning_rate: float = 0.005  # falls to 0 over `epochs`
    weight_decay: float = 1e-5
    batch: int = 1024  # rows of a step, rounded down to whole groups
    epochs: int = 1  # at most
    patience: int = 0  # epochs without a better validation before it stops; 0: all epochs, no validation
    epoch_share: float = 1.0  # of the groups that an epoch reads, drawn anew for each
    loss: str = "bce"  # or "softmax", over a positive and its negatives
    # "softmax": less the logarithm of how often an item is drawn as a negative (log_q_of).
    log_q: bool = False
    basket_start_share: float = 0.85  # of the groups; see replay.Rows.batch
    # "live", as they were just before each event; or "frozen", all as at the cut, which is what training
    # on one export of features means: only to compare with.
    features: str = "live"
    seed: int = 1
    device: str = "cpu"  # or "cuda"

    def __post_init__(self):
        if self.loss not in ("bce", "softmax"):
            raise ValueError(f'loss is "{self.loss}"; it must be "bce" or "softmax"')
        if self.log_q and self.loss != "softmax":
            raise ValueError(f'log_q is true and loss is "{self.loss}"; it corrects "softmax"')
        if self.features not in ("live", "frozen"):
            raise ValueError(f'features is "{self.features}"; it must be "live" or "frozen"')
        if self.features == "frozen" and self.patience > 0:
            raise ValueError("features is \"frozen\", which has no validation rows; set patience to 0")
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}; it must be 1 or more")
        if not 0 < self.epoch_share <= 1:
            raise ValueError(f"epoch_share is {self.epoch_share}; it must be above 0 and at most 1")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(f'device is "{self.device}", but PyTorch finds no such device; use "cpu"')


def groups_of(rows):
    """For each row the number of its group; a positive begins one."""
    return np.cumsum(rows.label) - 1


def log_q_of(rows, table_rows):
    """log Q of each of the `table_rows` rows of the table of items: Q(i) = (n_i + 1) / (n + table_rows), where
    n_i of the n negatives are i. The 1 is for items that are no negative.

    Over negatives that are drawn by Q, the softmax of logits less log Q is an estimate of the softmax over
    all items (Bengio and Senecal, 2008; Yi et al., RecSys 2019): items that are drawn often are not held
    down for it.
    """
    counts = np.bincount(rows.items()[rows.label == 0], minlength=table_rows)
    return np.log((counts + 1) / (counts.sum() + table_rows)).astype(np.float32)


def choose_epochs(name, build, rows, later_rows, options, checkpoint_path=None):
    """The number of epochs after which a model of `rows` orders `later_rows` best.

    `build()` gives the untrained model, `checkpoint_path` is a file to go on from. The measure is
    the AUC of each positive among its own negatives, a mean over `later_rows`.
    """
    run = _Run(f"{name}, choosing epochs", build(), rows, options, checkpoint_path)
    from_start = _from_start(later_rows, options)
    while not run.finished(options):
        run.epoch()
        logits = score(run.model, later_rows, from_start)
        run.validation.append(metrics.gauc(groups_of(later_rows), later_rows.label, logits))
        run.save()
        print(f"{name}: epoch {run.epochs} of {options.epochs}  validation AUC in its list "
              f"{run.validation[-1]:.4f}")
    return int(np.argmax(run.validation)) + 1


def train(name, build, rows, epochs, options, checkpoint_path=None):
    """The model after `epochs` epochs on `rows`, in evaluation mode, on the CPU.

    MacGNN's Dice statistics are frozen over the rows."""
    run = _Run(name, build(), rows, options, checkpoint_path)
    while run.epochs < epochs:
        run.epoch()
        run.save()
    if isinstance(run.model, macgnn.MacGnn):
        freeze_dice(run.model, rows, _from_start(rows, options))
    return run.model.cpu().eval()


class _Run:
    """A training under way. Its state is the model, the optimiser, and how many steps were made."""

    save_every_s = 60.0

    def __init__(self, name, model, rows, options, checkpoint_path):
        self.name, self.rows, self.options = name, rows, options
        self.model = model.to(options.device)
        self.optimiser = torch.optim.Adam(
            self.model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
        self.epochs = self.step = 0
        self.loss_sum, self.validation = 0.0, []
        self.checkpoint = checkpoint_path
        self.identity = {"options": dataclasses.asdict(options), "rows": len(rows)}
        self.first_row = np.r_[np.flatnonzero(rows.label), len(rows)]  # of each group, and the end
        if len(self.first_row) < 2 or self.first_row[0] != 0:
            raise ValueError(f"{name}: the {len(rows)} rows do not begin with a positive; is the period "
                             "to train on empty?")
        self.from_start = _from_start(rows, options)
        self.log_q = None
        if options.log_q:
            self.log_q = torch.from_numpy(log_q_of(rows, self.model.item_rows)).to(options.device)
        self._resume()

    def finished(self, options):
        best = int(np.argmax(self.validation)) + 1 if self.validation else 0
        return self.epochs >= options.epochs or self.epochs - best >= options.patience

    def epoch(self):
        """One pass, or what is left of it."""
        groups = len(self.first_row) - 1
        order = np.random.default_rng([self.options.seed, _ORDER, self.epochs]).permutation(groups)
        order = order[: max(1, round(groups * self.options.epoch_share))]
        per_step = max(1, self.options.batch * groups // len(self.rows))
        steps = max(1, len(order) // per_step)
        saved = time.monotonic()
        label = f"{self.name}: epoch {self.epochs + 1} of {self.options.epochs}"
        for step in tqdm(range(self.step, steps), desc=label, initial=self.step, total=steps,
                         disable=None):
            done = (self.epochs + step / steps) / self.options.epochs
            # Falls to 0 over the training: the last steps settle.
            self.optimiser.param_groups[0]["lr"] = self.options.learning_rate * (1 - done)
            self._step(np.sort(order[step * per_step : (step + 1) * per_step]))
            self.step = step + 1
            if self.checkpoint and time.monotonic() - saved >= self.save_every_s:
                self.save()
                saved = time.monotonic()
        print(f"{label}  loss {self.loss_sum / steps:.4f}")
        self.epochs, self.step, self.loss_sum = self.epochs + 1, 0, 0.0

    def _step(self, groups):
        self.model.train()
        chosen = np.concatenate([np.arange(self.first_row[group], self.first_row[group + 1])
                                 for group in groups])
        batch = tensors(self.rows.batch(chosen, self.from_start[chosen]), self.options.device)
        label = torch.from_numpy(self.rows.label[chosen]).to(self.options.device).float()
        if self.model.needs_history or self.model.needs_user:
            scored = (batch["urec"] > 0).any(1) if self.model.needs_history else batch["user"] > 0
            if not scored.any():
                return
            batch = {name: values[scored] for name, values in batch.items()}
            label = label[scored]
        if hasattr(self.model, "logits_and_penalty"):
            logits, penalty = self.model.logits_and_penalty(batch)
        else:
            logits, penalty = self.model(batch), 0.0
        if self.log_q is not None:
            logits = logits - self.log_q[batch["item"]]
        loss = _LOSSES[self.options.loss](logits, label)
        self.optimiser.zero_grad()
        (loss + penalty).backward()
        self.optimiser.step()
        self.loss_sum += loss.item()

    def save(self):
        if not self.checkpoint:
            return
        tensors = {f"model.{name}": tensor.cpu() for name, tensor in self.model.state_dict().items()}
        moments = checkpoint.optimiser_tensors(self.optimiser)
        tensors |= {name: tensor.cpu() for name, tensor in moments.items()}
        checkpoint.write(self.checkpoint, self.identity, tensors, {
            "epochs": self.epochs, "step": self.step, "loss_sum": self.loss_sum,
            "validation": self.validation})

    def _resume(self):
        kept = checkpoint.read(self.checkpoint, self.identity) if self.checkpoint else None
        if not kept:
            return
        tensors, numbers = kept
        self.model.load_state_dict({name[len("model."):]: tensor for name, tensor in tensors.items()
                                    if name.startswith("model.")})
        checkpoint.restore_optimiser(self.optimiser, tensors)
        self.epochs, self.step = numbers["epochs"], numbers["step"]
        self.loss_sum, self.validation = numbers["loss_sum"], numbers["validation"]
        print(f"{self.name}: goes on after epoch {self.epochs}, step {self.step}, of {self.checkpoint}")


def _binary_cross_entropy(logits, label):
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, label)


def _softmax_loss(logits, label):
    """-log softmax of the positive in its group, a mean over the groups; a positive begins one."""
    group = label.long().cumsum(0) - 1
    begins = label.nonzero()[:, 0]
    position = torch.arange(len(label), device=label.device) - begins[group]
    lists = logits.new_full((len(begins), int(position.max()) + 1), float("-inf"))
    lists = lists.index_put((group, position), logits)
    return -lists.log_softmax(1)[:, 0].mean()


_LOSSES = {"bce": _binary_cross_entropy, "softmax": _softmax_loss}


def _from_start(rows, options):
    """Which rows show the user as before its basket; whole groups do or do not."""
    groups = groups_of(rows)
    random = np.random.default_rng([options.seed, _FROM_START])
    return (random.random(groups[-1] + 1 if len(groups) else 0) < options.basket_start_share)[groups]


def tensors(batch, device="cpu"):
    return {name: torch.from_numpy(values).to(device).long() for name, values in batch.items()}


def freeze_dice(model, rows, from_start=None):
    """Gives a MacGnn the Dice statistics of the rows."""
    steps = -(-len(rows) // _SCORED_AT_ONCE)
    device = next(model.parameters()).device
    macgnn.freeze_dice(model, lambda: tqdm(_all_batches(rows, from_start, device), total=steps,
                                           desc="freezing Dice", disable=None))


def _all_batches(rows, from_start, device):
    """The rows in order, as tensors."""
    for begin in range(0, len(rows), _SCORED_AT_ONCE):
        chosen = np.arange(begin, min(begin + _SCORED_AT_ONCE, len(rows)))
        yield tensors(rows.batch(chosen, None if from_start is None else from_start[chosen]), device)


@torch.no_grad()
def score(model, rows, from_start=None):
    """One logit per row, with the features just before the event, or just before its basket.

    A row that the model cannot score gets the logit of its prior: the share of positives."""
    model.eval()
    device = next(model.parameters()).device
    found = np.concatenate([model(batch).cpu().numpy()
                            for batch in _all_batches(rows, from_start, device)])
    share = rows.label.mean()
    return np.where(np.isnan(found), np.log(share / (1 - share)), found)


@torch.no_grad()
def logits(model, batch):
    """One logit per row of `batch`, arrays as Rows.batch gives them."""
    model.eval()
    return model(tensors(batch)).numpy()
