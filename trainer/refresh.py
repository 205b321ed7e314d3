"""The next snapshot of a running server: from its log to what it serves.

    export the server's log, and join it with the files that are named
      -> train on all but the newest days, and measure
      -> the gate: replay the newest days to it and to what is served; it must not lose
      -> train on everything
      -> activate, and remove the oldest snapshots

`groundswell train` is this. A run that ends early leaves the server with what it serves.
"""

import contextlib
import copy
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from trainer import configuration, data, log_files, programs, safetensors, serving_quality, snapshot, training

_DEFAULT_NAME = "trained"
_CLUSTERS = {"users": 20, "items": 30}
_MEMBERS_MIN = 10  # of a cluster, on average
_VALIDATION_DAYS_MAX = 14.0
_VALIDATION_SHARE = 0.1  # of the time before the cut
_CUTOFF = "20"
# Of the running server, the sections and the settings that decide about its lists.
_SECTIONS = ("retrieval", "walk", "encoder")
_SETTINGS = ("blend.learning", "ranking.candidates_max", "graph.neighbors_max")
_STAMP = r"\d{8}T\d{6}Z"  # behind the name of a snapshot's directory


class NotTrained(Exception):
    """There is nothing to do, which is no error."""


class GateClosed(ValueError):
    """The new snapshot loses."""


class RunningServer:
    """What `groundswell` tells of the server, and does to it, by the environment that it was called with."""

    def __init__(self, namespace):
        self._environment = dict(os.environ)
        self._client = [str(programs.client()), "--namespace", namespace, "--timeout-ms",
                        str(serving_quality.CALL_TIMEOUT_MS)]
        # The servers of the trainer's own are others: neither settings nor certificates are for them.
        for name in [name for name in os.environ if name.startswith("GROUNDSWELL_")]:
            if name != programs.SERVER_VARIABLE:
                del os.environ[name]

    def told(self, *command):
        done = subprocess.run([*self._client, "--json", *command], check=True, stdout=subprocess.PIPE, text=True,
                              env=self._environment)
        return json.loads(done.stdout)

    def export_log(self, path):
        with open(path, "wb") as stream:
            subprocess.run([*self._client, "log"], check=True, stdout=stream, env=self._environment)


@dataclass
class Gate:
    """What the new snapshot and what is served found of the newest days: the hit rate of lists of 20, just before each
    event, and half of its 95% interval, by user."""

    served: str
    events: int
    new_hit_rate: float
    new_interval: float
    served_hit_rate: float
    served_interval: float

    @property
    def loses(self):
        """Beyond what the choice of users explains. The same users are asked of both, so that this says it rather too
        late than too early."""
        spread = float(np.hypot(self.new_interval, self.served_interval))
        return self.new_hit_rate + spread < self.served_hit_rate

    def line(self):
        """For people."""
        return (f"gate: HR@{_CUTOFF} {self.new_hit_rate:.4f} ± {self.new_interval:.4f} of the new snapshot, "
                f"{self.served_hit_rate:.4f} ± {self.served_interval:.4f} of {self.served}, {self.events} events of the "
                "newest days")


def refresh(given):
    """Does it; `given` are the flags of `trainer refresh`. What was done, for programs."""
    server = RunningServer(given.namespace)
    status = server.told("status")
    place = Path(given.snapshots).absolute()
    place.mkdir(parents=True, exist_ok=True)
    with _only_run(place), tempfile.TemporaryDirectory(prefix="groundswell-train-") as work:
        work = Path(work)
        config, log_path = _configured(given, status), work / "log.jsonl"
        server.export_log(log_path)
        config["data"]["events"] = _parts(given, status, log_path)
        served = _served(server, status)
        if not given.no_gate:
            _check_comparable(served)
        run, reason = _training(config, given.held_out_days, served)
        if reason:
            raise NotTrained(reason)
        measured = work / "measured"
        measured.mkdir()
        run.snapshot(measured, work)
        gate = None
        if not given.no_gate:
            gate = _gate(run, measured, served, _settings(status, config), given.gate_events, work)
            print(gate.line() if gate else "gate: there is nothing to compare: no event of the newest days is one to ask before")
            if gate and gate.loses:
                raise GateClosed("the new snapshot finds less than what is served: not activated. Look at the figures "
                                 "above; --no-gate activates it all the same")
        whole = work / "whole"
        whole.mkdir()
        run.whole(whole, work, measured)
        if given.file:
            _precede_removals(whole)
        directory = _kept(whole, place, config["snapshot"]["name"])
        print(f"wrote {directory}")
        if not given.no_activate:
            server.told("activate", str(directory))
            print(f"{directory.name} serves")
        removed = _remove_old(place, config["snapshot"]["name"], given.keep, directory, server)
        manifest = snapshot.read_manifest(directory)
        return {"directory": str(directory), "version": f"{manifest['name']}@{manifest['version']}",
                "trained_until": manifest["data"]["trained_until"], "interactions": len(run.log),
                "users": manifest["users"], "items": manifest["items"], "gate": asdict(gate) if gate else None,
                "activated": not given.no_activate, "removed": removed}


