#!/usr/bin/python3
"""Turns Globo's clicks into the log that `groundswell` reads.

Reads a CSV with the columns timestamp_ms, user, item (others are passed over), in time order, plain or .zst,
and writes timestamp (Unix seconds, with milliseconds), user, item.

    bench/globo.py ../shared/data/globo/events.csv.zst build/globo.csv

The data (Globo.com, for the CHAMELEON papers of G. de Souza P. Moreira et al., 2018) is for academic and
non-commercial use, so it is not bundled: bench/README.md says where to get it.
"""

import argparse
import csv
import pathlib
import sys

from tqdm import tqdm

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from trainer.data import open_text


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clicks", help="CSV with timestamp_ms, user, item; .zst too")
    parser.add_argument("log", type=pathlib.Path, help="where the log goes")
    arguments = parser.parse_args()
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    with open_text(arguments.clicks) as clicks, open(arguments.log, "w", encoding="utf-8") as log:
        log.write("timestamp,user,item\n")
        for row in tqdm(csv.DictReader(clicks), unit=" clicks", disable=None):
            time_ms = int(row["timestamp_ms"])
            log.write(f"{time_ms // 1000}.{time_ms % 1000:03d},{row['user']},{row['item']}\n")


if __name__ == "__main__":
    main()
