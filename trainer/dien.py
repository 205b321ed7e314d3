"""DIEN (Zhou et al., AAAI 2019, arXiv 1809.03672): the ranker, as the server computes it.

A GRU over the user's newest items, an attention of the candidate to its states, and an AUGRU that follows
those. What is read is in trainer/sequence.py, the equations are in docs/models.md.
"""

from dataclasses import dataclass

import torch

from trainer import sequence

ACTIVATIONS = ("dice", "relu")
FIRST_LAYERS = ("gru", "none")
RESETS = ("before", "after")
AUGRUS = ("code", "paper")

_AUXILIARY_HIDDEN = (100, 50)


@dataclass
class Options:
    variant: str = "deeprec"
    activation: str = "dice"  # "deeprec": of attention and head
    first_layer: str = "gru"  # "deeprec"; "none": attention and AUGRU over the embeddings themselves
    reset: str = "before"  # "deeprec": of the first GRU
    augru: str = "code"
    max_history: int = 50
    item_width: int = 32
    category_width: int = 8
    user_width: int = 18  # "original"
    state_width: int = 40  # of the GRU
    augru_width: int = 40
    hidden: tuple = (80, 40)  # of the attention
    head_hidden: tuple = (100, 64)
    batch_norm: bool = True  # in the head, folded into its layers on export
    auxiliary: float = 1.0  # "original": weight of the auxiliary loss, see Dien.auxiliary_loss

    def __post_init__(self):
        sequence.check(self, variant=sequence.VARIANTS, activation=ACTIVATIONS, first_layer=FIRST_LAYERS,
                       reset=RESETS, augru=AUGRUS)
        published = Options.__dataclass_fields__
        changed = [name for name in ("activation", "first_layer", "reset")
                   if getattr(self, name) != published[name].default]
        if self.variant == "original" and changed:
            raise ValueError(f'{changed[0]} is "{getattr(self, changed[0])}"; the variant "original" has '
                             f'"{published[changed[0]].default}" alone')
        if self.first_layer == "none" and self.reset != "before":
            raise ValueError(f'reset is "{self.reset}" and first_layer "none", which has no GRU; leave it out')


class Augru(sequence.Gru):
    """A GRU whose update gate u the attention a changes: "code", (1 - a) u, or "paper", 1 - a (1 - u)."""

    def __init__(self, inputs, width, form):
        super().__init__(inputs, width)
        self.form = form

    def forward(self, x, attention, valid, owner):
        """x [b, T, d], valid [b, T], attention [n, T] -> the last state [n, h]."""
        inputs, valid = sequence.of_rows(self.of_inputs(x), owner), valid[owner]
        state = x.new_zeros(len(owner), self.candidate.out_features)
        steps = (values.unbind(1) for values in (inputs, attention[..., None], valid[..., None]))
        for of_step, a, is_item in zip(*steps):
            update, candidate = self.gates_and_candidate(of_step, state)
            update = (1 - a) * update if self.form == "code" else 1 - a * (1 - update)
            state = torch.where(is_item, update * state + (1 - update) * candidate, state)
        return state


class Dien(sequence.SequenceRanker):
    def __init__(self, counts, options):
        super().__init__(counts, options)
        d, is_deeprec = self.dim, options.variant == "deeprec"
        h = options.state_width if options.first_layer == "gru" else d
        if options.first_layer == "gru":
            self.gru = sequence.Gru(d, h, options.reset)
        self.target = sequence.TargetAttention(
            h, d, options.hidden, options.activation if is_deeprec else "sigmoid",
            "keys" if is_deeprec else "query")
        self.augru = Augru(h, options.augru_width, options.augru)
        width = 3 * d + options.augru_width
        if not is_deeprec:
            self.user_embed = torch.nn.Embedding(counts.users, options.user_width)
            torch.nn.init.normal_(self.user_embed.weight, std=0.1)
            self.auxiliary = sequence.Mlp((h + d, *_AUXILIARY_HIDDEN, 1), "sigmoid")
            width += options.user_width
        self.head = sequence.Mlp((width, *options.head_hidden, 1), options.activation, options.batch_norm)

    def stages(self, inputs):
        """user.sum [b, d], user.interests [b, T, h], attention [n, T], state [n, g], logit [n]."""
        x, target = self.embed(inputs.history), self.embed(inputs.candidate)
        owner, valid = inputs.owner, inputs.valid
        interests = self.gru(x) if self.options.first_layer == "gru" else x
        attention = self.target(interests, target, valid, owner)
        state = self.augru(interests, attention, valid, owner)
        total = (x * valid[..., None]).sum(1)
        of_row = sequence.of_rows(total, owner)
        if self.options.variant == "deeprec":
            parts = [target, state, of_row, target * of_row]
        else:
            parts = [self.user_embed(inputs.user)[owner], target, of_row, target * of_row, state]
        return {"user.sum": total, "user.interests": interests * valid[..., None], "attention": attention,
                "state": state, "logit": self.head(torch.cat(parts, 1))[:, 0]}

    def logits_and_penalty(self, batch):
        """(logits [n], the weighted auxiliary loss)."""
        inputs = self.inputs(batch)
        stages = self.stages(inputs)
        logits = stages["logit"].masked_fill((batch["urec"] == 0).all(1), float("nan"))
        if self.options.variant == "deeprec" or self.options.auxiliary == 0:
            return logits, 0.0
        return logits, self.options.auxiliary * self.auxiliary_loss(inputs, stages["user.interests"])

    def auxiliary_loss(self, inputs, interests):
        """Binary cross-entropy of telling, from each state, the next item of the history from another:
        the one that the next history of the batch has at that place, where that is an item."""
        history, following = inputs.history[:, 1:], inputs.valid[:, 1:]
        other = history.roll(1, 0)
        is_other = following & following.roll(1, 0) & (other != history)
        states = interests[:, :-1]
        if not is_other.any():
            return states.sum() * 0.0
        score = lambda items: self.auxiliary(torch.cat([states, self.embed(items)], -1))[..., 0][is_other]
        softplus = torch.nn.functional.softplus
        return (softplus(-score(history)) + softplus(score(other))).mean()


def from_catalogue(options, catalogue):
    """A Dien to train."""
    return sequence.start(Dien(sequence.counts(catalogue), options), catalogue)


def manifest_options(options):
    found = {"variant": options.variant, "max_history": str(options.max_history), "augru": options.augru}
    if options.variant == "deeprec":
        found |= {"activation": options.activation, "first_layer": options.first_layer}
        if options.first_layer == "gru":
            found["reset"] = options.reset
    return found


tensors = sequence.tensors


def from_tensors(tensors_by_name, options):
    """The Dien, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    shape = {name: values.shape for name, values in tensors_by_name.items()}
    of_variant = ({"user_width": shape["user_embed.weight"][1]} if "user_embed.weight" in shape else {})
    if "gru.candidate.weight" in shape:
        of_variant["state_width"] = shape["gru.candidate.weight"][0]
    chosen = {name: options[name] for name in ("variant", "activation", "first_layer", "reset", "augru")
              if name in options}
    made = Options(
        **chosen, **of_variant, max_history=int(options["max_history"]),
        **sequence.table_widths(tensors_by_name), augru_width=shape["augru.candidate.weight"][0],
        hidden=sequence.widths_of(tensors_by_name, "target.mlp"),
        head_hidden=sequence.widths_of(tensors_by_name, "head"), batch_norm=False)
    return sequence.load(Dien(sequence.counts_of(tensors_by_name), made), tensors_by_name)
