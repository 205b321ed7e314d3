"""Reads a training's TOML file; trainer/online-retail.toml explains every field.

A table or key that nothing reads is refused, so that a misspelt one is not ignored.
"""

import dataclasses
import difflib
import re
import tomllib

from trainer import data, embeddings, encoders, log_files, programs, rankers, ranking, replay

# Keys that a table must have, and keys that it may have.
_KEYS = {
    "snapshot": (("name", "output"), ("server",)),
    "data": (("events", "validation_days"),
             ("heldout_days", "heldout_from", "items", "items_rule", "provenance", "type", "columns")),
    "clusters": (("users", "items", "seed"), ()),
}
_TABLES = (*_KEYS, *embeddings.KINDS, "encoder", "rows", "ranker", "blend", "serving")
_CANDIDATES = {"candidates": 8}
_TEXT_BYTES_MAX = 256  # of every string of a manifest
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")  # what a file of a snapshot may be called


@dataclasses.dataclass
class Rows:
    """The training rows, the same for every ranker."""

    # Per positive, by how they are drawn (replay.SOURCES). "candidates" in a configuration: _CANDIDATES.
    negatives: dict = dataclasses.field(default_factory=lambda: {"uniform": 2, "popular": 2})
    # Of the negatives that are candidates: which of a server's sources are asked, and how their list is
    # drawn from (replay.Candidates).
    candidate_sources: tuple = replay.Candidates.sources
    candidate_draw: str = replay.Candidates.draw
    seed: int = 1
    # Of the events that rankers are measured on, how many are: whole events with all their negatives,
    # the same ones however these are drawn. Training reads all of its own.
    measured_share: float = 1.0

    def __post_init__(self):
        if not 0 < self.measured_share <= 1:
            raise ValueError(f"measured_share is {self.measured_share}; it must be above 0 and at most 1")
        _refuse_unknown(self.negatives, replay.SOURCES, "negatives")
        if not all(type(count) is int and count >= 0 for count in self.negatives.values()) or not any(
                self.negatives.values()):
            raise ValueError(f"negatives is {self.negatives}; it must have numbers of 0 or more, not all 0")
        _refuse_unknown(self.candidate_sources, replay.CANDIDATE_SOURCES, "candidate_sources")
        if not self.candidate_sources:
            raise ValueError("candidate_sources is empty; name one or more of "
                             f"{', '.join(replay.CANDIDATE_SOURCES)}")
        if self.candidate_draw not in replay.CANDIDATE_DRAWS:
            raise ValueError(f'candidate_draw is "{self.candidate_draw}"; it must be "stratified" or "uniform"')

    def candidates(self):
        return replay.Candidates(self.candidate_sources, self.candidate_draw)


@dataclasses.dataclass
class Blend:
    """What the snapshot brings of the blend that orders lists."""

    # Weights learned from the validation period; else the server begins with those it has built in.
    learn: bool = False


def read(path):
    """The tables of the file by name."""
    config = parse(path)
    check(config, path)
    return config


def parse(path):
    """The same, not looked at."""
    with open(path, "rb") as stream:
        try:
            return tomllib.load(stream)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: {error}") from error


def check(config, path):
    """ValueError, naming `path`, where a table is not one that a training reads."""
    if "macgnn" in config:
        raise ValueError(f'{path}: [macgnn] is now a [[ranker]] with kind = "macgnn"; its '
                         "negatives are in [rows]")
    _refuse_unknown(config, _TABLES, path)
    for table, (required, optional) in _KEYS.items():
        _refuse_unknown(config.get(table, {}), (*required, *optional), f"{path}: [{table}]")
        for key in required:
            if key not in config.get(table, {}):
                raise ValueError(f"{path}: [{table}] lacks {key}; trainer/online-retail.toml explains it")
    of_data = config["data"]
    if ("heldout_days" in of_data) == ("heldout_from" in of_data):
        raise ValueError(f"{path}: [data] must have one of heldout_days and heldout_from, which say what is held out")
    _check_events(of_data["events"], path)
    _check_texts({"[snapshot]: name": config["snapshot"]["name"],
                  **{f"[data.provenance]: {key}": value for key, value in of_data.get("provenance", {}).items()}}, path)
    _refuse_unknown(of_data.get("columns", {}), log_files.COLUMNS, f"{path}: [data.columns]")
    if of_data.get("items_rule", data.AS_THEY_ARE) not in data.ITEMS_RULES:
        raise ValueError(f"{path}: [data]: items_rule is {of_data['items_rule']!r}; there are "
                         f"{', '.join(data.ITEMS_RULES)}")


def _check_events(events, path):
    names = [events] if isinstance(events, str) else events
    if not (isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)):
        raise ValueError(f"{path}: [data]: events is {events!r}; it must be a file, or a list of files that "
                         'are parts of one log, such as ["events.csv.zst", "log.jsonl"]')


def _check_texts(texts, path):
    """Of the manifest, as a server reads it: before the work."""
    for name, text in texts.items():
        if not (isinstance(text, str) and len(text.encode()) <= _TEXT_BYTES_MAX and not _CONTROL.search(text)):
            raise ValueError(f"{path}: {name} is {str(text)[:64]!r}; it must be a string of at most {_TEXT_BYTES_MAX} "
                             "bytes without control characters")


def server(config):
    """The path of the server's program, which makes the rows; `groundswell` is expected beside it."""
    return programs.server(config["snapshot"].get("server"))


