"""From a log to a snapshot: every step in order."""

import copy
import dataclasses
import hashlib
import json
import shutil
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from trainer import (blend, clusters, configuration, data, embeddings, encoders, evaluation, examples,
                     log_files, rankers, ranking, replay, row_quality, safetensors, serving_quality, snapshot)


def train(config_path, checkpoints=None):
    """Trains what the configuration says and replaces its output directory when all is done.

    With `checkpoints`, a directory, a run that was stopped goes on where it was.
    """
    run = Training(configuration.read(config_path), checkpoints)
    for ranker in run.rankers:
        ranker.manifest()  # refuses what cannot be served, before the work
    output = Path(run.config["snapshot"]["output"])
    snapshot.files_to_replace(output)  # refuses what must stay, likewise
    with tempfile.TemporaryDirectory(prefix="groundswell-train-") as work:
        draft = Path(work) / "snapshot"
        draft.mkdir()
        run.snapshot(draft, work)
        _replace(draft, output)
    print(f"wrote {output}")


def add_examples(config_path):
    """Gives the snapshot that `train` wrote its examples, of the rows that `train` would take."""
    run = Training(configuration.read(config_path))
    output = Path(run.config["snapshot"]["output"])
    with tempfile.TemporaryDirectory(prefix="groundswell-train-") as work:
        past = replay.Replay(run.server, output, run.log, work)
        rows = run.rows(past, 0, run.split.cut_s)
        examples.write(output, snapshot.read_manifest(output)["models"], rows, run.of_rows.seed)
    snapshot.update_files(output)
    print(f"wrote {output / snapshot.EXAMPLES_FILE}")


def compare(config_path, seeds, period, also_frozen=False, lists_of=0, replay_every=0, only=None,
            checkpoints=None, sampled=0):
    """How the rankers of the configuration, trained with each of the seeds, order rows of the time
    after: the "heldout" rows, or those of the "validation" period, to choose options by.

    {"seeds", "period", "events": how many the rows are of, "judgement": of how many in the period, and why
    there are none of the others, "negatives": {sampling: {scorer: {metric:
    (mean, standard deviation)}}}}, and "by_history" likewise, of row_quality.by_history.
    Embeddings, clusters and catalogue are those of the snapshot that `train` wrote, which is not
    changed; rankers may be ablations. `only` names those that are wanted. `also_frozen` measures each with
    features frozen at the beginning of the period, too. `sampled`, a number: each positive stands against so
    many, and NDCG is of the first 2, as SURGE and its table of baselines were published with 99.

    Of the "heldout" period also "lists", likewise by order, of a server that has all these rankers. With
    `lists_of`, a number of users: what it recommends at the cut to so many of the users who have a past
    and took something new later. With `replay_every`: what it recommends just before one event in so
    many, having been told all events before, new items among them.
    """
    serves = lists_of or replay_every
    if serves and period != "heldout":
        raise ValueError("lists are made by a server that holds all before the cut: use --period heldout")
    run = Training(configuration.read(config_path), checkpoints)
    run.rankers = _those(run.rankers, only)
    output = Path(run.config["snapshot"]["output"])
    if serves:
        for ranker in run.rankers:
            ranker.manifest()  # refuses what cannot be served, before the work
    with tempfile.TemporaryDirectory(prefix="groundswell-train-") as work:
        past = replay.Replay(run.server, output, run.log, work)
        chooses = period == "validation" or run.chooses_epochs()
        epochs = _embedding_epochs(output, run.embedding_kind) if chooses else None
        material = _Material(run, past, output, epochs, chooses)
        models = {ranker.name: [] for ranker in run.rankers}
        for seed in seeds:
            for ranker in run.rankers:
                ranker.training.seed = seed
                models[ranker.name].append(run.train_ranker(ranker, material, period))
        found = {"seeds": seeds, "period": period, "lists": {}, "asked": [],
                 **_measure_rows(run, models, past, material, period, also_frozen, sampled)}
        draft = Path(work) / "served"
        if serves:
            _write_models(run, models, material, seeds, draft)
        if lists_of:
            lists, found["asked"] = _measure_lists(run, models, material.catalogue, seeds, lists_of, draft)
            found["lists"] |= lists
        if replay_every:
            found["lists"] |= _measure_replayed(run, models, seeds, replay_every, draft)
    return found


