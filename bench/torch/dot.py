"""The dot product of embeddings as a serving module.

`forward(user, item)` gives one logit per item: `item` [n] holds rows, `user` [b] the row of the request's
user, b being 1 or n. Row r is row r - 1 of the tensors; row 0, unknown, is never asked for.
"""

import torch
from torch import Tensor, nn


class Dot(nn.Module):
    def __init__(self, shapes: dict):
        super().__init__()
        for name in ("user", "item"):
            self.register_buffer(name, torch.zeros(shapes[name]))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.user[user - 1] * self.item[item - 1]).sum(1)
