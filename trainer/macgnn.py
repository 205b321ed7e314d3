"""MacGNN (Chen et al., WWW 2024): the ranker, as the server computes it.

A user and an item are each described by their macro edges (how often they met each behaviour
cluster, one and two hops away) and by their newest neighbours. The tensor names are those of the
authors' module, so that checkpoints can be exchanged.

Inputs of `MacGnn.forward`, n rows: `user`, `item` [n] table rows (0: unknown); `u1`, `i2` [n, Q] and
`u2`, `i1` [n, P] counts; `urec`, `irec` [n, >= recent_len] table rows of the newest items and users,
newest first (0: none).
"""

from dataclasses import dataclass

import torch

ATTENTIONS = ("none", "neighbours")
PARTS = ("macro", "two_hop", "recent")  # that an ablation can leave out

_EPSILON = 1e-8  # inside the gate of Dice, as in the authors' module
_TABLES = ("user_embed", "item_embed", "u_macro_embed", "i_macro_embed")


@dataclass
class Options:
    attention: str = "none"
    dim: int = 10
    tau: float = 1.0  # temperature of the counts' softmax
    recent_len: int = 20  # newest items and users that are read
    without: tuple = ()  # ablations, of PARTS; such a model is not served

    def __post_init__(self):
        if self.attention not in ATTENTIONS:
            raise ValueError(f'attention is "{self.attention}"; it must be "none" or "neighbours"')
        unknown = set(self.without) - set(PARTS)
        if unknown:
            raise ValueError(f"without has {sorted(unknown)}; it may have {', '.join(PARTS)}")


class SharedAggregator(torch.nn.Module):
    """Values of neighbours, scaled by attention to a key where the model has attention."""

    def __init__(self, dim, hidden, attention):
        super().__init__()
        self.attention, self.scale = attention, hidden**-0.5
        self.Q_w = torch.nn.Linear(dim, hidden, bias=False)
        self.K_w = torch.nn.Linear(dim, hidden, bias=False)
        self.V_w = torch.nn.Linear(dim, hidden, bias=False)

    def forward(self, neighbours, key):
        """neighbours [N, d] or [n, N, d], key [n, d] -> [n or 1, N, h]."""
        values = self.V_w(neighbours)
        if self.attention == "none":
            return values if values.dim() == 3 else values[None]
        scores = (self.Q_w(neighbours) * self.K_w(key)[:, None]).sum(-1) * self.scale
        return values * scores.softmax(-1)[..., None]


class Dice(torch.nn.Module):
    """A gate between z and alpha z at the layer's mean: by batch in training, frozen when serving."""

    def __init__(self, width):
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def forward(self, z):
        mean, std = (z.mean(0), z.std(0)) if self.training else (self.mean, self.std)
        gate = torch.sigmoid((z - mean) / std + _EPSILON)
        return z * gate + self.alpha * z * (1 - gate)


_LEFT_OUT = {"macro": ("u1", "u2", "i1", "i2"), "two_hop": ("u2", "i2"), "recent": ("ur", "ir")}


