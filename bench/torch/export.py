#!/usr/bin/python3
"""Writes weights files as TorchScript modules, for torch_bench.

    export.py DIR/macgnn.none.safetensors             writes DIR/macgnn.none.pt
    export.py --option attention=none --out M.pt sample/online-retail/macgnn.safetensors

What kind of model it is shows in its tensors. The options that a manifest would have (attention, tau;
variant, max_history, pool_length) are read from the file's metadata, or given.
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
    parser.add_argument("--out", type=pathlib.Path, help="the file to write, for a single one")
    arguments = parser.parse_args()
    if arguments.out and len(arguments.weights) > 1:
        parser.error("--out is for a single weights file")
    options = dict(option.split("=", 1) for option in arguments.option)
    for path in arguments.weights:
        try:
            module, _ = checkpoint.read(path, options)
        except (OSError, ValueError) as error:
            sys.exit(f"export: {error}")
        torch.jit.script(module).save(str(arguments.out or path.with_suffix(".pt")))


if __name__ == "__main__":
    main()