def _those(rankers_, names):
    """The rankers of these names, all without names."""
    unknown = set(names or ()) - {ranker.name for ranker in rankers_}
    if unknown:
        raise ValueError(f"the configuration has no ranker {', '.join(sorted(unknown))}; there are "
                         f"{', '.join(ranker.name for ranker in rankers_)}")
    return [ranker for ranker in rankers_ if not names or ranker.name in names]


def _measure_rows(run, models, past, material, period, also_frozen, sampled):
    """"events", "judgement", "negatives" and "by_history" of `compare`."""
    found, by_history = {}, {}
    catalogue_ = material.earlier_catalogue if period == "validation" else material.catalogue
    how = {"ndcg_at": row_quality.SAMPLED_NDCG_AT} if sampled else {}
    for sampling, later in run.rows_after(past, period, also_frozen, sampled):
        judgement = later.judgement
        found[sampling] = {name: _mean_and_spread([values])
                           for name, values in _measure_baselines(later, catalogue_, **how).items()}
        by_history[sampling] = {}
        for name, of_seeds in models.items():
            scores = [ranking.score(model, later) for model in of_seeds]
            found[sampling][name] = _mean_and_spread(
                [row_quality.measure(later, values, **how) for values in scores])
            by_history[sampling][name] = _mean_and_spread(
                [row_quality.by_history(later, values) for values in scores])
    return {"events": judgement.judged, "judgement": judgement.fields(), "negatives": found,
            "by_history": by_history}


def _measure_lists(run, models, catalogue_, seeds, users, draft):
    """(lists, asked): {order: {scorer: {metric: (mean, standard deviation)}}} of what a server of the
    snapshot `draft` answers so many users at the cut, and of what needs no server; and in words, of how
    many."""
    truth = evaluation.new_items(run.interactions, run.split.cut_s, run.split.end_s + 1)
    asked = serving_quality.asked(truth)
    truth = evaluation.sample_users(truth, users, run.of_rows.seed)
    measured = serving_quality.lists_of_rankers(run.server, draft, configuration.serving(run.config),
                                                run.interactions, truth, run.split.cut_s,
                                                _served_names(models, seeds))
    of_users = lambda lists: {name: serving_quality.recall_ndcg(of_name, truth.relevant)
                              for name, of_name in lists.items()}
    lists = {f"{len(truth.relevant)} users at the cut, {order}": _by_ranker(of_users(of_order), models, seeds)
             for order, of_order in measured.items()}
    baselines = serving_quality.baseline_lists(run.interactions, truth, run.split.cut_s, catalogue_.user,
                                               catalogue_.item)
    lists["all items, without a server"] = {name: _mean_and_spread([values])
                                            for name, values in of_users(baselines).items()}
    return lists, asked


def _measure_replayed(run, models, seeds, every, draft):
    """Likewise, of what it answers just before one in `every` of the events after the cut."""
    first = int(np.searchsorted(run.log.time_s, run.split.cut_s))
    later = run.log.at(np.arange(first, len(run.log)))
    events, measured = serving_quality.replayed_lists_of_rankers(
        run.server, draft, configuration.serving(run.config), later, every, run.of_rows.seed,
        _served_names(models, seeds), run.weights.any_type())
    return {f"{events} of {len(later)} events replayed, {order}": _by_ranker(values, models, seeds)
            for order, values in measured.items()}


def _served_names(models, seeds):
    return [rankers.NOT_TRAINED, *(_of_seed(name, seed) for name in models for seed in seeds)]


