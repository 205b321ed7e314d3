"""The trainer's commands: `python3 -m trainer COMMAND --help`."""

import argparse
import contextlib
import json
import signal
import subprocess
import sys

_CONFIG = "TOML, such as trainer/online-retail.toml"


def main():
    parser = argparse.ArgumentParser(prog="trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_train, _add_refresh, _add_examples, _add_compare, _add_evaluate, _add_import_macgnn,
                _add_import_vectors, _add_benchmark):
        add(commands)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        arguments.run(arguments)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "trainer":
            raise
        sys.exit(f"trainer: {error}; install what it needs with scripts/install-packages --trainer, or "
                 "by pip (docs/training.md)")
    except (OSError, ValueError) as error:
        sys.exit(f"trainer: {error}")
    except subprocess.CalledProcessError as error:  # it has said why
        sys.exit(f"trainer: {' '.join(error.cmd[:2])} failed with status {error.returncode}")
    except KeyboardInterrupt:
        sys.exit("trainer: interrupted")
    except Exception as error:
        grpc = sys.modules.get("grpc")  # imported by the command that needs it
        if grpc is None or not isinstance(error, grpc.RpcError):
            raise
        sys.exit(f"trainer: a server answered {error.code().name}: {error.details()}")


def _terminate(number, _):
    """The servers that were started, and the temporary directories, end with their blocks."""
    sys.exit(128 + number)


