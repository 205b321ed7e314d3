"""The state of a training run in a safetensors file, so that a run that was killed goes on from it."""

import json
import os
from pathlib import Path

import torch

from trainer import safetensors


def write(path, identity, tensors, numbers):
    """Replaces the file at once: a reader finds the old state or the new one, whenever it looks.

    `identity` says of what run this is. It and `numbers` are dictionaries that JSON can hold; `tensors`
    holds PyTorch's by name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    metadata = {"identity": json.dumps(identity), "numbers": json.dumps(numbers)}
    draft = path.with_name(path.name + ".draft")
    with open(draft, "wb") as stream:
        stream.write(safetensors.encode(arrays, metadata))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, path)


def read(path, identity):
    """(tensors, numbers), or None where there is no file. ValueError when it is another run's."""
    if not Path(path).exists():
        return None
    arrays, metadata = safetensors.read(path)
    written = json.loads(metadata.get("identity", "{}"))
    for name, value in identity.items():
        if written.get(name) != value:
            raise ValueError(f"{path}: a checkpoint of a run with {name} {written.get(name)}, not "
                             f"{value}: remove it, or keep this run's somewhere else")
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    return tensors, json.loads(metadata["numbers"])


def optimiser_tensors(optimiser):
    """Adam's step and moments by parameter, under names for a file."""
    return {f"optimiser.{parameter}.{name}": tensor
            for parameter, moments in optimiser.state_dict()["state"].items()
            for name, tensor in moments.items()}


def restore_optimiser(optimiser, tensors):
    """The reverse; learning rates and the like stay as they are."""
    state = {}
    for key, tensor in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "optimiser":
            parameter, name = rest.split(".")
            state.setdefault(int(parameter), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
