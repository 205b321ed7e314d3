"""NCF, DIN, Caser, GRU4Rec, DIEN and SLi-Rec as batched serving modules, the variant "deeprec" of each.

`forward(history, length, candidate)` gives one logit per candidate, as in surge.py; SLi-Rec's has also the
times `time_us` [b, L] of the history, `first_us` and `now_us` [b]. NCF's is `forward(user, candidate)`, `user`
[b] the row of the user. Tensor names as in checkpoints. Options are those of the manifest, as published:
padding "included", SLi-Rec's "first_action", DIEN's "dice", "gru", "before" and "code".
"""

import torch
from torch import Tensor, nn

from surge import Attention, Augru, Embedding, mlp


def valid_positions(history: Tensor, length: Tensor) -> Tensor:
    return torch.arange(history.size(1)) < length[:, None]


def last_of(states: Tensor, length: Tensor) -> Tensor:
    """[b, h] of [b, L, h]."""
    return states.gather(1, (length - 1)[:, None, None].expand(-1, 1, states.size(2))).squeeze(1)


def linear(shapes: dict, name: str, bias: bool = True) -> nn.Linear:
    return nn.Linear(*reversed(shapes[f"{name}.weight"]), bias=bias)


class Gru(nn.Module):
    """All states, [b, L, h], of x [b, L, d]."""

    def __init__(self, shapes: dict):
        super().__init__()
        self.gates, self.candidate = linear(shapes, "gru.gates"), linear(shapes, "gru.candidate")

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(x.size(0), self.candidate.out_features, dtype=x.dtype)
        states = []
        for step in range(x.size(1)):
            now = x[:, step]
            reset, update = torch.sigmoid(self.gates(torch.cat([now, state], 1))).chunk(2, 1)
            fresh = torch.tanh(self.candidate(torch.cat([now, reset * state], 1)))
            state = update * state + (1 - update) * fresh
            states.append(state)
        return torch.stack(states, 1)


class Dice(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        for name in ("alpha", "mean", "std"):
            self.register_buffer(name, torch.ones(width))

    def forward(self, z: Tensor) -> Tensor:
        p = torch.sigmoid((z - self.mean) / self.std)
        return p * z + self.alpha * (1 - p) * z


def dice_mlp(shapes: dict, name: str) -> nn.Sequential:
    layers = []
    for position in (0, 2, 4):
        layers += [linear(shapes, f"{name}.{position}"), Dice(shapes[f"{name}.{position}.weight"][0])]
    return nn.Sequential(*layers[:-1])


class Ncf(nn.Module):
    def __init__(self, shapes: dict):
        super().__init__()
        for name in ("user_gmf", "item_gmf", "user_mlp", "item_mlp"):
            setattr(self, name, nn.Embedding(*shapes[f"{name}.weight"]))
        self.mlp = nn.Sequential(linear(shapes, "mlp.0"), nn.ReLU(), linear(shapes, "mlp.2"), nn.ReLU())
        self.output = linear(shapes, "output", bias="output.bias" in shapes)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        of_item = self.item_mlp(item)
        z = self.mlp(torch.cat([self.user_mlp(user).expand_as(of_item), of_item], 1))
        return self.output(torch.cat([self.user_gmf(user) * self.item_gmf(item), z], 1)).squeeze(1)


class Din(Embedding):
    def __init__(self, shapes: dict):
        super().__init__(shapes)
        self.target = Attention(shapes, "target")
        self.head = mlp(shapes, "head", nn.ReLU())

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        x, target = self.embed(history), self.embed(candidate)
        valid = valid_positions(history, length)
        attention = self.target(target[:, None], x, valid)
        total = (x * valid[..., None]).sum(1).expand_as(target)
        pooled = (attention[:, None] @ x).squeeze(1)
        return self.head(torch.cat([target, total, pooled], 1)).squeeze(1)


class Filters(nn.Module):
    """Caser's features of a picture [b, L, d]."""

    def __init__(self, shapes: dict, part: str):
        super().__init__()
        self.vertical = linear(shapes, f"{part}.vertical")
        self.horizontal = nn.ModuleDict(
            {str(k): linear(shapes, f"{part}.horizontal.{k}") for k in (1, 2, 3)})

    def forward(self, picture: Tensor) -> Tensor:
        found = [torch.relu(self.vertical(picture.flatten(1)))]
        for k, layer in self.horizontal.items():
            windows = picture.unfold(1, int(k), 1).transpose(2, 3).flatten(2)
            found.append(torch.relu(layer(windows)).amax(1))
        return torch.cat(found, 1)


class Caser(Embedding):
    def __init__(self, shapes: dict):
        super().__init__(shapes)
        self.item, self.cate = Filters(shapes, "item"), Filters(shapes, "cate")
        self.head = mlp(shapes, "head", nn.ReLU())

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        # The padding, row 0, takes part.
        features = torch.cat([self.item(self.item_embed(history)),
                              self.cate(self.cate_embed(self.category_of_item[history]))], 1)
        target = self.embed(candidate)
        return self.head(torch.cat([features.expand(target.size(0), -1), target], 1)).squeeze(1)


class Gru4rec(Embedding):
    def __init__(self, shapes: dict):
        super().__init__(shapes)
        self.gru, self.head = Gru(shapes), mlp(shapes, "head", nn.ReLU())

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        state, target = last_of(self.gru(self.embed(history)), length), self.embed(candidate)
        return self.head(torch.cat([state.expand(target.size(0), -1), target], 1)).squeeze(1)


class DiceAttention(Attention):
    def __init__(self, shapes: dict, name: str):
        super().__init__(shapes, name)
        self.mlp = dice_mlp(shapes, f"{name}.mlp")


class Dien(Embedding):
    def __init__(self, shapes: dict):
        super().__init__(shapes)
        self.gru, self.augru = Gru(shapes), Augru(shapes)
        self.target = DiceAttention(shapes, "target")
        self.head = dice_mlp(shapes, "head")

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        x, target = self.embed(history), self.embed(candidate)
        valid = valid_positions(history, length)
        interests = self.gru(x)
        attention = self.target(target[:, None], interests, valid)
        rows = target.size(0)
        state = self.augru(interests.expand(rows, -1, -1), attention, valid.expand(rows, -1))
        total = (x * valid[..., None]).sum(1).expand_as(target)
        return self.head(torch.cat([target, state, total, target * total], 1)).squeeze(1)


class Scale(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def forward(self, time: Tensor) -> Tensor:
        return torch.tanh(time[..., None] * self.weight + self.bias)


class TimeGate(nn.Module):
    def __init__(self, shape: tuple):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape[0]))
        self.input = Scale(shape[0])

    def forward(self, y: Tensor, time: Tensor) -> Tensor:
        return torch.sigmoid(nn.functional.linear(torch.cat([y, time], -1), self.weight, self.bias))