def _command(commands, name, help_, example):
    return commands.add_parser(
        name, help=help_, description=help_[0].upper() + help_[1:] + ".",
        epilog=f"example:\n  python3 -m trainer {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter)


# PyTorch and gRPC are imported by the command that needs them.


def _add_train(commands):
    command = _command(commands, "train", "from a log to a snapshot directory",
                       "--config trainer/online-retail.toml --checkpoints /tmp/online-retail")
    command.add_argument("--config", required=True, help=_CONFIG)
    command.add_argument("--checkpoints", metavar="DIR",
                         help="keep the state of the training there; the same command goes on from it")
    command.set_defaults(run=_train)


def _train(arguments):
    from trainer import training
    training.train(arguments.config, arguments.checkpoints)


def _add_refresh(commands):
    command = _command(
        commands, "refresh", "train the next snapshot of a running server, compare it and activate it: what "
        "`groundswell train` runs, whose variables say which server it is", "--snapshots snapshots --items items.csv")
    command.add_argument("file", nargs="*", help="logs beside the server's own")
    command.add_argument("--namespace", default="default", help="of the server")
    command.add_argument("--items", metavar="FILE", help="CSV or JSON lines with item, title and category")
    command.add_argument("--config", help=_CONFIG + ", without events, held-out time and output")
    command.add_argument("--snapshots", default="groundswell-snapshots", metavar="DIR",
                         help="directory of all snapshots, which the server can read")
    command.add_argument("--keep", type=int, default=3, metavar="N", help="so many of them are kept")
    command.add_argument("--held-out-days", type=float, default=7.0, metavar="DAYS",
                         help="the newest, to measure by, before all is trained on")
    command.add_argument("--gate-events", type=int, default=2000, metavar="N",
                         help="both snapshots are asked before so many events")
    for name in ("user", "item", "time", "type", "weight"):
        command.add_argument(f"--{name}", metavar="COLUMN", help="of the files")
    command.add_argument("--partial-log", action="store_true",
                         help="though the server's log lacks its beginning, and no file has it")
    command.add_argument("--no-gate", action="store_true", help="without the comparison with what is served")
    command.add_argument("--no-activate", action="store_true", help="leave it at a snapshot that could serve")
    command.add_argument("--json", action="store_true", help="print JSON of what was done")
    command.set_defaults(run=_refresh)


def _refresh(arguments):
    from trainer import refresh
    refresh.run(arguments)


def _add_examples(commands):
    command = _command(
        commands, "examples", "give a snapshot that was trained before the rows by which a server proves it",
        "--config trainer/online-retail.toml")
    command.add_argument("--config", required=True, help=_CONFIG)
    command.set_defaults(run=_examples)


def _examples(arguments):
    from trainer import training
    training.add_examples(arguments.config)


def _add_compare(commands):
    command = _command(
        commands, "compare", "train the rankers with several seeds and print how they order later rows",
        "--config trainer/online-retail.toml --seeds 1 2 3")
    command.add_argument("--config", required=True,
                         help=_CONFIG + "; the snapshot that it names must be trained, and stays as it is")
    command.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    command.add_argument("--rankers", nargs="+", metavar="NAME", help="only these of the configuration")
    command.add_argument("--period", choices=("validation", "heldout"), default="validation",
                         help="whose rows: choose options by the validation period, report the held-out one")
    command.add_argument("--frozen", action="store_true",
                         help="measure with features frozen at the beginning of the period, too")
    command.add_argument("--sampled", type=int, metavar="N", default=0,
                         help="let each purchase stand against N items drawn uniformly, and by popularity, "
                         "and measure NDCG of the first 2: with 99 the protocol of SURGE's paper")
    command.add_argument("--lists", type=int, metavar="USERS", default=0,
                         help="also serve the rankers, and measure the lists that so many users get at the "
                         "cut (with --period heldout)")
    command.add_argument("--replay", type=int, metavar="N", default=0,
                         help="also serve the rankers, replay the events after the cut, and ask for lists "
                         "just before one event in N (with --period heldout)")
    command.add_argument("--checkpoints", metavar="DIR",
                         help="keep the state of the training there; the same command goes on from it")
    command.add_argument("--json", action="store_true", help="print JSON instead of tables")
    command.set_defaults(run=_compare)


def _compare(arguments):
    from trainer import row_quality, training
    # Progress is for people: it leaves standard output to the results.
    with contextlib.redirect_stdout(sys.stderr):
        found = training.compare(
            arguments.config, arguments.seeds, arguments.period, arguments.frozen, arguments.lists,
            arguments.replay, arguments.rankers, arguments.checkpoints, arguments.sampled)
    print(json.dumps(found, indent=2) if arguments.json else "\n".join(row_quality.comparison(found)))


def _add_evaluate(commands):
    command = _command(
        commands, "evaluate", "ask a running server that holds the snapshot and nothing newer",
        "--config trainer/online-retail.toml --address 127.0.0.1:7100")
    command.add_argument("--config", required=True, help="the configuration of the training")
    command.add_argument("--address", default="127.0.0.1:7100", help="the server's gRPC address")
    command.add_argument("--write", action="store_true", help="record the figures in the manifest")
    command.set_defaults(run=_evaluate)


def _evaluate(arguments):
    from trainer import serving_quality
    serving_quality.evaluate(arguments.config, arguments.address, arguments.write)


def _add_import_macgnn(commands):
    command = _command(
        commands, "import-macgnn", "add a MacGNN of the authors' code to a snapshot, its Dice frozen",
        "--checkpoint macgnn.pth --rows rows.safetensors \\\n"
        "      --tau 1.9 --snapshot trained --output with-macgnn")
    command.add_argument("--checkpoint", required=True,
                         help="state_dict, saved by torch.save, or .safetensors with its names")
    command.add_argument("--rows", required=True,
                         help="the training rows, of groundswell-server replay --rows-out")
    command.add_argument("--snapshot", required=True, help="directory whose users, items and clusters, in "
                         "their order, are those that the model was trained with")
    command.add_argument("--output", required=True, help="directory to write the snapshot to; must be new")
    command.add_argument("--name", default="macgnn", help="of the model in the snapshot")
    command.add_argument("--attention", choices=("none", "neighbours"), default="none",
                         help='"none" is what the authors\' code computes')
    command.add_argument("--tau", type=float, required=True, help="the temperature it was trained with")
    command.add_argument("--recent-len", type=int, default=20)
    command.set_defaults(run=_import_macgnn)


def _import_macgnn(arguments):
    from trainer import foreign
    foreign.import_macgnn(
        arguments.checkpoint, arguments.rows, arguments.snapshot, arguments.output, arguments.name,
        {"attention": arguments.attention, "tau": str(arguments.tau),
         "recent_len": str(arguments.recent_len)})


def _add_import_vectors(commands):
    command = _command(
        commands, "import-vectors", "make a snapshot of any user and item vectors, and perhaps a log of interactions",
        "--users users.npy --items items.npy \\\n"
        "      --user-ids users.txt --item-ids items.txt --events events.csv \\\n"
        "      --server build/release/bin/groundswell-server --name mine --output mine")
    for side in ("users", "items"):
        command.add_argument(f"--{side}", required=True,
                             help=f".npy, or .safetensors with one tensor or one named {side[:-1]}; or a table of ids and "
                             "vectors: CSV or JSON lines with id and vector, or with a column for each number")
    for side in ("user", "item"):
        command.add_argument(f"--{side}-ids",
                             help="of .npy and .safetensors: text, one id per line, in the order of the rows")
    command.add_argument("--titles", help="CSV or JSON lines with item, title and perhaps category")
    command.add_argument("--events", nargs="+",
                         help="the log, or its parts; without one the graph is empty until the server has interactions: CSV in time order with timestamp, user, item and perhaps "
                         "type, weight, event_id; or JSON lines of groundswell log; .zst is read, too")
    command.add_argument("--event-types", metavar="TYPES",
                         help="the server's types and weights, such as purchase=1,return=-1")
    command.add_argument("--server", help="groundswell-server, which makes the graph; without it that of "
                         "GROUNDSWELL_TRAINER_SERVER, or on PATH")
    command.add_argument("--name", required=True, help="of the snapshot")
    command.add_argument("--version", default="1", help="of the snapshot")
    command.add_argument("--user-clusters", type=int, default=20, help="clusters of the users")
    command.add_argument("--item-clusters", type=int, default=30, help="clusters of the items")
    for side in ("user", "item"):
        command.add_argument(f"--{side}-cluster-of", metavar="FILE",
                             help=f".npy, the cluster of each {side}, instead of k-means")
    command.add_argument("--encoder", choices=("als", "newest"),
                         help="what a server makes vectors of who came or changed since by: als, of users and items, "
                         "or newest, of users (docs/encoders.md)")
    command.add_argument("--alpha", type=float, help="of als: the confidence is 1 + alpha times the count")
    command.add_argument("--lambda", type=float, help="of als: its regularisation's weight")
    command.add_argument("--regularisation", choices=("plain", "weighted"), help="of als: plain unless it is given")
    command.add_argument("--half", type=float, help="of newest: an item so many places older weighs half as much")
    command.add_argument("--seed", type=int, default=1, help="of the clusters and the example rows")
    command.add_argument("--output", required=True, help="directory to write the snapshot to; must be new")
    command.set_defaults(run=_import_vectors)


def _import_vectors(arguments):
    from trainer import foreign
    foreign.import_vectors(arguments)


def _add_benchmark(commands):
    benchmark = _command(
        commands, "benchmark", "train LightGCN or ALS on a ready-made split that others have published figures on",
        "--config trainer/gowalla.toml \\\n"
        "      --train train.txt.zst --test test.txt.zst --seeds 1 2 3")
    benchmark.add_argument("--train", required=True, help="lines of `user item item ...`, or .zst of them")
    benchmark.add_argument("--test", required=True, help="the same; looked at once, by the trained model")
    benchmark.add_argument("--config", required=True, help="TOML, such as trainer/gowalla.toml")
    benchmark.add_argument("--seeds", type=int, nargs="+", default=[1])
    benchmark.add_argument("--checkpoints", metavar="DIR",
                           help="keep the state after every epoch here; a killed run goes on from it")
    benchmark.add_argument("--json", action="store_true", help="print JSON instead of a table")
    benchmark.set_defaults(run=_benchmark)


def _benchmark(arguments):
    from trainer import fixed_split
    # Progress is for people: it leaves standard output to the results.
    with contextlib.redirect_stdout(sys.stderr):
        results = fixed_split.run(arguments.train, arguments.test, arguments.config,
                                  arguments.seeds, arguments.checkpoints)
    print(fixed_split.as_json(results) if arguments.json else fixed_split.table(results))


if __name__ == "__main__":
    main()