def _by_ranker(of_served, models, seeds):
    """{ranker: {metric: (mean, standard deviation)}} of values by the names that models were served
    under; what needs no training, first."""
    names = {name: [_of_seed(name, seed) for seed in seeds] for name in models}
    trained = {name for of_seeds in names.values() for name in of_seeds}
    return {**{name: _mean_and_spread([values]) for name, values in of_served.items()
               if name not in trained},
            **{name: _mean_and_spread([of_served[served] for served in of_seeds])
               for name, of_seeds in names.items()}}


def _of_seed(name, seed):
    return f"{name}.seed-{seed}"


def _write_models(run, models, material, seeds, draft):
    """The trained snapshot with these models instead of its own."""
    output = Path(run.config["snapshot"]["output"])
    fields = snapshot.read_manifest(output)
    own = {model["file"] for model in fields["models"]} - {snapshot.EMBEDDINGS_FILE}
    draft.mkdir()
    for name in fields["files"]:
        if name not in own:
            shutil.copyfile(output / name, draft / name)
    entries = [rankers.not_trained()]
    for ranker in run.rankers:
        for seed, model in zip(seeds, models[ranker.name]):
            served = dataclasses.replace(ranker, name=_of_seed(ranker.name, seed))
            rankers.write(draft, served, model)
            entries.append(served.manifest())
    examples.write(draft, entries, material.rows, run.of_rows.seed)
    fields = {key: value for key, value in fields.items() if key not in ("format_version", "files")}
    snapshot.write_manifest(draft, {**fields, "version": "compared", "models": entries})


def _embedding_epochs(directory, kind):
    """What `train` chose for the snapshot; None of one that does not say, for which it is chosen again."""
    epochs = snapshot.read_manifest(directory).get("data", {}).get(f"{kind}_epochs")
    return int(epochs) if epochs else None


def _measure_baselines(rows, catalogue_, **how):
    scores = row_quality.baselines(rows, catalogue_.user, catalogue_.item)
    return {name: row_quality.measure(rows, values, are_logits=False, **how)
            for name, values in scores.items()}


def _mean_and_spread(of_seeds):
    """{metric: (mean, standard deviation)}; the deviation of one seed is 0."""
    return {name: (float(np.mean([found[name] for found in of_seeds])),
                   float(np.std([found[name] for found in of_seeds], ddof=1)) if len(of_seeds) > 1 else 0.0)
            for name in of_seeds[0]}


_CANDIDATE_USERS = 1000  # for whom `train` asks the server, at most


