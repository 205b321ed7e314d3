"""MacGNN (WWW 2024, arXiv 2401.14939) as a batched serving module; tensor names as in checkpoints.

`forward(user, u1, u2, urec, item, i1, i2, irec)` gives one logit per candidate. The candidates'
inputs have n rows: `item` [n], the counts `i1` [n, P] and `i2` [n, Q], the newest users `irec`
[n, L]. Those of the user (`user`, `u1` [., Q], `u2` [., P], `urec` [., L]) have one row, the user of
the request, or n rows, as training batches have.
"""

import torch
from torch import Tensor, nn

DICE_EPSILON = 1e-8


class Aggregator(nn.Module):
    """sum_k w_k s_k V e_k; s is 1, or softmax_k of (Q e_k) . (K key) / sqrt(h)."""

    def __init__(self, dim: int, hidden: int, attends: bool):
        super().__init__()
        self.attends = attends
        self.scale = hidden**-0.5
        self.Q_w = nn.Linear(dim, hidden, bias=False)
        self.K_w = nn.Linear(dim, hidden, bias=False)
        self.V_w = nn.Linear(dim, hidden, bias=False)

    def forward(self, weights: Tensor, neighbours: Tensor, key: Tensor) -> Tensor:
        """weights [n, N], neighbours [N, d] for all rows or [n, N, d], key [n, d] -> [n, h]."""
        values = self.V_w(neighbours)
        if self.attends:
            queries, keys = self.Q_w(neighbours), self.K_w(key)
            if neighbours.dim() == 2:
                scores = keys @ queries.t()
            else:
                if keys.size(0) == 1:
                    scores = (queries @ keys.t()).squeeze(2)
                else:
                    scores = torch.bmm(queries, keys.unsqueeze(2)).squeeze(2)
            weights = weights * torch.softmax(scores * self.scale, -1)
        if neighbours.dim() == 2:
            return weights @ values
        return torch.bmm(weights.unsqueeze(1), values).squeeze(1)


class Dice(nn.Module):
    """A gate between z and alpha z, with statistics frozen after training."""

    def __init__(self, width: int):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.epsilon = DICE_EPSILON

    def forward(self, z: Tensor) -> Tensor:
        gate = torch.sigmoid((z - self.mean) / self.std + self.epsilon)
        return z * gate + self.alpha * z * (1 - gate)


class MacGnn(nn.Module):
    def __init__(self, shapes: dict, attention: str, tau: float):
        """`shapes` maps the checkpoint's tensor names to their shapes."""
        super().__init__()
        if attention not in ("none", "neighbours"):
            raise ValueError(f'attention is "{attention}"; it must be "none" or "neighbours"')
        for name in ("user_embed", "item_embed", "u_macro_embed", "i_macro_embed"):
            setattr(self, name, nn.Embedding(*shapes[f"{name}.weight"]))
        hidden, dim = shapes["u_shared_aggregator.V_w.weight"]
        attends = attention == "neighbours"
        self.u_shared_aggregator = Aggregator(dim, hidden, attends)
        self.i_shared_aggregator = Aggregator(dim, hidden, attends)
        width1, concat = shapes["mlp.0.weight"]
        width2 = shapes["mlp.2.weight"][0]
        self.mlp = nn.Sequential(nn.Linear(concat, width1), Dice(width1), nn.Linear(width1, width2),
                                 Dice(width2), nn.Linear(width2, 1))
        self.tau = tau

    def count_weights(self, counts: Tensor) -> Tensor:
        """softmax(log(count + 1) / tau), over empty clusters too."""
        counts = counts.to(self.u_macro_embed.weight.dtype)
        return torch.softmax(torch.log1p(counts) / self.tau, -1)

    def forward(self, user: Tensor, u1: Tensor, u2: Tensor, urec: Tensor,
                item: Tensor, i1: Tensor, i2: Tensor, irec: Tensor) -> Tensor:
        user_embed, item_embed = self.user_embed(user), self.item_embed(item)
        user_clusters, item_clusters = self.u_macro_embed.weight, self.i_macro_embed.weight
        recent = (urec > 0).to(user_embed.dtype)
        recent_items = self.item_embed(urec)
        if urec.size(0) == 1:
            recent_items = recent_items[0]
        parts = [
            user_embed,
            self.i_shared_aggregator(self.count_weights(u1), item_clusters, item_embed),
            self.u_shared_aggregator(self.count_weights(u2), user_clusters, user_embed),
            self.i_shared_aggregator(recent, recent_items, item_embed),
            item_embed,
            self.u_shared_aggregator(self.count_weights(i1), user_clusters, user_embed),
            self.i_shared_aggregator(self.count_weights(i2), item_clusters, item_embed),
            self.u_shared_aggregator((irec > 0).to(user_embed.dtype), self.user_embed(irec),
                                     user_embed),
        ]
        rows = item.size(0)
        return self.mlp(torch.cat([part.expand(rows, -1) for part in parts], 1)).squeeze(1)


class PublishedAggregator(Aggregator):
    """Each neighbour of each row gets its query and its value, and is weighed by itself."""

    def forward(self, weights: Tensor, neighbours: Tensor, key: Tensor) -> Tensor:
        """weights [n, N], neighbours [n, N, d], key [n, d] -> [n, h]."""
        queries, values = self.Q_w(neighbours), self.V_w(neighbours)
        scores = torch.bmm(queries, self.K_w(key).unsqueeze(2)) * self.scale
        # Over an axis of length 1, as with attention "none", a softmax gives 1.
        attention = torch.softmax(scores, 1 if self.attends else 2)
        return (values * attention * weights.unsqueeze(2)).sum(1)


class PublishedMacGnn(MacGnn):
    """The same in the shape of the authors' published module: every row has its own user, and copies
    of the clusters; with attention "none" the scores, which do not change the result, are made
    as well."""

    def __init__(self, shapes: dict, attention: str, tau: float):
        super().__init__(shapes, attention, tau)
        hidden, dim = shapes["u_shared_aggregator.V_w.weight"]
        self.u_shared_aggregator = PublishedAggregator(dim, hidden, attention == "neighbours")
        self.i_shared_aggregator = PublishedAggregator(dim, hidden, attention == "neighbours")

    def forward(self, user: Tensor, u1: Tensor, u2: Tensor, urec: Tensor,
                item: Tensor, i1: Tensor, i2: Tensor, irec: Tensor) -> Tensor:
        rows = item.size(0)
        user_embed, item_embed = self.user_embed(user), self.item_embed(item)
        user_clusters = self.u_macro_embed(torch.arange(i1.size(1)).expand(rows, -1))
        item_clusters = self.i_macro_embed(torch.arange(i2.size(1)).expand(rows, -1))
        user_mask = (urec > 0).to(user_embed.dtype)
        item_mask = (irec > 0).to(user_embed.dtype)
        return self.mlp(torch.cat([
            user_embed,
            self.i_shared_aggregator(self.count_weights(u1), item_clusters, item_embed),
            self.u_shared_aggregator(self.count_weights(u2), user_clusters, user_embed),
            self.i_shared_aggregator(user_mask, self.item_embed(urec), item_embed),
            item_embed,
            self.u_shared_aggregator(self.count_weights(i1), user_clusters, user_embed),
            self.i_shared_aggregator(self.count_weights(i2), item_clusters, item_embed),
            self.u_shared_aggregator(item_mask, self.user_embed(irec), user_embed),
        ], 1)).squeeze(1)
