#!/usr/bin/python3
"""Turns Globo's clicks into the log that `groundswell` reads: timestamp (Unix seconds), user, item, in time order.

Reads the folder `clicks` of the data set (one CSV an hour, with user_id, click_article_id and click_timestamp in
milliseconds), or one CSV with the columns timestamp_ms, user, item, plain or .zst.

    bench/globo.py clicks build/globo.csv

The data is for academic use only and therefore not bundled: bench/README.md says where to get it.
"""

import argparse
import csv
import pathlib
import sys

from tqdm import tqdm

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from trainer.log_files import open_text

HOURLY = ("click_timestamp", "user_id", "click_article_id")
WHOLE = ("timestamp_ms", "user", "item")


def read(path):
    """(time in milliseconds, user, item) of every click, in time order; equal times as they stand."""
    paths = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    clicks = []
    for part in tqdm(paths, desc="reading", unit=" files", disable=None):
        with open_text(part) as stream:
            rows = csv.DictReader(stream)
            columns = HOURLY if HOURLY[0] in (rows.fieldnames or ()) else WHOLE
            missing = set(columns) - set(rows.fieldnames or ())
            if missing:
                raise ValueError(f"{part}: the header lacks {', '.join(sorted(missing))}")
            clicks += [(int(row[columns[0]]), row[columns[1]], row[columns[2]]) for row in rows]
    clicks.sort(key=lambda click: click[0])
    return clicks


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clicks", type=pathlib.Path, help="the folder, or one CSV")
    parser.add_argument("log", type=pathlib.Path, help="where the log goes")
    parser.add_argument("--events", type=int, default=0, help="only the first so many; 0: all")
    arguments = parser.parse_args()
    try:
        clicks = read(arguments.clicks)
    except (OSError, ValueError) as error:
        sys.exit(f"globo: {error}")
    if arguments.events:
        clicks = clicks[:arguments.events]
    if not clicks:
        sys.exit(f"globo: {arguments.clicks} has no clicks")
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    with open(arguments.log, "w", encoding="utf-8") as log:
        log.write("timestamp,user,item\n")
        for time_ms, user, item in tqdm(clicks, desc="writing", unit=" clicks", disable=None):
            log.write(f"{time_ms // 1000}.{time_ms % 1000:03d},{user},{item}\n")


if __name__ == "__main__":
    main()
