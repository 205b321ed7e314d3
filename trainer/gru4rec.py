"""GRU4Rec (Hidasi et al., ICLR 2016, arXiv 1511.06939): the ranker, as the server computes it.

A GRU over the user's newest items, and a head with the candidate ("deeprec") or one product with the
candidate's row ("original"). What is read is in trainer/sequence.py, the equations are in docs/models.md.
"""

from dataclasses import dataclass

import torch

from trainer import sequence

RESETS = ("before", "after")


@dataclass
class Options:
    variant: str = "deeprec"
    reset: str = "before"  # of the GRU
    max_history: int = 50
    item_width: int = 32
    category_width: int = 8  # "deeprec"
    state_width: int = 40
    head_hidden: tuple = (100, 64)  # "deeprec"
    batch_norm: bool = True  # in the head, folded into its layers on export

    def __post_init__(self):
        sequence.check(self, variant=sequence.VARIANTS, reset=RESETS)


class Gru4rec(sequence.SequenceRanker):
    def __init__(self, counts, options):
        is_deeprec = options.variant == "deeprec"
        super().__init__(counts, options, has_categories=is_deeprec)
        self.gru = sequence.Gru(self.dim, options.state_width, options.reset)
        if is_deeprec:
            self.head = sequence.Mlp((options.state_width + self.dim, *options.head_hidden, 1), "relu",
                                     options.batch_norm)
        else:
            self.output = sequence.OutputItems(counts.items, options.state_width)

    def stages(self, inputs):
        """user.state [b, h], logit [n]."""
        state = self.last_of(self.gru(self.embed(inputs.history)), inputs.length)
        of_row = state[inputs.owner]
        if self.options.variant == "deeprec":
            logit = self.head(torch.cat([of_row, self.embed(inputs.candidate)], 1))[:, 0]
        else:
            logit = self.output(inputs.candidate, of_row)
        return {"user.state": state, "logit": logit}


def from_catalogue(options, catalogue):
    """A Gru4rec to train."""
    return sequence.start(Gru4rec(sequence.counts(catalogue), options), catalogue)


def manifest_options(options):
    return {"variant": options.variant, "max_history": str(options.max_history), "reset": options.reset}


tensors = sequence.tensors


def from_tensors(tensors_by_name, options):
    """The Gru4rec, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    head = ({"head_hidden": sequence.widths_of(tensors_by_name, "head")}
            if "head.0.weight" in tensors_by_name else {})
    made = Options(
        variant=options.get("variant", "deeprec"), reset=options.get("reset", "before"),
        max_history=int(options["max_history"]), **sequence.table_widths(tensors_by_name),
        state_width=len(tensors_by_name["gru.candidate.weight"]), **head, batch_norm=False)
    return sequence.load(Gru4rec(sequence.counts_of(tensors_by_name), made), tensors_by_name)
