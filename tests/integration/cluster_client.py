"""A client of several servers that keeps a ledger: one process, which a test may kill.

    cluster_client.py KIND NAME LEDGER PORT...

PORT are the servers' for HTTP; each call goes to one of them at random. KIND is

    events     two callers with an event id for each interaction, which is sent again until it is acknowledged
    producer   numbered interactions in streams of up to four batches
    changes    items that come and go, and users that are forgotten, each under a request id

What was acknowledged is a line of LEDGER, a JSON array, when it was. What is wrong with an answer is a line too,
["wrong", why]. A client that begins again goes on behind its ledger. SIGTERM: it ends when nothing is under way.
"""

import http.client
import json
import pathlib
import random
import signal
import sys
import threading
import time
import uuid

INTERACTIONS = "/groundswell.v1.InteractionService/"
ADMIN = "/groundswell.v1.AdminService/"
RECOMMEND = "/groundswell.v1.RecommendationService/"
ITEMS = ("85123A", "22423", "47566", "84879", "20725")
CALL_S = 2
BATCH = 5
# What a caller tries again: gone, slow, starting, full.
PASSING = {"unavailable", "deadline_exceeded", "resource_exhausted", "canceled", "aborted"}


class Passing(Exception):
    """Try again, here or elsewhere."""


class Wrong(Exception):
    """An answer that must not be."""


def event_of(name, number):
    """A function of the two, so that a client that was killed sends the same again."""
    chosen = random.Random(f"{name}/{number}")
    return {"eventId": f"{name}-{number}", "userId": f"user-{chosen.randrange(300)}", "itemId": chosen.choice(ITEMS),
            "eventType": "purchase", "eventTime": f"2011-12-{chosen.randrange(1, 28):02}T12:00:{number % 60:02}Z"}


class Ledger:
    def __init__(self, path):
        self._file = pathlib.Path(path).open("a+")
        if self._file.tell() and not pathlib.Path(path).read_text().endswith("\n"):
            self._file.write("\n")  # A kill left half a line.
        self._lock = threading.Lock()

    def lines(self):
        return lines_of(self._file.name)

    def add(self, *what):
        with self._lock:
            self._file.write(json.dumps(what) + "\n")
            self._file.flush()


def lines_of(path):
    """The lines that are whole: a kill may leave half of one."""
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.endswith("]")]


class Caller:
    """Calls to a server at random, over kept connections; one at a time."""

    def __init__(self, ports, seed):
        self.random = random.Random(seed)
        self._ports, self._connections = ports, {}

    def _ask(self, port, path, body, content_type):
        connection = self._connections.get(port)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_S + 1)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type,
                                                    "Connect-Timeout-Ms": str(CALL_S * 1000)})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._connections.pop(port, None)
            raise Passing(str(error)) from error
        self._connections[port] = connection
        return content

    def other_than(self, port):
        return self.random.choice([other for other in self._ports if other != port])

    def call(self, path, message, port=None):
        """(answer, port of the server that gave it)"""
        port = port or self.random.choice(self._ports)
        answer = json.loads(self._ask(port, path, json.dumps(message), "application/json"))
        if "code" in answer:
            raise (Passing if answer["code"] in PASSING else Wrong)(f"{path} {message}: {answer}")
        return answer, port

    def stream(self, messages):
        """The acknowledgements until the stream ended or broke."""
        body = "".join(json.dumps(message) + "\n" for message in messages)
        content = self._ask(self.random.choice(self._ports), INTERACTIONS + "Ingest", body, "application/x-ndjson")
        answers = []
        for line in content.splitlines():
            answer = json.loads(line)
            error = answer.get("error", answer if "code" in answer else None)
            if error is not None:
                if error.get("code") not in PASSING:
                    raise Wrong(f"Ingest from {messages[0].get('firstSequence')}: {error}")
                break
            answers.append(answer)
        return answers