class Training:
    """A configuration, the log it names, and the periods that divide it."""

    def __init__(self, config, checkpoints=None):
        """`config` as configuration.read returns it."""
        torch.set_num_threads(1)  # the same sums in the same order, on any machine
        self.config = config
        self.server = configuration.server(config)
        self.rankers = configuration.rankers_of(config)
        self.of_rows = configuration.rows(config)
        self.embedding_kind, self.of_embeddings = configuration.embeddings_of(config)
        self.encoders = configuration.encoders_of(config)
        self.event_files = log_files.files_of(config)
        self.events_sha256 = snapshot.sha256_of_all(self.event_files)
        self.checkpoints = Path(checkpoints) if checkpoints else None
        if self.checkpoints:
            _claim(self.checkpoints, {"configuration": _digest(config), "events": self.events_sha256})
        self.weights = log_files.weights_of(config)
        self.log = data.read_log(self.event_files, self.weights, log_files.read_by(config))
        print("".join(f"{line}\n" for line in data.described(self.log)), end="")
        self.split = data.split(self.log, config["data"])
        self.interactions = data.index_interactions(self.log, self.split.cut_s)
        self.graph_offset, warnings = data.graph_offset(self.log, self.split.cut_s)
        print("".join(f"{line}\n" for line in warnings), end="")
        self.epochs = None  # of the embeddings, once they are chosen
        self.clock = _Clock()

    def snapshot(self, draft, work):
        """Fills the directory `draft`."""
        self._describe()
        past, material, models, fields = self._train(draft, work)
        examples.write(draft, fields["models"], material.rows, self.of_rows.seed)
        fields["metrics"] = self._heldout_metrics(past, models, material.catalogue)
        self.clock.step("held-out rows")
        if configuration.blend(self.config).learn:
            self._learn_blend(draft)
            self.clock.step("the blend, with what was trained before its events")
        snapshot.write_manifest(draft, fields)
        self._measure_candidates(draft)
        self.clock.step("the server's own candidates")
        self.clock.total()

    def whole(self, draft, work, measured):
        """Fills the directory `draft` with a snapshot of all of the log, trained as `snapshot` did before, to the directory
        `measured`, with what is held out. Nothing is left to measure it by, or to learn a blend from: it has the metrics
        and the blend of that snapshot."""
        of_all = self._ending_at(self.split.end_s + 1, self.rankers)
        _, material, _, fields = of_all._train(draft, work)
        examples.write(draft, fields["models"], material.rows, self.of_rows.seed)
        if (measured / snapshot.BLEND_FILE).exists():
            shutil.copyfile(measured / snapshot.BLEND_FILE, draft / snapshot.BLEND_FILE)
        fields["metrics"] = snapshot.read_manifest(measured)["metrics"]
        fields["version"] = fields["data"]["trained_until"]
        fields["data"]["measured_from"] = snapshot.rfc3339(self.split.cut_s)
        snapshot.write_manifest(draft, fields)
        self.clock.step("all of it, what was held out too")

    def _train(self, draft, work):
        """(replay, material, models by name, fields of the manifest) of a snapshot of everything before the
        cut, whose files are in `draft`, but for examples, blend and metrics."""
        self._write_catalogue(draft)
        trained = self._embed(draft)
        self._cluster(draft)
        fields = self._manifest_fields(trained.user.shape[1])
        snapshot.write_manifest(draft, fields)
        self.clock.step("k-means")
        past = replay.Replay(self.server, draft, self.log, work)
        past.graph(self.split.cut_s, draft / snapshot.GRAPH_FILE)
        if self.encoders:
            fields["encoders"] = encoders.write(draft, self.encoders, self.of_embeddings, trained.encoder_tensors)
        material = _Material(self, past, draft, self.epochs, self.chooses_epochs())
        self.clock.step(f"replay, {len(material.rows)} training rows")
        models = {}
        for ranker in self.rankers:
            models[ranker.name] = self.train_ranker(ranker, material, "heldout")
            rankers.write(draft, ranker, models[ranker.name])
            self.clock.step(ranker.name)
        fields["models"] = [ranker.manifest() for ranker in self.rankers] + [rankers.not_trained()]
        return past, material, models, fields

    def _learn_blend(self, output):
        """Writes the blend's weights to `output`: what a server learns from the events of the validation
        period that serves the snapshot which would have been trained just before them. So what was trained
        knows of these events as little as it will of those that are served."""
        earlier = self._ending_at(self.split.validation_s, self.rankers[:1])
        first, end = (int(np.searchsorted(self.log.time_s, at_s))
                      for at_s in (self.split.validation_s, self.split.cut_s))
        if first == 0:
            raise ValueError("[blend]: learn needs events before the validation period")
        with tempfile.TemporaryDirectory(prefix="groundswell-blend-") as work:
            draft = Path(work) / "snapshot"
            draft.mkdir()
            *_, fields = earlier._train(draft, work)
            snapshot.write_manifest(draft, fields)
            weights = blend.learn(self.server, draft, configuration.serving(self.config),
                                  self.log.at(np.arange(first, end)), self.weights.any_type())
        (output / snapshot.BLEND_FILE).write_text(weights, encoding="utf-8")

    def _ending_at(self, cut_s, rankers_):
        """The same configuration with that cut, for these of its rankers; the embeddings take as many
        epochs as were chosen."""
        days_s = self.split.cut_s - self.split.validation_s
        other = copy.copy(self)
        other.split = dataclasses.replace(self.split, validation_s=cut_s - days_s, cut_s=cut_s)
        other.interactions = data.index_interactions(self.log, cut_s)
        other.graph_offset, _ = data.graph_offset(self.log, cut_s)
        other.rankers = rankers_
        if self.checkpoints:
            other.checkpoints = self.checkpoints / ("earlier" if cut_s < self.split.cut_s else "whole")
            other.checkpoints.mkdir(exist_ok=True)
        return other

    def _measure_candidates(self, draft):
        """How the rankers order what a server of the finished draft retrieves, said and put into its
        manifest."""
        split = self.split
        truth = evaluation.new_items(self.interactions, split.cut_s, split.end_s + 1)
        truth = evaluation.sample_users(truth, _CANDIDATE_USERS, self.of_rows.seed)
        if not truth.relevant:
            print("the rankers were not measured on a server's own candidates: no user with a past took "
                  "anything new of the snapshot in the held-out time")
            return
        lists = serving_quality.lists_of_rankers(
            self.server, draft, configuration.serving(self.config), self.interactions, truth, split.cut_s,
            [ranker.name for ranker in self.rankers], with_popularity=False)
        for order in serving_quality.orders_of_candidates(lists, truth):
            print(order.line())
            snapshot.update_metrics(draft, order.metrics("heldout.candidates"))

    def _describe(self):
        known = int(np.searchsorted(self.log.time_s, self.split.cut_s))
        print(f"data: {known} interactions of {len(self.interactions.user_ids)} users and "
              f"{len(self.interactions.item_ids)} items before {snapshot.rfc3339(self.split.cut_s)}, "
              f"{len(self.log) - known} after")
        self.clock.step("reading")

    def _write_catalogue(self, draft):
        of_data = self.config["data"]
        items = data.read_items(of_data["items"], of_data.get("items_rule", data.AS_THEY_ARE)) if "items" in of_data else {}
        entries = [(id_, *data.title_and_category(items, id_)) for id_ in self.interactions.item_ids]
        snapshot.write_catalogue(draft, self.interactions.user_ids, entries)

    def _embed(self, draft):
        """Writes the embeddings; what the encoders need of their training."""
        how = "" if self.epochs else " after choosing that number"
        trained, self.epochs = self._embeddings(self.split.cut_s, self.epochs)
        snapshot.write_embeddings(draft, trained.user, trained.item)
        self.clock.step(f"{self.embedding_kind}, {self.epochs} epochs{how}")
        return trained

    def _embeddings(self, cut_s, epochs=None):
        """(embeddings.Trained, epochs) of everything before `cut_s`, kept among the checkpoints. Without
        `epochs` their number is chosen."""
        at = lambda phase: (self.checkpoints / f"{phase}.{cut_s}.safetensors" if self.checkpoints else None)
        kind, kept = self.embedding_kind, at("embeddings")
        if kept and kept.exists():
            return embeddings.read(kept)
        epochs = epochs or embeddings.choose_epochs(kind, self.interactions, self.split, self.of_embeddings,
                                                    at(f"{kind}.choosing"))
        trained = embeddings.train(kind, self.interactions, cut_s, epochs, self.of_embeddings,
                                   at(f"{kind}.final"))
        if kept:
            embeddings.write(kept, trained, epochs)
        return trained, epochs

    def _cluster(self, draft):
        vectors, _ = safetensors.read(draft / snapshot.EMBEDDINGS_FILE)
        options = self.config["clusters"]
        user_cluster, user_centroids = clusters.kmeans(vectors["user"], options["users"], options["seed"])
        item_cluster, item_centroids = clusters.kmeans(vectors["item"], options["items"], options["seed"])
        snapshot.write_clusters(draft, user_cluster, item_cluster, user_centroids, item_centroids)

    def read_catalogue(self, directory):
        vectors, _ = safetensors.read(Path(directory) / snapshot.EMBEDDINGS_FILE)
        clusters_, _ = safetensors.read(Path(directory) / snapshot.CLUSTERS_FILE)
        return rankers.Catalogue(
            vectors["user"], vectors["item"], clusters_["user"], clusters_["item"],
            (len(clusters_["user_centroids"]), len(clusters_["item_centroids"])),
            rankers.category_rows(snapshot.read_categories(directory)))

    def rows(self, past, from_s, until_s, negatives=None, creates_items=False, features_at_s=None,
             share=1.0):
        """First purchases of the period with the features that the rankers read."""
        history_len = max(ranker.history_len for ranker in self.rankers)
        recent_len = max(ranker.recent_len for ranker in self.rankers)
        return past.rows(from_s, until_s, negatives or self.of_rows.negatives, history_len,
                         max(recent_len, 1), self.of_rows.seed, creates_items, features_at_s, share,
                         self.of_rows.candidates())

    def chooses_epochs(self):
        return any(ranker.training.patience > 0 for ranker in self.rankers)

    def earlier_embeddings(self, epochs):
        """(user, item) of everything before the validation period."""
        trained, _ = self._embeddings(self.split.validation_s, epochs)
        return trained.user, trained.item

    def train_ranker(self, ranker, material, period):
        """The module of one ranker, trained on everything before the period that it is measured on."""
        options = ranker.training
        kept = lambda phase: (
            self.checkpoints / f"{ranker.name}.{period}.seed-{options.seed}.{phase}.safetensors"
            if self.checkpoints else None)
        epochs = options.epochs
        if options.patience > 0:
            epochs = ranking.choose_epochs(
                ranker.name, lambda: rankers.build(ranker, material.earlier_catalogue), material.earlier,
                material.later, options, kept("choosing"))
        rows, catalogue_ = ((material.earlier, material.earlier_catalogue) if period == "validation" else
                            (material.rows, material.catalogue))
        if options.features == "frozen":
            rows = material.frozen_rows(period)
        return ranking.train(ranker.name, lambda: rankers.build(ranker, catalogue_), rows, epochs, options,
                             kept("final"))

    def rows_after(self, past, period, also_frozen=False, sampled=0):
        """(name, rows) of each way to draw negatives; the period is "heldout" or "validation".
        `also_frozen`: each with the features as at the beginning of the period, too. `sampled`: so many of
        them, of the ways for which that is asked."""
        split = self.split
        from_s, until_s = ((split.cut_s, split.end_s + 1) if period == "heldout" else
                           (split.validation_s, split.cut_s))
        share = self.of_rows.measured_share
        for source in row_quality.SAMPLED if sampled else row_quality.SAMPLINGS:
            negatives = {source: sampled or row_quality.NEGATIVES}
            name = f"{source}, {sampled} of them" if sampled else source
            yield name, self.rows(past, from_s, until_s, negatives, share=share).standing(until_s)
            if also_frozen:
                yield f"{name}, frozen features", self.rows(
                    past, from_s, until_s, negatives, features_at_s=from_s, share=share).standing(until_s)

    def _heldout_metrics(self, past, models, catalogue_):
        """Metrics of every score on the held-out rows, with each way to draw negatives."""
        found = {}
        for sampling, rows in self.rows_after(past, "heldout"):
            if len(rows) == 0:
                print(f"held out, {rows.judgement}: nothing to measure the rankers on")
                return rows.judgement.metrics("heldout")
            measured = {name: row_quality.measure(rows, ranking.score(model, rows))
                        for name, model in models.items()} | _measure_baselines(rows, catalogue_)
            print(f"held out, {rows.judgement}, {sampling} negatives:")
            print("\n".join(row_quality.table(measured)))
            # A figure that is no number, as where an event has no negatives, is none.
            found |= {f"heldout.{scorer}.{sampling}.{metric}": value for scorer, values in measured.items()
                      for metric, value in values.items() if np.isfinite(value)}
        return found | self._headline(past, models)

    def _headline(self, past, models):
        """The default ranker, the harder negatives, and all that is taken: items that came after the cut
        are misses."""
        ranker, split = self.rankers[0].name, self.split
        rows = self.rows(past, split.cut_s, split.end_s + 1, {"popular": row_quality.NEGATIVES},
                         creates_items=True, share=self.of_rows.measured_share).standing(split.end_s + 1)
        found = row_quality.measure(
            rows, row_quality.with_misses(rows, ranking.score(models[ranker], rows)), are_logits=False)
        misses = int((rows.batch(np.flatnonzero(rows.label))["item"] == 0).sum())
        print(f"held out, {rows.judgement}, {misses} on items outside the snapshot as misses: {ranker} has AUC "
              f"{found['auc']:.4f}, GAUC {found['gauc']:.4f} with popular negatives")
        return {**{f"heldout.{metric}": found[metric] for metric in ("auc", "gauc")
                   if np.isfinite(found[metric])},
                **rows.judgement.metrics("heldout"), "heldout.misses": misses}

    def _manifest_fields(self, dim):
        config, cut = self.config, snapshot.rfc3339(self.split.cut_s)
        return {
            "name": config["snapshot"]["name"],
            "version": cut[:10],
            "create_time": snapshot.rfc3339(int(datetime.now(timezone.utc).timestamp())),
            "users": len(self.interactions.user_ids),
            "items": len(self.interactions.item_ids),
            "embedding_dim": dim,
            "user_clusters": config["clusters"]["users"],
            "item_clusters": config["clusters"]["items"],
            "graph_offset": self.graph_offset,
            "models": [],
            "metrics": {},
            "data": {**config["data"].get("provenance", {}), "trained_until": cut,
                     f"{self.embedding_kind}_epochs": str(self.epochs),
                     "events_sha256": self.events_sha256},
        }


