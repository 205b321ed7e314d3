"""SLi-Rec (Yu et al., IJCAI 2019): the ranker, as the server computes it.

A long-term interest and an LSTM whose gates know when things happened, blended for each candidate. What is
read is in trainer/sequence.py, and here the times too: `urec_time_us` [n, as urec] when the items were
taken, `ufirst_time_us` [n] when the user's oldest was, `unow_us` [n]. The equations are in docs/models.md.
"""

from dataclasses import dataclass

import torch

from trainer import sequence

PADDINGS = ("included", "masked")
TIME_LASTS = ("first_action", "previous_action")
READS_TIMES = True

_LEAST_UNITS = 0.5  # below it a time is taken for so much


@dataclass
class Options:
    padding: str = "included"
    time_last: str = "first_action"
    time_unit_s: float = 86400.0
    max_history: int = 50
    item_width: int = 32
    category_width: int = 8
    hidden: tuple = (80, 40)  # of the attention and of the blend
    head_hidden: tuple = (100, 64)
    batch_norm: bool = True  # in the head, folded into its layers on export

    def __post_init__(self):
        sequence.check(self, padding=PADDINGS, time_last=TIME_LASTS)
        if not 0 < self.time_unit_s < float("inf"):
            raise ValueError(f"time_unit_s is {self.time_unit_s}; it must be a number above 0")

    @property
    def history_len(self):
        """Newest items of a row: of the one before the history the time alone is read."""
        return self.max_history + (self.time_last == "previous_action")


class Scale(torch.nn.Module):
    """tanh(t w + b) of one number."""

    def __init__(self, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(width) * 0.1)
        self.bias = torch.nn.Parameter(torch.zeros(width))

    def forward(self, t):
        return (t[..., None] * self.weight + self.bias).tanh()


class TimeGate(torch.nn.Linear):
    """sigmoid(W [y, tanh(t w + b)] + b)."""

    def __init__(self, inputs, width):
        super().__init__(inputs + width, width)
        self.input = Scale(width)

    def forward(self, y, t):
        return super().forward(torch.cat([y, t], -1)).sigmoid()


