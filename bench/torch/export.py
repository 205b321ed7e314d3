#!/usr/bin/python3
r"""Writes weights files as TorchScript modules, for torch_bench.

    export.py build/models/*.safetensors          writes NAME.pt beside each NAME.safetensors
    export.py --option attention=none --option tau=1.0 --out build/models \
        sample/online-retail/macgnn.safetensors

Of MacGNN it also writes NAME.published.pt, the same model in the shape of the authors' module. What kind
of model it is shows in its tensors. The options that a manifest would have (attention, tau; variant,
max_history, pool_length) are read from the file's metadata, or given.
"""

import argparse
import pathlib
import sys

import torch

import checkpoint


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", type=pathlib.Path, help="safetensors files")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=pathlib.Path, help="the folder to write to")
    arguments = parser.parse_args()
    options = dict(option.split("=", 1) for option in arguments.option)
    for path in arguments.weights:
        try:
            modules = checkpoint.read(path, options)
        except (OSError, ValueError) as error:
            sys.exit(f"export: {error}")
        for suffix, module in modules.items():
            folder = arguments.out or path.parent
            torch.jit.script(module).save(str(folder / f"{path.stem}{suffix}.pt"))


if __name__ == "__main__":
    main()
