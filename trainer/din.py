"""DIN (Zhou et al., KDD 2018, arXiv 1706.06978): the ranker, as the server computes it.

An attention of the candidate to the user's newest items, whose order does not matter. What is read is in
trainer/sequence.py, the equations are in docs/models.md.
"""

from dataclasses import dataclass

import torch

from trainer import sequence

ACTIVATIONS = ("sigmoid", "dice")


@dataclass
class Options:
    variant: str = "deeprec"
    activation: str = "sigmoid"  # "original": of the head
    max_history: int = 50
    item_width: int = 32
    category_width: int = 8
    hidden: tuple = (80, 40)  # of the attention
    head_hidden: tuple = (100, 64)
    batch_norm: bool = True  # in the head, folded into its layers on export

    def __post_init__(self):
        sequence.check(self, variant=sequence.VARIANTS, activation=ACTIVATIONS)


class Din(sequence.SequenceRanker):
    def __init__(self, counts, options):
        super().__init__(counts, options)
        d, is_deeprec = self.dim, options.variant == "deeprec"
        self.target = sequence.TargetAttention(d, d, options.hidden, "relu" if is_deeprec else "sigmoid",
                                               "keys" if is_deeprec else "none")
        if not is_deeprec:
            self.user = torch.nn.Linear(d, d)
            self.item_bias = torch.nn.Parameter(torch.zeros(counts.items))
        self.head = sequence.Mlp((3 * d, *options.head_hidden, 1), "relu" if is_deeprec else options.activation,
                                 options.batch_norm)

    def stages(self, inputs):
        """attention [n, T], pooled [n, d], logit [n]; of "deeprec" user.sum [b, d], of "original" user [n, d]."""
        x, target = self.embed(inputs.history), self.embed(inputs.candidate)
        owner, valid = inputs.owner, inputs.valid
        attention = self.target(x, target, valid, owner)
        pooled = (attention[:, None] @ sequence.of_rows(x, owner))[:, 0]
        found = {"attention": attention, "pooled": pooled}
        if self.options.variant == "deeprec":
            found["user.sum"] = (x * valid[..., None]).sum(1)
            head = self.head(torch.cat([target, found["user.sum"][owner], pooled], 1))[:, 0]
            return {**found, "logit": head}
        user = found["user"] = self.user(pooled)
        head = self.head(torch.cat([user, target, user * target], 1))[:, 0]
        return {**found, "logit": head + self.item_bias[inputs.candidate]}


def from_catalogue(options, catalogue):
    """A Din to train."""
    return sequence.start(Din(sequence.counts(catalogue), options), catalogue)


def manifest_options(options):
    found = {"variant": options.variant, "max_history": str(options.max_history)}
    return found | ({"activation": options.activation} if options.variant == "original" else {})


tensors = sequence.tensors


def from_tensors(tensors_by_name, options):
    """The Din, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    made = Options(
        variant=options.get("variant", "deeprec"), activation=options.get("activation", "sigmoid"),
        max_history=int(options["max_history"]), **sequence.table_widths(tensors_by_name),
        hidden=sequence.widths_of(tensors_by_name, "target.mlp"),
        head_hidden=sequence.widths_of(tensors_by_name, "head"), batch_norm=False)
    return sequence.load(Din(sequence.counts_of(tensors_by_name), made), tensors_by_name)