class TimeLstm(torch.nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.gates = torch.nn.Linear(inputs + width, 4 * width)
        self.now, self.last = TimeGate(inputs, width), TimeGate(inputs, width)
        self.output = torch.nn.ModuleDict({"time": torch.nn.Linear(2 * width, width, bias=False)})
        with torch.no_grad():
            self.gates.bias[2 * width : 3 * width] += 1.0  # what is not yet learned is not forgotten

    def forward(self, y, to_now, last):
        """y [b, T, d_i], times [b, T] -> all states [b, T, h]."""
        inputs, width = y.shape[-1], self.now.out_features
        now, past = self.now.input(to_now), self.last.input(last)
        scale_new, scale_old = self.now(y, now), self.last(y, past)
        of_inputs = y @ self.gates.weight[:, :inputs].t() + self.gates.bias
        of_time = self.output["time"](torch.cat([now, past], -1))
        of_state = self.gates.weight[:, inputs:].t()
        m = c = y.new_zeros(len(y), width)
        states = []
        steps = (values.unbind(1) for values in (of_inputs, of_time, scale_new, scale_old))
        for of_input, time, new, old in zip(*steps):
            i, j, f, o = (of_input + m @ of_state).chunk(4, -1)
            c = f.sigmoid() * old * c + i.sigmoid() * new * j.tanh()
            m = (o + time).sigmoid() * c.tanh()
            states.append(m)
        return torch.stack(states, 1)


class Long(torch.nn.Module):
    """The mean of embeddings weighted by softmax(query . e)."""

    def __init__(self, width):
        super().__init__()
        self.query = torch.nn.Parameter(torch.randn(width) * 0.1)

    def forward(self, x, valid, padding, count):
        """x [b, T, d]; besides them `count` [b] times the vector `padding` [d]."""
        scores = (x @ self.query).masked_fill(~valid, float("-inf"))
        of_padding = (padding @ self.query + count.to(x.dtype).log())[:, None]
        weights = torch.cat([scores, of_padding], 1).softmax(1)
        return (weights[:, None, :-1] @ x)[:, 0] + weights[:, -1:] * padding


class SliRec(sequence.SequenceRanker):
    reads_times = True

    def __init__(self, counts, options):
        super().__init__(counts, options)
        d = self.dim
        self.long = Long(d)
        self.lstm = TimeLstm(options.item_width, d)
        self.target = sequence.TargetAttention(d, d, options.hidden, "relu")
        self.alpha = sequence.Mlp((3 * d + 1, *options.hidden, 1), "relu")
        self.head = sequence.Mlp((2 * d, *options.head_hidden, 1), "relu", options.batch_norm)

    def times(self, inputs):
        """(to_now, last) [b, T] of the items of the histories."""
        first, now, at = inputs.first_us[:, None], inputs.now_us[:, None], inputs.time_us
        positions = torch.arange(at.shape[1], device=at.device)
        if self.options.time_last == "first_action":
            following = torch.cat([at[:, 1:], at[:, :1]], 1)
            is_newest = positions == inputs.length[:, None] - 1
            last = self._units(torch.where(is_newest, now, following) - first)
        else:
            previous = torch.cat([inputs.previous_us[:, None], at[:, :-1]], 1)
            last = self._units(at - previous).masked_fill((positions == 0) & (previous == 0), 0.0)
        valid = inputs.valid
        return self._units(now - at) * valid, last * valid

    def _units(self, us):
        return (us.double() / (self.options.time_unit_s * 1e6)).clamp_min(_LEAST_UNITS).log().to(
            self.item_embed.weight.dtype)

    def stages(self, inputs):
        """user.time_to_now, user.time_last [b, T], user.long [b, d], user.states [b, T, d]; attention [n, T],
        short [n, d], alpha, logit [n]."""
        x, target = self.embed(inputs.history), self.embed(inputs.candidate)
        owner, valid, length = inputs.owner, inputs.valid, inputs.length
        longest, is_masked = self.options.max_history, self.options.padding == "masked"
        to_now, last = self.times(inputs)
        padding = torch.zeros_like(length) if is_masked else longest - length
        long = self.long(x, valid, self.embed(length.new_zeros(())), padding)
        states = self.lstm(x[..., : self.options.item_width], to_now, last) * valid[..., None]
        attention = self.target(states, target, valid, owner)
        short = (attention[:, None] @ sequence.of_rows(states, owner))[:, 0]
        tau = self.last_of(to_now[..., None], length)
        if not is_masked:
            tau = tau * (length == longest)[:, None]
        alpha = self.alpha(torch.cat([target, long[owner], short, tau[owner]], 1)).sigmoid()
        blend = alpha * long[owner] + (1 - alpha) * short
        return {"user.time_to_now": to_now, "user.time_last": last, "user.long": long, "user.states": states,
                "attention": attention, "short": short, "alpha": alpha[:, 0],
                "logit": self.head(torch.cat([blend, target], 1))[:, 0]}


def from_catalogue(options, catalogue):
    """A SliRec to train."""
    return sequence.start(SliRec(sequence.counts(catalogue), options), catalogue)


def manifest_options(options):
    return {"variant": "deeprec", "max_history": str(options.max_history), "padding": options.padding,
            "time_last": options.time_last, "time_unit_s": repr(options.time_unit_s).removesuffix(".0")}


tensors = sequence.tensors


def from_tensors(tensors_by_name, options):
    """The SliRec, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    made = Options(
        padding=options.get("padding", "included"), time_last=options.get("time_last", "first_action"),
        time_unit_s=float(options.get("time_unit_s", 86400.0)), max_history=int(options["max_history"]),
        **sequence.table_widths(tensors_by_name), hidden=sequence.widths_of(tensors_by_name, "target.mlp"),
        head_hidden=sequence.widths_of(tensors_by_name, "head"), batch_norm=False)
    return sequence.load(SliRec(sequence.counts_of(tensors_by_name), made), tensors_by_name)