def options(kind, table, where):
    """An object of the dataclass `kind` with the fields of `table`. A field whose name is a word of Python has
    a line behind it, such as `lambda_`."""
    fields = {field.name.rstrip("_"): field for field in dataclasses.fields(kind)}
    _refuse_unknown(table, fields, where)
    for name, value in table.items():
        default = fields[name].default
        if default is dataclasses.MISSING:
            default = fields[name].default_factory()
        if isinstance(default, tuple):
            table = {**table, name: tuple(value)}
        elif isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            table = {**table, name: float(value)}
        elif type(value) is not type(default):
            raise ValueError(f"{where}: {name} is {value!r}; it must be {_ARTICLES[type(default)]}")
    try:
        return kind(**{fields[name].name: value for name, value in table.items()})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


_ARTICLES = {int: "an integer", float: "a number", str: "a string", bool: "true or false", dict: "a table"}


def embeddings_of(config):
    """(kind, its Options): LightGCN, or what else has a table."""
    given = [kind for kind in embeddings.KINDS if kind in config]
    if len(given) > 1:
        raise ValueError(f"there are [{'] and ['.join(given)}]: a snapshot has embeddings of one kind; remove all "
                         "but one")
    kind = given[0] if given else "lightgcn"
    return kind, options(embeddings.KINDS[kind].Options, config.get(kind, {}), f"[{kind}]")


def encoders_of(config):
    """The Encoder of every [[encoder]], in order; the first of a side is what a server takes by itself."""
    found, (_, of_embeddings) = [], embeddings_of(config)
    tables = config.get("encoder", [])
    if len(tables) > encoders.COUNT_MAX:
        raise ValueError(f"there are {len(tables)} [[encoder]]; a snapshot has at most {encoders.COUNT_MAX}")
    for position, table in enumerate(tables, start=1):
        where = f"encoder {position}"
        table = dict(table)
        kind, name, side = (table.pop(key, None) for key in ("kind", "name", "side"))
        if kind not in encoders.KINDS:
            raise ValueError(f'{where}: kind is "{kind}"; there are {", ".join(encoders.KINDS)}')
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f'{where}: name is "{name}"; it must be of letters, digits, ".", "_", "-"')
        if name in (encoder.name for encoder in found):
            raise ValueError(f'{where}: there is another encoder of the name "{name}"')
        where = f"encoder {name} of kind {kind}"
        given = options(encoders.KINDS[kind], table, where)
        try:
            found.append(encoders.Encoder(name, side, encoders.fitted(given, side, of_embeddings)))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return found


def rankers_of(config):
    """The Ranker of every [[ranker]], in order; the first is the snapshot's default. A loss that is not set is
    softmax where negatives are candidates: only against each other do they say anything."""
    found = []
    has_candidates = rows(config).negatives.get("candidates", 0) > 0
    for position, table in enumerate(config.get("ranker", []), start=1):
        where = f"ranker {position}"
        table = dict(table)
        kind = table.pop("kind", None)
        name = table.pop("name", None)
        if kind not in rankers.KINDS:
            raise ValueError(f'{where}: kind is "{kind}"; there are {", ".join(rankers.KINDS)}')
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f'{where}: name is "{name}"; it must be of letters, digits, ".", "_", "-"')
        if name == rankers.NOT_TRAINED or name in (ranker.name for ranker in found):
            raise ValueError(f'{where}: there is another ranker of the name "{name}"')
        of_training = {field.name for field in dataclasses.fields(ranking.Options)}
        model_options = rankers.KINDS[kind].Options
        if has_candidates:
            table.setdefault("loss", "softmax")
        _refuse_unknown(table, {*of_training, *(f.name for f in dataclasses.fields(model_options))},
                        f"{where}, {name}")
        split = lambda inside: {key: value for key, value in table.items()
                                if (key in of_training) == inside}
        if has_candidates and table.get("features") == "frozen":
            raise ValueError(f'{where}, {name}: features is "frozen"; candidates are those just before each event: '
                             "draw other negatives, or set features to \"live\"")
        found.append(rankers.Ranker(name, kind, options(model_options, split(False), f"ranker {name}"),
                                    options(ranking.Options, split(True), f"ranker {name}")))
    if not found:
        raise ValueError("there is no [[ranker]]: add one, such as kind = \"macgnn\", name = \"macgnn\"")
    return found


def rows(config):
    table = dict(config.get("rows", {}))
    if table.get("negatives") == "candidates":
        table["negatives"] = _CANDIDATES
    elif isinstance(table.get("negatives"), str):
        raise ValueError(f"[rows]: negatives is \"{table['negatives']}\"; it must be \"candidates\", or a table "
                         "such as { uniform = 2, popular = 2 }")
    return options(Rows, table, "[rows]")


def blend(config):
    return options(Blend, config.get("blend", {}), "[blend]")


def serving(config):
    """{"section.name": value}: the settings of the servers that `compare` starts, which refuse what they
    do not know."""
    found = {}
    for section, table in config.get("serving", {}).items():
        if not isinstance(table, dict):
            raise ValueError(f"[serving]: {section} must be in a section of the server's configuration, such "
                             "as [serving.retrieval]")
        if section == "event_types":  # one setting of the server
            found[section] = log_files.weights_of(config).text()
        else:
            found |= {f"{section}.{name}": value for name, value in table.items()}
    return found


def _refuse_unknown(table, known, where):
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise ValueError(f"{where}: nothing reads {name}; {hint}")