@contextlib.contextmanager
def _only_run(place):
    """ValueError while another run is at work in the directory."""
    with open(place / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another training is at work in {place}: wait until it has ended") from None
        yield


def _configured(given, status):
    """The tables of --config, with defaults and the flags in them; not yet what the log is."""
    config = configuration.parse(given.config) if given.config else {}
    of_snapshot, of_data = config.setdefault("snapshot", {}), config.setdefault("data", {})
    of_snapshot.setdefault("name", _DEFAULT_NAME)
    if "output" in of_snapshot:
        raise ValueError(f"{given.config}: [snapshot]: output is set by --snapshots here; remove it")
    of_snapshot["output"] = given.snapshots
    for key in ("events", "heldout_days", "heldout_from"):
        if key in of_data:
            raise ValueError(f"{given.config}: [data]: {key} is set by the command here; remove it")
    if given.items:
        of_data["items"] = given.items
    named = {name: getattr(given, name) for name in log_files.COLUMNS if getattr(given, name)}
    if named:
        of_data["columns"] = {**of_data.get("columns", {}), **named}
    if not config.get("ranker"):
        config["ranker"] = [{"name": "macgnn", "kind": "macgnn"}]
    running = tomllib.loads(status["configuration"])
    config.setdefault("serving", {}).setdefault("event_types", running["event_types"])
    return config


def _parts(given, status, log_path):
    """The files of the log."""
    begins, has_log = int(status["graph"].get("log_begin_offset", 0)), log_path.stat().st_size > 0
    if begins > 1 and not given.file and not given.partial_log:
        raise ValueError(f"the server's log begins at offset {begins}: what precedes it, such as what its first snapshot "
                         "was trained on, would be missing. Name the file that has it, or take --partial-log")
    parts = [*map(str, given.file), *([str(log_path)] if has_log else [])]
    if not parts:
        raise NotTrained("the server's log is empty, and no file is named")
    is_empty = not int(status["graph"].get("log_end_offset", 0)) and not int(status.get("snapshot", {}).get("users", 0))
    if is_empty and not has_log and not given.no_activate:
        raise ValueError("the server has neither a log nor a snapshot, and would not take this one over it: ingest the files "
                         "first (groundswell ingest), or take --no-activate, and import into a new directory")
    return parts


@dataclass
class Served:
    """What the server answers from."""

    name: str
    directory: Path = None  # None: no snapshot
    trained_until_s: int = None  # where its manifest says it


def _served(server, status):
    """Served of the running server."""
    digest = status.get("snapshot", {}).get("digest")
    listed = server.told("snapshots").get("snapshots", [])
    found = next((entry for entry in listed if entry["state"] == "SNAPSHOT_STATE_SERVING"), None)
    if found is None or not int(status["snapshot"].get("users", 0)):
        return Served("the server without a snapshot")
    directory = Path(found["directory"])
    try:
        is_there = snapshot.sha256(directory / "manifest.json") == digest
    except OSError:  # another machine's, or of a directory that only the server may read
        is_there = False
    if not is_there:
        return Served(found["version"], directory)
    until = snapshot.read_manifest(directory).get("data", {}).get("trained_until", "")
    time_us = log_files.parse_time_us(until)
    return Served(found["version"], directory, None if time_us is None else time_us // 1_000_000)


def _training(config, held_out_days, served):
    """(training.Training of the log, None), or (None, why there is nothing to train on)."""
    draft = copy.deepcopy(config)
    try:
        log = data.read_log(log_files.files_of(draft), log_files.weights_of(draft), log_files.read_by(draft))
    except data.EmptyLog as why:
        return None, str(why)
    begin_s, end_s = int(log.time_s[0]), int(log.time_s[-1])
    if served.trained_until_s is not None and served.trained_until_s > end_s:
        return None, f"nothing has come since {served.name} was trained"
    # What is served knows what precedes its own end: both are measured by what neither knows.
    cut_s = max(int(end_s - held_out_days * data.DAY_S), served.trained_until_s or 0)
    of_data = config["data"]
    before_days = (cut_s - begin_s) / data.DAY_S
    of_data.setdefault("validation_days", min(_VALIDATION_DAYS_MAX, _VALIDATION_SHARE * before_days))
    of_data["heldout_from"] = snapshot.rfc3339(cut_s)
    known = int(np.searchsorted(log.time_s, cut_s))
    if known == 0:
        return None, (f"all of the log is of the {held_out_days:g} newest days, which are held out; take fewer by "
                      "--held-out-days")
    of_clusters = config.setdefault("clusters", {})
    for side, ids in (("users", log.user), ("items", log.item)):
        there = len(set(ids[:known]))
        of_clusters.setdefault(side, max(1, min(_CLUSTERS[side], there // _MEMBERS_MIN)))
    of_clusters.setdefault("seed", 1)
    configuration.check(config, "--config")
    return training.Training(config), None


def _settings(status, config):
    """Of the servers that replay: what decides about the lists of the running one."""
    running = tomllib.loads(status["configuration"])
    found = {f"{section}.{name}": value for section, settings in running.items() if isinstance(settings, dict)
             for name, value in settings.items()
             if value != "" and (section in _SECTIONS or f"{section}.{name}" in _SETTINGS)}
    return {**found, **configuration.serving(config), **serving_quality.REPLAY_SETTINGS,
            "ingest.create_items": "always"}


def _gate(run, measured, served, settings, events, work):
    """What both find; None where there is no event to compare them by."""
    cut_s = run.split.cut_s
    first = int(np.searchsorted(run.log.time_s, cut_s))
    later = run.log.at(np.arange(first, len(run.log)))
    every = max(1, len(later) // events)
    replay = lambda directory, log: serving_quality.replayed_hit_rate(
        run.server, directory, settings, log, cut_s, every, run.weights.any_type(), work)
    new = replay(measured, later)
    old = replay(served.directory, _unknown_to(served, run.log))
    if new is None or old is None:
        return None
    return Gate(served.name, new.events, new.mean, new.half_width, old.mean, old.half_width)


def _check_comparable(served):
    if served.directory is not None and served.trained_until_s is None:
        raise ValueError(f"{served.name} cannot be compared: {served.directory} is not there any more, cannot be read here, "
                         "or does not say until when it was trained (data.trained_until). Take --no-gate this once")


def _unknown_to(served, log):
    """What a server that begins with what is served has to be told."""
    if served.directory is None:
        return log
    return log.at(np.flatnonzero(log.time_s >= served.trained_until_s))


def _precede_removals(directory):
    """Has the snapshot count as one of the time before the server's log. Named files may have whom that log forgot, and
    more interactions than it: so the server takes every removal for one that the snapshot does not know, and the snapshot
    does not end behind the log. An activation takes the counts of the live graph, none of the snapshot's; an import over a
    log that begins later than this is refused."""
    graph, metadata = safetensors.read(directory / snapshot.GRAPH_FILE)
    graph = {name: np.array(values) for name, values in graph.items()}
    # Of one user and second the later offset is a later microsecond instead.
    user = np.repeat(np.arange(len(graph["user_begin"]) - 1), np.diff(graph["user_begin"]))
    order = np.lexsort((graph["last_offset"], graph["last_time_us"], user))
    at = np.arange(len(order))
    begins = np.ones(len(order), bool)
    begins[1:] = (np.diff(user[order]) != 0) | (np.diff(graph["last_time_us"][order]) != 0)
    graph["last_time_us"][order] += at - np.maximum.accumulate(np.where(begins, at, 0))
    graph["last_offset"][:] = 1
    safetensors.write(directory / snapshot.GRAPH_FILE, graph, metadata)
    fields = snapshot.read_manifest(directory)
    fields["graph_offset"] = 1
    del fields["format_version"], fields["files"]
    snapshot.write_manifest(directory, fields)


def _kept(draft, place, name):
    """The draft's place among the snapshots, to which it comes as a whole. What a run left beside them that was killed
    is removed."""
    for left in place.iterdir():
        if re.fullmatch(rf"\..+-{_STAMP}", left.name):
            shutil.rmtree(left)
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    directory = place / f"{name}-{stamp}"
    beside = place / f".{directory.name}"
    try:
        shutil.copytree(draft, beside)
        beside.chmod(0o755)
        os.rename(beside, directory)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return directory


def _remove_old(place, name, keep, newest, server):
    """All but the newest `keep` of this name, and but what serves; their directories."""
    serving = {Path(entry["directory"]).resolve() for entry in server.told("snapshots").get("snapshots", [])
               if entry["state"] == "SNAPSHOT_STATE_SERVING"}
    ours = re.compile(re.escape(name) + "-" + _STAMP)
    found = sorted(path for path in place.iterdir() if ours.fullmatch(path.name) and path.is_dir())
    old = [path for path in found[:-keep] if path != newest and path.resolve() not in serving]
    for path in old:
        shutil.rmtree(path)
    return [str(path) for path in old]


def run(given):
    """The command: 0 where there is nothing to do, too."""
    # Progress is for people: it leaves standard output to the result.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            done = refresh(given)
        except NotTrained as why:
            print(f"not trained: {why}")
            done = {"directory": None, "activated": False, "reason": str(why)}
    if given.json:
        print(json.dumps(done))