class TimeLstm(nn.Module):
    def __init__(self, shapes: dict):
        super().__init__()
        self.gates = linear(shapes, "lstm.gates")
        self.now, self.last = TimeGate(shapes["lstm.now.weight"]), TimeGate(shapes["lstm.last.weight"])
        self.output = nn.ModuleDict({"time": linear(shapes, "lstm.output.time", bias=False)})

    def forward(self, y: Tensor, to_now: Tensor, last: Tensor) -> Tensor:
        now, past = self.now.input(to_now), self.last.input(last)
        new, old = self.now(y, now), self.last(y, past)
        of_time = self.output["time"](torch.cat([now, past], -1))
        m = torch.zeros(y.size(0), new.size(2), dtype=y.dtype)
        c = torch.zeros_like(m)
        states = []
        for step in range(y.size(1)):
            i, j, f, o = self.gates(torch.cat([y[:, step], m], 1)).chunk(4, 1)
            c = torch.sigmoid(f) * old[:, step] * c + torch.sigmoid(i) * new[:, step] * torch.tanh(j)
            m = torch.sigmoid(o + of_time[:, step]) * torch.tanh(c)
            states.append(m)
        return torch.stack(states, 1)


class Long(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """x [b, L, d]; the padding takes part."""
        return (torch.softmax(x @ self.query, 1)[:, None] @ x).squeeze(1)


class SliRec(Embedding):
    def __init__(self, shapes: dict, unit_s: float):
        super().__init__(shapes)
        self.unit_us = unit_s * 1e6
        self.long = Long(shapes["long.query"][0])
        self.lstm, self.target = TimeLstm(shapes), Attention(shapes, "target")
        self.alpha, self.head = mlp(shapes, "alpha", nn.ReLU()), mlp(shapes, "head", nn.ReLU())

    def units(self, us: Tensor) -> Tensor:
        return torch.log((us.to(torch.float64) / self.unit_us).clamp_min(0.5)).to(self.long.query.dtype)

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor, time_us: Tensor,
                first_us: Tensor, now_us: Tensor) -> Tensor:
        x, target = self.embed(history), self.embed(candidate)
        valid, newest = valid_positions(history, length), length[:, None] - 1
        following = torch.cat([time_us[:, 1:], time_us[:, :1]], 1)
        following = torch.where(torch.arange(history.size(1)) == newest, now_us[:, None], following)
        to_now, last = self.units(now_us[:, None] - time_us), self.units(following - first_us[:, None])
        states = self.lstm(self.item_embed(history), to_now, last)
        attention = self.target(target[:, None], states, valid)
        short = (attention[:, None] @ states).squeeze(1)
        long = self.long(x).expand_as(target)
        tau = (to_now.gather(1, newest) * (length[:, None] == history.size(1))).expand(target.size(0), 1)
        alpha = torch.sigmoid(self.alpha(torch.cat([target, long, short, tau], 1)))
        return self.head(torch.cat([alpha * long + (1 - alpha) * short, target], 1)).squeeze(1)


KINDS = {"ncf": Ncf, "din": Din, "caser": Caser, "gru4rec": Gru4rec, "dien": Dien, "slirec": SliRec}
# The options that are written here.
_PUBLISHED = {"variant": "deeprec", "padding": "included", "activation": "dice", "first_layer": "gru",
              "reset": "before", "augru": "code", "time_last": "first_action"}


def build(kind, shapes, options):
    """The module of a kind; ValueError where its options are not those that are written here."""
    for name, value in _PUBLISHED.items():
        if options.get(name, value) != value:
            raise ValueError(f'{name} is "{options[name]}"; of {kind} only "{value}" is written here')
    if kind == "slirec":
        return SliRec(shapes, float(options.get("time_unit_s", 86400)))
    return KINDS[kind](shapes)


def is_here(options):
    return options.get("kind") in KINDS
