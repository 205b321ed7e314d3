"""The dashboard and the rules on a real Prometheus that scrapes a real server under load.

    prometheus_test.py SERVER CLI SNAPSHOT DIRECTORY_OF_PROMETHEUS

Every expression of every panel and rule must return data, and a healthy server must raise no alert.
"""

import json
import math
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_DOCKER = _ROOT / "docker"
_SERVER, _CLI, _SNAPSHOT = sys.argv[1:4]
_PROMETHEUS, _PROMTOOL = (Path(sys.argv[4]) / name for name in ("prometheus", "promtool"))
_DEADLINE_S = 90


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def _rules(name):
    """(name, expression) of a file of rules: one line each, or folded behind `>-`."""
    text = (_DOCKER / "prometheus" / name).read_text(encoding="utf-8")
    text = re.sub(r">-\n\s+", "", text)
    text = re.sub(r"\n\s+/ sum", " / sum", text)
    return re.findall(r"- (?:record|alert): (\S+)\n\s+expr: (.+)\n", text)


def _panels():
    dashboard = json.loads((_DOCKER / "grafana/dashboards/groundswell.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "15s").replace("$instance", ".+")
            yield f"panel {panel['title']}, {target['legendFormat']}", expression


def _without_threshold(expression):
    """What an alert watches, also where nothing is wrong with it."""
    return re.sub(r"\s(?:>|<|==)\s[0-9.]+", "", expression)


class DashboardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        database = cls.work / "db"
        subprocess.run([_SERVER, "import", "--snapshot", _SNAPSHOT, "--data-dir", str(database)],
                       check=True, capture_output=True)
        server = cls._start([_SERVER, "serve", f"--server.data_dir={database}",
                             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
                             "--logging.level=error", "--checkpoint.interval_s=1", "--ranking.shadow=dot",
                             "--ranking.shadow_one_in=1"])
        ports = dict(part.split("=") for part in server.stdout.readline().split()[1:])
        cls.address, cls.metrics = (f"127.0.0.1:{ports[name]}" for name in ("grpc_port", "http_port"))
        cls.prometheus = f"http://127.0.0.1:{_free_port()}"
        config = (_DOCKER / "prometheus/prometheus.yml").read_text(encoding="utf-8")
        config = config.replace("groundswell:7101", cls.metrics).replace("10s", "1s")
        for rules in ("recording_rules.yml", "alert_rules.yml"):
            config = config.replace(f"- {rules}", f"- {_DOCKER / 'prometheus' / rules}")
        (cls.work / "prometheus.yml").write_text(config, encoding="utf-8")
        cls._start([_PROMETHEUS, f"--config.file={cls.work / 'prometheus.yml'}",
                    f"--storage.tsdb.path={cls.work / 'tsdb'}",
                    f"--web.listen-address={cls.prometheus.removeprefix('http://')}",
                    "--log.level=error"])
        cls._put_under_load()

    @classmethod
    def _start(cls, command):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(process.communicate)
        cls.addClassCleanup(process.terminate)
        return process

    @classmethod
    def _put_under_load(cls):
        """Calls of every kind that the panels show, until the test ends."""
        cls.events = cls.work / "events.csv"
        cls.events.write_text("timestamp,user,item\n1322000000,17850,85123A\n", encoding="utf-8")
        cls.command = [_CLI, "--server", cls.address, "--timeout-ms", "20000"]
        for arguments in (["similar", "85123A"], ["user", "17850"], ["status"],
                          ["recommend", "nobody-knows"], ["recommend", "17850", "--explain", "3"]):
            subprocess.run([*cls.command, *arguments], check=True, capture_output=True)
        cls._start([*cls.command, "load", "recommend", "--rate", "50", "--duration-s",
                    str(2 * _DEADLINE_S), "--user", "17850", "--json"])

    def _query(self, expression):
        """The values that are numbers."""
        query = urllib.parse.urlencode({"query": expression})
        result = json.loads(_get(f"{self.prometheus}/api/v1/query?{query}"))["data"]["result"]
        values = [float(series["value"][1]) for series in result]
        return [value for value in values if not math.isnan(value)]

    def _wait_for_data(self, expressions):
        missing, end = dict(expressions), time.monotonic() + _DEADLINE_S
        while missing and time.monotonic() < end:
            time.sleep(1)
            subprocess.run([*self.command, "ingest", str(self.events), "--id-prefix",
                            str(time.monotonic_ns())], check=True, capture_output=True)
            try:
                missing = {name: text for name, text in missing.items() if not self._query(text)}
            except urllib.error.HTTPError as error:
                self.fail(f"{error.read().decode()}: {missing}")
            except (urllib.error.URLError, ConnectionError):
                pass  # it is starting
        self.assertEqual(sorted(missing), [], f"without data after {_DEADLINE_S} s")

    def test_every_panel_returns_data(self):
        panels = dict(_panels())
        self.assertGreater(len(panels), 40)
        self._wait_for_data(panels)
        self.assertEqual(self._query("groundswell_no_such_metric"), [])

    def test_every_rule_returns_data_and_none_fires(self):
        recorded, alerts = _rules("recording_rules.yml"), _rules("alert_rules.yml")
        self._wait_for_data({name: name for name, _ in recorded} |
                            {name: _without_threshold(text) for name, text in alerts})
        groups = json.loads(_get(f"{self.prometheus}/api/v1/rules"))["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertEqual(sorted(rule["name"] for rule in rules),
                         sorted(name for name, _ in recorded + alerts), "a rule is not tested")
        for rule in rules:
            self.assertEqual(rule["health"], "ok", rule)
            self.assertEqual(rule.get("state", "inactive"), "inactive", rule)

    def test_an_alert_fires_when_the_server_is_gone(self):
        expression = dict(_rules("alert_rules.yml"))["GroundswellDown"]
        self._wait_for_data({"up": "up"})
        self.assertEqual(self._query(expression), [])
        self.assertTrue(self._query(expression.replace("== 0", "== 1")))

    def test_an_alert_tells_a_list_that_is_ahead_from_one_by_chance(self):
        figures = {"ahead": (0.5, 0.4, 1000), "by_chance": (0.5, 0.49, 1000), "of_too_few": (0.5, 0.1, 100),
                   "never_hits": (0, 0.2, 1000), "served": (0.4, 0.4, 2000)}
        names = ("groundswell_list_hit_ratio", "groundswell_list_served_hit_ratio",
                 "groundswell_list_judged_interactions")
        series = [{"series": f'{name}{{instance="one",list="{label}"}}', "values": f"{value}+0x60"}
                  for label, values in figures.items() for name, value in zip(names, values)]
        fires = {"exp_labels": {"instance": "one", "list": "ahead", "severity": "ticket"},
                 "exp_annotations": {"summary": "one: ahead alone finds more than the served list"}}
        alert = {"alertname": "GroundswellListBehindItsSource"}
        self._test_rules(series, [{"eval_time": "29m", **alert, "exp_alerts": []},
                                  {"eval_time": "31m", **alert, "exp_alerts": [fires]}])

    def test_an_alert_tells_which_writes_fail_and_ends_when_they_do_not(self):
        name = "groundswell_write_errors_total"
        series = [{"series": f'{name}{{instance="one",kind="quota"}}', "values": "0x9 3x50"},
                  {"series": f'{name}{{instance="one",kind="io"}}', "values": "7x59"}]
        fires = {"exp_labels": {"instance": "one", "kind": "quota", "severity": "ticket"},
                 "exp_annotations": {"summary": "one: the disk refuses writes: quota"}}
        alert = {"alertname": "GroundswellWriteErrors"}
        self._test_rules(series, [{"eval_time": "9m", **alert, "exp_alerts": []},
                                  {"eval_time": "11m", **alert, "exp_alerts": [fires]},
                                  {"eval_time": "20m", **alert, "exp_alerts": []}])

    def test_an_alert_fires_when_the_server_is_not_ready_for_a_minute(self):
        series = [{"series": 'groundswell_ready{instance="one"}', "values": "1x4 0 1x4 0x9"}]
        fires = {"exp_labels": {"instance": "one", "severity": "page"},
                 "exp_annotations": {"summary": "one is not ready"}}
        alert = {"alertname": "GroundswellNotReady"}
        self._test_rules(series, [{"eval_time": "6m", **alert, "exp_alerts": []},
                                  {"eval_time": "13m", **alert, "exp_alerts": [fires]}])

    def test_alerts_tell_a_server_that_is_behind_a_shared_log_from_one_that_takes_nothing(self):
        names = ("groundswell_shared_log_lag_requests", "groundswell_log_end_offset")
        figures = {"follows": ("0x60", "0+100x60"), "behind": ("5000x60", "0+100x60"), "stands": ("3x60", "7x60")}
        series = [{"series": f'{name}{{instance="{server}"}}', "values": values}
                  for server, both in figures.items() for name, values in zip(names, both)]
        fires = {"GroundswellBehindTheSharedLog": ("behind", "ticket", "behind has not taken 5000 requests of the shared log"),
                 "GroundswellReadingStopped": (
                     "stands", "page", "stands: 3 requests of the shared log wait and none is taken")}
        self._test_rules(series, [{"eval_time": "20m", "alertname": alert, "exp_alerts": [
            {"exp_labels": {"instance": server, "severity": severity}, "exp_annotations": {"summary": summary}}]}
            for alert, (server, severity, summary) in fires.items()])

    def _test_rules(self, series, alert_rule_tests):
        """As promtool does, with a value of each series a minute."""
        tests = {"rule_files": [str(_DOCKER / "prometheus/alert_rules.yml")], "evaluation_interval": "1m",
                 "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": alert_rule_tests}]}
        file = self.work / "alert_test.yml"
        file.write_text(json.dumps(tests), encoding="utf-8")  # YAML too
        tested = subprocess.run([_PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)

    def test_the_metrics_follow_the_conventions(self):
        checked = subprocess.run([_PROMTOOL, "check", "metrics"], input=_get(f"http://{self.metrics}/metrics"),
                                 capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_every_alert_is_explained(self):
        operations = (_ROOT / "docs/operations.md").read_text(encoding="utf-8")
        for name, _ in _rules("alert_rules.yml"):
            self.assertTrue(f"`{name}`" in operations, name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
