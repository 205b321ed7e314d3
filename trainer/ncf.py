"""NCF (NeuMF, He et al., WWW 2017, arXiv 1708.05031): the ranker, as the server computes it.

Reads the user and the item alone, no history. A row of an unknown user has the logit NaN, one of an unknown
item minus infinity. Tensor names are those of docs/snapshot.md, equations in docs/models.md.
"""

from dataclasses import dataclass

import torch

from trainer import sequence

_TABLES = ("user_gmf", "item_gmf", "user_mlp", "item_mlp")


@dataclass
class Options:
    gmf_width: int = 40  # of the tables whose products are summed
    mlp_width: int = 40  # of those that the layers read
    layers: tuple = (80, 40)  # 1 to 8 widths
    output_bias: bool = False  # with one in He et al.

    def __post_init__(self):
        if not 1 <= len(self.layers) <= 8:
            raise ValueError(f"layers is {list(self.layers)}; it must have 1 to 8 widths")


class Ncf(torch.nn.Module):
    needs_history = False
    needs_user = True

    def __init__(self, counts, options):
        super().__init__()
        self.options = options
        for name in _TABLES:
            rows = counts.users if name.startswith("user") else counts.items
            table = torch.nn.Embedding(rows, getattr(options, f"{name[-3:]}_width"))
            torch.nn.init.normal_(table.weight, std=0.1)
            setattr(self, name, table)
        widths = (2 * options.mlp_width, *options.layers)
        self.mlp = torch.nn.ModuleDict({str(2 * at): torch.nn.Linear(*pair)
                                        for at, pair in enumerate(zip(widths, widths[1:]))})
        self.output = torch.nn.Linear(options.gmf_width + widths[-1], 1, bias=options.output_bias)

    @property
    def item_rows(self):
        return self.item_gmf.num_embeddings

    def stages(self, user, item):
        """gmf, mlp [n, .] and logit [n]."""
        gmf = self.user_gmf(user) * self.item_gmf(item)
        z = torch.cat([self.user_mlp(user), self.item_mlp(item)], 1)
        for layer in self.mlp.values():
            z = layer(z).relu()
        logit = self.output(torch.cat([gmf, z], 1))[:, 0].masked_fill(item == 0, float("-inf"))
        return {"gmf": gmf, "mlp": z, "logit": logit}

    def forward(self, batch):
        """One logit per row."""
        logit = self.stages(batch["user"], batch["item"])["logit"]
        return logit.masked_fill(batch["user"] == 0, float("nan"))


def from_catalogue(options, catalogue):
    """An Ncf to train; its tables begin at the embeddings' directions."""
    model = Ncf(sequence.counts(catalogue), options)
    with torch.no_grad():
        for name in _TABLES:
            table = getattr(model, name).weight
            start = catalogue.start_tables(table.shape[1])[f"{name[:4]}_embed"]
            table.copy_(torch.as_tensor(start))
    return model


def manifest_options(options):
    return {}


tensors = sequence.tensors


def from_tensors(tensors_by_name, options):
    """The Ncf, in evaluation mode, of a snapshot's tensors."""
    layers = sum(name.startswith("mlp.") and name.endswith(".weight") for name in tensors_by_name)
    made = Options(
        gmf_width=tensors_by_name["user_gmf.weight"].shape[1],
        mlp_width=tensors_by_name["user_mlp.weight"].shape[1],
        layers=tuple(len(tensors_by_name[f"mlp.{2 * at}.weight"]) for at in range(layers)),
        output_bias="output.bias" in tensors_by_name)
    return sequence.load(Ncf(sequence.counts_of(tensors_by_name), made), tensors_by_name)