class Client:
    def __init__(self, name, ledger, ports):
        self._name, self._ledger, self._ports = name, Ledger(ledger), ports
        self._ends = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self._ends.set())

    def _caller(self, salt=""):
        return Caller(self._ports, f"{self._name}/{salt}/{time.monotonic_ns()}")

    def _until_answered(self, ask):
        """What `ask` gives, once a server answers; what should not be is written down, and not asked again."""
        while True:
            try:
                return ask()
            except Passing:
                time.sleep(0.02)
            except Wrong as wrong:
                self._ledger.add("wrong", str(wrong))
                return None

    def _run(self, steps):
        threads = [threading.Thread(target=step, args=(n,)) for n, step in enumerate(steps)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def events(self):
        callers = 2
        done = [[line for line in self._ledger.lines() if line[0] == "event" and line[1] % callers == caller]
                for caller in range(callers)]

        def steps(nth):
            caller = self._caller(nth)
            number = max((line[1] for line in done[nth]), default=nth - callers) + callers
            while not self._ends.is_set():
                self._one_event(caller, number)
                number += callers
                time.sleep(0.2)
        self._run([steps] * callers)

    def _one_event(self, caller, number):
        message = {"interaction": event_of(self._name, number)}
        taken = self._until_answered(lambda: caller.call(INTERACTIONS + "RecordInteraction", message))
        if taken is None:
            return
        answer, port = taken
        self._ledger.add("event", number, int(answer["offset"]))
        try:
            if caller.random.random() < 0.1:  # Once more, elsewhere: it counts once, at its place.
                again, _ = caller.call(INTERACTIONS + "RecordInteraction", message, caller.other_than(port))
                if not again.get("duplicate") or again["offset"] != answer["offset"]:
                    self._ledger.add("wrong", f"event {number} at {answer['offset']}, sent again: {again}")
            if caller.random.random() < 0.1:  # Another server has it, or says that it is stale.
                state, _ = caller.call(RECOMMEND + "GetUserState", {
                    "userId": message["interaction"]["userId"], "consistencyToken": answer["consistencyToken"],
                }, caller.other_than(port))
                if (int(state["freshness"].get("appliedOffset", 0)) < int(answer["offset"])
                        and "STALE_STATE" not in str(state.get("degradations"))):
                    self._ledger.add("wrong", f"event {number} at {answer['offset']} is not in {state['freshness']}")
        except Passing:
            pass
        except Wrong as wrong:
            self._ledger.add("wrong", str(wrong))

    def producer(self):
        caller = self._caller()
        acknowledged = max((line[1] for line in self._ledger.lines() if line[0] == "sequence"), default=0)
        while not self._ends.is_set():
            stands = self._until_answered(lambda: self._where(caller))
            if stands is None:
                return
            if stands < acknowledged:
                self._ledger.add("wrong", f"acknowledged up to {acknowledged}, and now it stands at {stands}")
                return
            acknowledged = self._send_behind(caller, stands)
            time.sleep(0.5)

    def _where(self, caller):
        answers = caller.stream([{"producerId": self._name}])
        if not answers:
            raise Passing("no answer")
        return int(answers[0].get("lastSequence", 0))

    def _send_behind(self, caller, last):
        batches = [{"producerId": self._name, "firstSequence": first,
                    "interactions": [event_of(self._name, n) for n in range(first, first + BATCH)]}
                   for first in range(last + 1, last + 1 + BATCH * caller.random.randrange(1, 5), BATCH)]
        acknowledged = last
        try:
            for answer in caller.stream(batches):
                if answer.get("refusals"):
                    self._ledger.add("wrong", f"refused: {answer}")
                acknowledged = max(acknowledged, int(answer["lastSequence"]))
                self._ledger.add("sequence", acknowledged, int(answer["lastOffset"]))
        except Passing:
            pass
        except Wrong as wrong:
            self._ledger.add("wrong", str(wrong))
        return acknowledged

    def changes(self):
        caller = self._caller()
        number = 1 + max((line[1] for line in self._ledger.lines() if line[0] == "change"), default=-1)
        while not self._ends.is_set():
            self._one_change(caller, number)
            number += 1
            time.sleep(0.2)

    def _one_change(self, caller, number):
        item, user = f"{self._name}-item-{number // 4}", f"{self._name}-user-{number // 4}"
        request_id = str(uuid.UUID(int=random.Random(f"{self._name}/{number}").getrandbits(128), version=4))
        event = {**event_of(self._name, number), "userId": user, "itemId": item}
        path, message = ((ADMIN + "UpsertItem", {"itemId": item, "title": item}),
                         (INTERACTIONS + "RecordInteraction", {"interaction": event}),
                         (INTERACTIONS + "ForgetUser", {"userId": user, "requestId": request_id}),
                         (ADMIN + "RemoveItem", {"itemId": item, "requestId": request_id}))[number % 4]

        def ask(port=None):
            try:
                return caller.call(path, message, port)
            except Wrong as wrong:
                if "'not_found'" in str(wrong):  # By a server that has not applied the item's entry yet.
                    raise Passing(str(wrong)) from wrong
                raise
        taken = self._until_answered(ask)
        if taken is None:
            return
        answer, port = taken
        self._ledger.add("change", number, answer)
        if number % 4 >= 2:
            again = self._until_answered(lambda: ask(caller.other_than(port)))
            if again is not None and again[0].get("offset") != answer.get("offset"):
                self._ledger.add("wrong", f"change {number}: {answer}, asked again: {again[0]}")


def main():
    kind, name, ledger, *ports = sys.argv[1:]
    client = Client(name, ledger, [int(port) for port in ports])
    {"events": client.events, "producer": client.producer, "changes": client.changes}[kind]()


if __name__ == "__main__":
    main()