class _Material:
    """Rows before the cut and what rankers are built from; and, to choose by, the rows of the two
    periods before it, with embeddings that know nothing of the later one."""

    def __init__(self, run, past, directory, epochs, has_validation):
        self._run, self._past = run, past
        made = run.rows(past, 0, run.split.cut_s)
        self.rows = made.standing(run.split.cut_s)
        self.catalogue = run.read_catalogue(directory)
        if has_validation:
            validation_s = run.split.validation_s
            self.earlier = made.where(made.time_s < validation_s).standing(validation_s)
            self.later = self.rows.where(self.rows.time_s >= validation_s)
            user, item = run.earlier_embeddings(epochs)
            self.earlier_catalogue = dataclasses.replace(self.catalogue, user=user, item=item)

    def frozen_rows(self, period):
        """Those before the period, all with the features as at its beginning."""
        split = self._run.split
        until_s = split.validation_s if period == "validation" else split.cut_s
        return self._run.rows(self._past, 0, until_s, features_at_s=until_s).standing(until_s)


def _digest(config):
    """Of what the tables say, however the file is written."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()


def _claim(directory, digests):
    """Makes the directory of checkpoints, or finds that it is of the same configuration and data."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "run.json"
    if not path.exists():
        path.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    for name, digest in digests.items():
        if found.get(name) != digest:
            raise ValueError(f"{directory} holds checkpoints of another {name}: name another directory, or "
                             "remove it")


def _replace(draft, output):
    """Copies the draft's files to `output`, the manifest last, and removes what the old one listed and
    the new one does not."""
    old = snapshot.files_to_replace(output)
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(draft.iterdir(), key=lambda path: path.name == "manifest.json"):
        shutil.copyfile(path, output / path.name)
    for name in old:
        if not (draft / name).exists():
            (output / name).unlink(missing_ok=True)


class _Clock:
    def __init__(self):
        self.start = self.last = time.monotonic()

    def step(self, name):
        now = time.monotonic()
        print(f"[{now - self.last:6.1f} s] {name}", flush=True)
        self.last = now

    def total(self):
        print(f"[{time.monotonic() - self.start:6.1f} s] in all", flush=True)
