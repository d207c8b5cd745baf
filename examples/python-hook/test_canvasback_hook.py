"""Tests of the hook with a stand-in for the duckdb module, which records the
statements: python3 -m unittest"""

import http.client
import json
import os
import socket
import sys
import tempfile
import threading
import time
import types
import unittest


class Engine:
    """Stands for DuckDB: transactions, and the checkpoint that they keep off.
    It is the connection and, by cursor, makes further ones."""

    def __init__(self):
        self.lock = threading.Lock()
        self.log = []  # "number of the cursor, statement"
        self.cursors = 0
        self.holding = set()  # cursors whose transaction created a table
        self.left_behind = 0  # tables that were created outside one
        self.fail = {}  # first word of a statement -> exception
        self.block = {}  # first word of a statement -> event to wait for
        self.waiting = threading.Event()  # a statement waits
        self.files = [('sh"op',)]

    def cursor(self):
        with self.lock:
            self.cursors += 1
            return Cursor(self, self.cursors)

    def statements(self):
        with self.lock:
            return list(self.log)


class Cursor:
    def __init__(self, engine, number):
        self.engine, self.number = engine, number
        self.begun = False
        self.interrupted = threading.Event()

    def execute(self, statement):
        word = statement.split()[0]
        if word == "SELECT":
            self.rows = [("v1.5.6",)] if "version()" in statement else self.engine.files
            return self
        with self.engine.lock:
            self.engine.log.append("%d %s" % (self.number, statement))
        if word in self.engine.block:
            self.engine.waiting.set()
            while not self.engine.block[word].wait(0.005):
                if self.interrupted.is_set():
                    raise FakeError("INTERRUPT Error: Interrupted!")
        if word in self.engine.fail:
            raise self.engine.fail[word]
        with self.engine.lock:
            self.do(word)
        return self

    def do(self, word):
        if word == "BEGIN":
            self.begun = True
        elif word == "CREATE":
            self.engine.left_behind += not self.begun
            self.engine.holding.add(self.number)
        elif word == "ROLLBACK":
            if not self.begun:
                raise FakeError("cannot rollback - no transaction is active")
            self.begun = False
            self.engine.holding.discard(self.number)
        elif word == "CHECKPOINT":
            if self.engine.holding:
                raise FakeError("Cannot CHECKPOINT: there are other write transactions active")
        else:
            raise AssertionError("the test knows no " + word)

    def fetchone(self):
        return self.rows[0]

    def fetchall(self):
        return self.rows

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        with self.engine.lock:
            self.engine.holding.discard(self.number)
            self.engine.log.append("%d closed" % self.number)


class FakeError(Exception):
    pass


sys.modules["duckdb"] = types.ModuleType("duckdb")
sys.modules["duckdb"].Error = FakeError
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import canvasback_hook  # noqa: E402

TOKEN, OTHER = "0123456789abcdef" * 2, "f" * 32


