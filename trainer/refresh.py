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

from trainer import configuration, data, log_files, programs, serving_quality, snapshot, training

_DEFAULT_NAME = "trained"
_CLUSTERS = {"users": 20, "items": 30}
_MEMBERS_MIN = 10  # of a cluster, on average
_VALIDATION_DAYS_MAX = 14.0
_VALIDATION_SHARE = 0.1  # of the time before the cut
_CUTOFF = "20"
# Of the running server, what decides about its lists.
_SECTIONS = ("retrieval", "walk")


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
        run, reason = _training(config, given.held_out_days, served)
        if reason:
            raise NotTrained(reason)
        measured = work / "measured"
        measured.mkdir()
        run.snapshot(measured, work)
        gate = None
        if not given.no_gate:
            gate = _gate(run, measured, served, _settings(status, config), given.gate_events, work)
            print(gate.line())
            if gate.loses:
                raise GateClosed("the new snapshot finds less than what is served: not activated. Look at the figures "
                                 "above; --no-gate activates it all the same")
        whole = work / "whole"
        whole.mkdir()
        run.whole(whole, work, snapshot.read_manifest(measured)["metrics"])
        _end_at_the_log(whole, status)
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
    manifest_path = directory / "manifest.json"
    if not manifest_path.is_file() or snapshot.sha256(manifest_path) != digest:
        return Served(found["version"], directory)
    until = snapshot.read_manifest(directory).get("data", {}).get("trained_until", "")
    time_us = log_files.parse_time_us(until)
    return Served(found["version"], directory, None if time_us is None else time_us // 1_000_000)


def _training(config, held_out_days, served):
    """(training.Training of the log, None), or (None, why there is nothing to train on)."""
    draft = copy.deepcopy(config)
    log = data.read_log(log_files.files_of(draft), log_files.weights_of(draft), log_files.read_by(draft))
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
    found = {f"{section}.{name}": value for section in _SECTIONS for name, value in running.get(section, {}).items()
             if value != ""}
    return {**found, **configuration.serving(config), **serving_quality.REPLAY_SETTINGS,
            "ingest.create_items": "always"}


def _gate(run, measured, served, settings, events, work):
    """What both find."""
    cut_s = run.split.cut_s
    first = int(np.searchsorted(run.log.time_s, cut_s))
    later = run.log.at(np.arange(first, len(run.log)))
    every = max(1, len(later) // events)
    replay = lambda directory, log: serving_quality.replayed_hit_rate(
        run.server, directory, settings, log, cut_s, every, run.weights.any_type(), work)
    new = replay(measured, later)
    old = replay(served.directory, _unknown_to(served, run.log))
    return Gate(served.name, new.events, new.mean, new.half_width, old.mean, old.half_width)


def _unknown_to(served, log):
    """What a server that begins with what is served has to be told."""
    if served.directory is None:
        return log
    if served.trained_until_s is None:
        raise ValueError(f"{served.name} cannot be compared: {served.directory} is not there any more, or does not say "
                         "until when it was trained (data.trained_until). Take --no-gate this once")
    return log.at(np.flatnonzero(log.time_s >= served.trained_until_s))


def _end_at_the_log(directory, status):
    """A log that has more than the server's own would end behind it. What was removed since the server's log began is
    not to come back: the snapshot then counts as one of that moment."""
    fields = snapshot.read_manifest(directory)
    if fields["graph_offset"] > int(status["graph"].get("log_end_offset", 0)):
        fields["graph_offset"] = max(0, int(status["graph"].get("log_begin_offset", 1)) - 1)
        del fields["format_version"], fields["files"]
        snapshot.write_manifest(directory, fields)


def _kept(draft, place, name):
    """The draft's place among the snapshots, to which it comes as a whole."""
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    directory = place / f"{name}-{stamp}"
    beside = place / f".{directory.name}"
    shutil.copytree(draft, beside)
    beside.chmod(0o755)
    os.rename(beside, directory)
    return directory


def _remove_old(place, name, keep, newest, server):
    """All but the newest `keep` of this name, and but what serves; their directories."""
    serving = {entry["directory"] for entry in server.told("snapshots").get("snapshots", [])
               if entry["state"] == "SNAPSHOT_STATE_SERVING"}
    ours = re.compile(re.escape(name) + r"-\d{8}T\d{6}Z")
    found = sorted(path for path in place.iterdir() if ours.fullmatch(path.name) and path.is_dir())
    old = [path for path in found[:-keep] if path != newest and str(path) not in serving]
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
