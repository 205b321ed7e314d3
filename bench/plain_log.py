"""The log of a script of bench/ that counts every event as one: as the trainer reads it, in time order."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from trainer import log_files


def events(path):
    """Yields (time in seconds, user, item) of each record. ValueError, naming file and line, at the first
    that is none, that takes back or weighs nothing, or that is earlier than one before it."""
    newest_us = 0
    for record in log_files.read(path, log_files.EventWeights()):
        if record.weight <= 0:
            raise ValueError(f"{path}:{record.line}: the event weighs {record.weight}, and each counts as one here; "
                             "leave out what takes back or hides")
        if record.time_us < newest_us:
            raise ValueError(f"{path}:{record.line}: it is earlier than one before it; sort the file by timestamp")
        newest_us = record.time_us
        yield record.time_us / 1_000_000, record.user, record.item
