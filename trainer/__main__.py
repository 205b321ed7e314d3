"""The trainer's commands: `python3 -m trainer --help`."""

import argparse
import sys


def main():
    parser = argparse.ArgumentParser(prog="trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="from a log to a snapshot directory")
    train.add_argument("--config", required=True, help="TOML, such as trainer/online-retail.toml")
    examples = commands.add_parser(
        "examples", help="give a snapshot that was trained before the rows by which a server proves it")
    examples.add_argument("--config", required=True, help="TOML, such as trainer/online-retail.toml")
    evaluate = commands.add_parser(
        "evaluate", help="ask a running server that holds the snapshot and nothing newer")
    evaluate.add_argument("--config", required=True, help="the configuration of the training")
    evaluate.add_argument("--address", default="127.0.0.1:7100", help="the server's gRPC address")
    evaluate.add_argument("--write", action="store_true", help="record the figures in the manifest")
    arguments = parser.parse_args()
    try:
        # PyTorch and gRPC are imported by the command that needs them.
        if arguments.command == "train":
            from trainer import training
            training.train(arguments.config)
        elif arguments.command == "examples":
            from trainer import training
            training.add_examples(arguments.config)
        else:
            from trainer import serving_quality
            serving_quality.evaluate(arguments.config, arguments.address, arguments.write)
    except (OSError, ValueError) as error:
        sys.exit(f"trainer: {error}")


if __name__ == "__main__":
    main()