class HookTest(unittest.TestCase):
    def start(self, address=("127.0.0.1", 0), **options):
        self.engine = Engine()
        options.setdefault("renew", 3600)
        self.server = canvasback_hook.serve(canvasback_hook.Hook(self.engine, **options), address)
        self.addCleanup(self.stop)

    def stop(self):
        if self.server is not None:
            self.server.close()
            self.server = None
        self.assertEqual((set(), 0), (self.engine.holding, self.engine.left_behind))

    def send(self, method, path, body="", headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", timeout=20)
        address = self.server.server_address
        connection.sock = socket.socket(self.server.address_family)
        connection.sock.settimeout(20)
        connection.sock.connect(address)
        connection.request(method, path, body if isinstance(body, str) else json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def post(self, path, body="", want=200, error=""):
        status, answer = self.send("POST", path, body)
        self.assertEqual((want, True), (status, error in answer.get("error", "")), answer)
        self.assertEqual(want == 200, "error" not in answer)
        return answer

    def begin(self, token=TOKEN, seconds=600, **want):
        return self.post("/begin", {"token": token, "deadline_seconds": seconds}, **want)

    def end(self, token=TOKEN, **want):
        return self.post("/end", {"token": token}, **want)

    def eventually(self, what):
        end = time.monotonic() + 20
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.002)

    def test_hold_begins_and_ends(self):
        self.start()
        self.assertEqual({"token": TOKEN, "engine_version": "1.5.6", "deadline_seconds": 600}, self.begin())
        self.assertTrue(self.send("GET", "/status")[1]["holding"])
        self.begin(OTHER, want=409, error="another hold is active")
        self.end(OTHER, want=410, error="no such hold")
        self.post("/checkpoint", want=503, error="not now: Cannot CHECKPOINT")
        self.end()
        self.assertEqual(['1 BEGIN TRANSACTION',
                          '1 CREATE TABLE "sh""op".main.__canvasback_hold_%s_1(i INTEGER)' % TOKEN,
                          '1 ROLLBACK', '1 closed'],
                         [line for line in self.engine.statements() if line.startswith("1 ")])
        self.end(want=410, error="that hold is over: it was ended")
        self.assertEqual({"holding": False, "engine_version": "1.5.6"}, self.send("GET", "/status")[1])
        self.post("/checkpoint")
        self.begin(OTHER)
        self.end(OTHER)

    def test_hold_expires(self):
        self.start(max_hold=1)
        self.assertEqual(1, self.begin()["deadline_seconds"])
        self.eventually(lambda: "1 ROLLBACK" in self.engine.statements())
        self.end(want=410, error="that hold is over: it expired at ")
        self.begin()
        self.end()

    def test_rollback_fails(self):
        self.start()
        self.begin()
        self.engine.fail["ROLLBACK"] = FakeError("connection lost")
        self.end(want=410, error="the hold could not be rolled back: connection lost")
        self.assertEqual("1 closed", self.engine.statements()[-1])
        del self.engine.fail["ROLLBACK"]

    def test_hold_is_renewed(self):
        """Each transaction is rolled back after the next one has begun."""
        self.start(renew=0.001)
        self.begin()
        self.eventually(lambda: len(self.engine.statements()) > 50)
        lines = self.engine.statements()  # before the end, after which a renewal may still come and go
        self.end()
        held, created = set(), set()
        for i, line in enumerate(lines):
            number, statement = line.split(" ", 1)
            if statement.startswith("CREATE"):
                self.assertNotIn(statement, created)
                created.add(statement)
                held.add(number)
            elif statement == "ROLLBACK":
                held.discard(number)
            self.assertTrue(held or not created, "nothing is held after %d of %r" % (i, lines))

    def test_renewal_fails(self):
        self.start(renew=0.001)
        self.begin()
        self.engine.fail["CREATE"] = FakeError("not now")
        tried = len(self.engine.statements())
        self.eventually(lambda: len(self.engine.statements()) > tried + 20)
        self.end()
        self.engine.fail.clear()
        self.begin(OTHER)
        self.engine.fail["ROLLBACK"] = FakeError("connection lost")
        tried = len(self.engine.statements())
        self.eventually(lambda: len(self.engine.statements()) > tried + 8)
        self.engine.fail.clear()
        self.end(OTHER, want=410, error="the hold could not be rolled back: connection lost")

    def test_begin_fails(self):
        self.start(wait=0.05)
        self.engine.fail["CREATE"] = FakeError("read-only")
        self.begin(want=500, error="FakeError: read-only")
        self.engine.fail.clear()
        self.engine.files = [("a",), ("b",)]
        self.begin(want=500, error="2 database files are attached for writing")
        self.engine.files = [("a",)]
        self.engine.block["CREATE"] = threading.Event()
        self.begin(want=503, error="the hold could not begin within 0.05 s")
        self.end(want=410, error="no such hold")
        self.assertEqual("3 closed", self.engine.statements()[-1])
        self.engine.block.clear()
        self.begin()
        self.end()

    def test_end_arrives_while_a_hold_begins(self):
        self.start()
        release = self.engine.block["CREATE"] = threading.Event()
        answers = []
        beginning = threading.Thread(target=lambda: answers.append(
            self.send("POST", "/begin", {"token": TOKEN, "deadline_seconds": 600})[0]))
        beginning.start()
        self.assertTrue(self.engine.waiting.wait(20))
        self.begin(OTHER, want=409, error="another hold is active")
        self.end(want=410, error="that hold had not begun")
        beginning.join(20)
        self.assertEqual([500], answers)
        self.assertEqual(["1 ROLLBACK", "1 closed"], self.engine.statements()[-2:])
        release.set()

    def test_checkpoint(self):
        self.start(catalog="main")
        self.post("/checkpoint")
        self.assertEqual(['1 CHECKPOINT "main"', "1 closed"], self.engine.statements())
        self.engine.fail["CHECKPOINT"] = FakeError("disk full")
        self.post("/checkpoint", want=500, error="FakeError: disk full")

    def test_close(self):
        self.start()
        self.begin()
        self.server.hook.close()
        self.assertEqual(["1 ROLLBACK", "1 closed"], self.engine.statements()[-2:])
        for path in "/begin", "/end", "/checkpoint":
            self.post(path, {"token": TOKEN, "deadline_seconds": 1}, want=503, error="the service is stopping")

    def test_close_waits_for_what_begins(self):
        self.start()
        self.engine.block["CREATE"] = threading.Event()
        beginning = threading.Thread(target=lambda: self.begin(want=500, error="Interrupted"))
        beginning.start()
        self.assertTrue(self.engine.waiting.wait(20))
        self.server.hook.close()
        self.assertEqual(["1 ROLLBACK", "1 closed"], self.engine.statements()[-2:])
        beginning.join(20)

    def test_bad_requests(self):
        self.start()
        for path, body, error in [
            ("/begin", "", "the body is not the JSON that is wanted"),
            ("/begin", "[]", "it is not an object"),
            ("/begin", '{"token":"%s"}' % ("a" * 5000), "it has 5012 bytes"),
            ("/begin", {"token": "x); DROP TABLE t; --", "deadline_seconds": 1}, "token must be 32 hexadecimal digits"),
            ("/begin", {"token": TOKEN + "\n", "deadline_seconds": 1}, "token must be 32 hexadecimal digits"),
            ("/begin", {"token": TOKEN, "deadline_seconds": 0}, "deadline_seconds must be a whole number"),
            ("/begin", {"token": TOKEN, "deadline_seconds": True}, "deadline_seconds must be a whole number"),
        ]:
            self.post(path, body, want=400, error=error)
        self.end(None, want=410, error="no such hold")
        self.post("/nothing", want=404, error="POST /nothing is not served")
        status, _ = self.send("POST", "/checkpoint", headers={"Origin": "http://evil.example"})
        self.assertEqual(403, status)
        self.assertEqual([], self.engine.statements())

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "s")
            with socket.socket(socket.AF_UNIX) as stale:  # of a process that was killed
                stale.bind(path)
            self.start(address=path)
            self.begin()
            self.end()
            self.stop()
            self.assertFalse(os.path.exists(path))

    def test_other_hosts_are_refused(self):
        with self.assertRaisesRegex(ValueError, "0.0.0.0 is not 127.0.0.1"):
            canvasback_hook.serve(None, ("0.0.0.0", 0))


if __name__ == "__main__":
    unittest.main()