class MacGnn(torch.nn.Module):
    needs_history = needs_user = False  # to score a row

    def __init__(self, users, items, user_clusters, item_clusters, options):
        """users and items count table rows, row 0 included."""
        super().__init__()
        self.options = options
        dim, attention = options.dim, options.attention
        self.user_embed = torch.nn.Embedding(users, dim)
        self.item_embed = torch.nn.Embedding(items, dim)
        self.u_macro_embed = torch.nn.Embedding(user_clusters, dim)
        self.i_macro_embed = torch.nn.Embedding(item_clusters, dim)
        for table in (self.user_embed, self.item_embed, self.u_macro_embed, self.i_macro_embed):
            torch.nn.init.xavier_uniform_(table.weight)
        self.u_shared_aggregator = SharedAggregator(dim, 2 * dim, attention)
        self.i_shared_aggregator = SharedAggregator(dim, 2 * dim, attention)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(14 * dim, 200), Dice(200), torch.nn.Linear(200, 80), Dice(80),
            torch.nn.Linear(80, 1))

    @property
    def item_rows(self):
        return self.item_embed.num_embeddings

    def _macro(self, counts, aggregated):
        """Clusters summed with weights softmax(log(count + 1) / tau), empty ones included."""
        weights = (torch.log1p(counts.to(aggregated.dtype)) / self.options.tau).softmax(-1)
        if aggregated.shape[0] == 1:
            return weights @ aggregated[0]
        return (weights[..., None] * aggregated).sum(1)

    def _recent(self, rows, aggregated):
        return ((rows > 0).to(aggregated.dtype)[..., None] * aggregated).sum(1)

    def concat(self, batch):
        """x [n, 14 d]: the user's half, then the item's."""
        user, item = self.user_embed(batch["user"]), self.item_embed(batch["item"])
        of_items, of_users = self.i_shared_aggregator, self.u_shared_aggregator
        urec, irec = (batch[name][:, : self.options.recent_len] for name in ("urec", "irec"))
        item_macro = of_items(self.i_macro_embed.weight, item)
        user_macro = of_users(self.u_macro_embed.weight, user)
        parts = {
            "user": user,
            "u1": self._macro(batch["u1"], item_macro),
            "u2": self._macro(batch["u2"], user_macro),
            "ur": self._recent(urec, of_items(self.item_embed(urec), item)),
            "item": item,
            "i1": self._macro(batch["i1"], user_macro),
            "i2": self._macro(batch["i2"], item_macro),
            "ir": self._recent(irec, of_users(self.user_embed(irec), user)),
        }
        for part in self.options.without:
            for name in _LEFT_OUT[part]:
                parts[name] = torch.zeros_like(parts[name])
        return torch.cat(list(parts.values()), dim=1)

    def forward(self, batch):
        """One logit per row."""
        return self.mlp(self.concat(batch))[:, 0]


@torch.no_grad()
def freeze_dice(model, batches):
    """Sets the statistics of both Dice layers to those over all rows of `batches` (std unbiased).

    `batches` is a function that returns an iterator; it is read once per layer, because the second
    layer's inputs depend on the first layer's statistics.
    """
    model.eval()
    for position in (1, 3):
        dice, below = model.mlp[position], model.mlp[:position]
        count, total, squares = 0, 0.0, 0.0
        for batch in batches():
            z = below(model.concat(batch)).double()
            count += len(z)
            total = total + z.sum(0)
            squares = squares + (z * z).sum(0)
        mean = total / count
        dice.mean.copy_(mean)
        dice.std.copy_(((squares - count * mean * mean) / (count - 1)).clamp_min(1e-12).sqrt())


def from_catalogue(options, catalogue):
    """A MacGnn to train."""
    return build(options, catalogue.start_tables(options.dim))


def build(options, tables):
    """Likewise; `tables` holds the start values of its four tables by name."""
    model = MacGnn(*(len(tables[name]) for name in _TABLES), options)
    with torch.no_grad():
        for name in _TABLES:
            getattr(model, name).weight.copy_(torch.as_tensor(tables[name]))
    return model


def manifest_options(options):
    if options.without:
        raise ValueError(f"a model without {', '.join(options.without)} is an ablation: the server has "
                         "no such form")
    return {"attention": options.attention, "tau": str(options.tau),
            "recent_len": str(options.recent_len)}


def tensors(model):
    """The tensors of the model's file."""
    return {name: value.cpu().numpy() for name, value in model.state_dict().items()}


def from_tensors(tensors_by_name, options):
    """The MacGnn, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    made = Options(attention=options["attention"], tau=float(options["tau"]),
                   dim=tensors_by_name["user_embed.weight"].shape[1],
                   recent_len=int(options["recent_len"]))
    model = MacGnn(*(len(tensors_by_name[f"{table}.weight"]) for table in _TABLES), made)
    # Copies, since PyTorch has no tensor that must not be written to.
    model.load_state_dict({name: torch.from_numpy(tensors_by_name[name].copy())
                           for name in model.state_dict()})
    return model.eval()
