"""The trainer's commands: `python3 -m trainer --help`."""

import argparse
import contextlib
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
    _add_benchmark(commands)
    arguments = parser.parse_args()
    try:
        # PyTorch and gRPC are imported by the command that needs them.
        if arguments.command == "train":
            from trainer import training
            training.train(arguments.config)
        elif arguments.command == "examples":
            from trainer import training
            training.add_examples(arguments.config)
        elif arguments.command == "benchmark":
            _benchmark(arguments)
        else:
            from trainer import serving_quality
            serving_quality.evaluate(arguments.config, arguments.address, arguments.write)
    except (OSError, ValueError) as error:
        sys.exit(f"trainer: {error}")
    except KeyboardInterrupt:
        sys.exit("trainer: interrupted")


def _add_benchmark(commands):
    benchmark = commands.add_parser(
        "benchmark", help="LightGCN on a ready-made split that others have published figures on",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python3 -m trainer benchmark --config trainer/gowalla.toml \\\n"
               "      --train train.txt.zst --test test.txt.zst --seed 1 --seed 2 --seed 3")
    benchmark.add_argument("--train", required=True, help="lines of `user item item ...`, or .zst of them")
    benchmark.add_argument("--test", required=True, help="the same; looked at once, by the trained model")
    benchmark.add_argument("--config", required=True, help="TOML, such as trainer/gowalla.toml")
    benchmark.add_argument("--seed", type=int, action="append", help="may be repeated (default 1)")
    benchmark.add_argument("--checkpoints", metavar="DIR",
                           help="keep the state after every epoch here; a killed run goes on from it")
    benchmark.add_argument("--json", action="store_true", help="the results for a program")


def _benchmark(arguments):
    from trainer import fixed_split
    # Progress is for people: it leaves standard output to the results.
    with contextlib.redirect_stdout(sys.stderr):
        results = fixed_split.run(arguments.train, arguments.test, arguments.config,
                                  arguments.seed or [1], arguments.checkpoints)
    print(fixed_split.as_json(results) if arguments.json else fixed_split.table(results))


if __name__ == "__main__":
    main()
