"""Lets a Python service with DuckDB inside help its backups: it folds the
write-ahead log when asked, and keeps checkpoints off while a copy of the
database file runs. It needs Python 3.9 and the duckdb module.

    import duckdb, canvasback_hook

    connection = duckdb.connect("shop.duckdb")
    hook = canvasback_hook.Hook(connection)
    server = canvasback_hook.serve(hook, ("127.0.0.1", 8081))  # or "/run/shop.sock"
    ...
    server.close()     # before the connection is closed

The server answers POST /checkpoint, POST /begin, POST /end and GET /status in
JSON; a refusal is {"error": "..."}: 409 where another hold is active, 410 where
a hold to be ended was not in force, 503 where the same request can succeed
later.

A hold is a transaction on a connection of its own (a cursor, in the words of
the module) that has created a table and stays open: while it does, no
checkpoint of any kind can start, and the CREATE does not return before a
running one has ended. It is rolled back in the end, so that the table is never
there. This is so in DuckDB 1.1 to 1.5.

Old transactions are bad for a service, so that a hold is a chain of young ones:
four times a second the next one begins, and then the one before is rolled back.
The hold was in force only if every ROLLBACK has succeeded.

What to know before you use it:

- DuckDB has faults beside a transaction that is older than a change, be it a
  hold's or a query's. In 1.5.6, DELETE, CREATE INDEX and DELETE of one table
  make the end of the older transaction invalidate the database until it is
  opened again; in 1.1.3 rows deleted around a DROP INDEX come back. In 1.4.1 a
  primary key that was deleted cannot be inserted again before the older
  transaction ends. Renewal leaves half a second for this to happen in; do not
  use holds in a service that does it in quick succession.
- The write-ahead log grows for as long as a hold lasts. Every hold has a
  deadline, after which it ends by itself; max_hold bounds it.
- FORCE CHECKPOINT waits for the hold, spins a core meanwhile (up to DuckDB
  1.5), and blocks later write transactions. Do not use it beside this.
- After a hold, the next commit may checkpoint all that the log has gathered.
- Never open and close the database file itself inside the service's process,
  not even to read it: that drops DuckDB's lock on it.
- Whoever can send requests can hold checkpoints back: listen on loopback or a
  unix socket. Requests of web pages are refused.
"""

import contextlib
import json
import os
import re
import socket
import socketserver
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler

import duckdb

MAX_BODY = 4096  # bytes of a request
_TOKEN = re.compile(r"[0-9a-f]{32}")
_FILES = ("SELECT database_name FROM duckdb_databases() "
          "WHERE path IS NOT NULL AND NOT internal AND NOT readonly")


class Refusal(Exception):
    """An answer that is not 200; status is the HTTP status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class _Hold:
    def __init__(self, token):
        self.token = token
        self.begun = False
        self.given_up = False
        self.since = self.deadline = None
        self.over = threading.Event()  # taken out of its Hook
        self.turn = threading.Lock()  # taken before the Hook's where both are; guards what follows
        self.links = 0  # that were begun
        self.link = _Link()  # the one in force
        self.broken = None  # an older link could not be rolled back


class _Link:
    """One transaction of a hold, on a connection of its own."""

    def __init__(self):
        self.cursor = None
        self.open = False  # a transaction was begun

    def release(self):
        """Rolls back on its own connection and closes that, which ends
        whatever it may still have open."""
        if self.cursor is None:
            return
        try:
            if self.open:
                self.cursor.execute("ROLLBACK")
        except Exception as error:
            raise RuntimeError("the hold could not be rolled back: %s" % error) from error
        finally:
            self.cursor.close()


class Hook:
    """Holds and checkpoints of the database of a connection, for any number of
    threads. The connection stays the caller's, who may go on using it.

    catalog is the name under which the database is attached, needed where more
    than one file is; wait bounds the wait for a running checkpoint and max_hold
    a hold; renew is the age at which a transaction of a hold is replaced by a
    younger one; all in seconds.
    """

    def __init__(self, connection, catalog="", wait=20.0, max_hold=3600, renew=0.25):
        self._connection = connection
        self._catalog = catalog
        self._wait = wait
        self._max_hold = max_hold
        self._renew = renew
        self._lock = threading.Condition(threading.Lock())  # guards what follows; not held while DuckDB works
        self._calls = 0  # under way, which close waits for
        self._active = None  # the hold that is begun or beginning
        self._last = (None, "")  # token and end of the hold before
        self._version = None
        self._closed = False

    def begin(self, token, deadline_seconds):
        """Returns once no checkpoint runs and none can start."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise Refusal(400, "token must be 32 hexadecimal digits")
        if type(deadline_seconds) is not int or deadline_seconds < 1:
            raise Refusal(400, "deadline_seconds must be a whole number, at least 1")
        with self._call():
            return self._begin(_Hold(token), deadline_seconds)

    def _begin(self, hold, deadline_seconds):
        with self._lock:
            if self._active is not None:
                raise Refusal(409, "another hold is active")
            self._active = hold
        try:
            with hold.turn:
                hold.links = 1
                version = self._open(hold.link, "%s_1" % hold.token)
            with self._lock:
                if hold.given_up:
                    raise Refusal(503, "the hold was given up before it had begun")
                seconds = min(deadline_seconds, self._max_hold)
                hold.begun = True
                hold.since = datetime.now(timezone.utc)
                hold.deadline = hold.since + timedelta(seconds=seconds)
                self._calls += 1
                threading.Thread(target=self._keep, args=[hold, seconds], daemon=True).start()
        except BaseException:
            with self._lock:
                self._active = None
            try:
                self._release(hold)
            except Exception:
                pass  # the cursor is closed all the same
            raise
        return {"token": hold.token, "engine_version": version, "deadline_seconds": seconds}

    def end(self, token):
        """Returns only if the hold was in force until then."""
        with self._call():
            return self._end(token)

    def _end(self, token):
        with self._lock:
            hold = self._active
            if hold is None or hold.token != token:
                over = token is not None and self._last[0] == token
                raise Refusal(410, "that hold is over: " + self._last[1] if over else "no such hold")
            if not hold.begun:
                self._give_up(hold)
                raise Refusal(410, "that hold had not begun")
            self._take(hold, "it was ended")
        try:
            self._release(hold)
        except Exception as error:
            raise Refusal(410, str(error)) from error
        return {}

    def checkpoint(self):
        """Folds the write-ahead log into the file."""
        with self._call(), contextlib.closing(self._connection.cursor()) as cursor:
            try:
                cursor.execute("CHECKPOINT " + self._quoted_catalog(cursor))
            except duckdb.Error as error:
                if "Cannot CHECKPOINT" in str(error):
                    raise Refusal(503, "not now: %s" % error) from error
                raise
        return {}

    def status(self):
        """Says whether a hold is active."""
        with self._call(), contextlib.closing(self._connection.cursor()) as cursor:
            version = self._engine_version(cursor)
        with self._lock:
            hold = self._active
            status = {"holding": hold is not None and hold.begun, "engine_version": version}
            if status["holding"]:
                status["since"] = hold.since.isoformat()
                status["deadline"] = hold.deadline.isoformat()
        return status

    def close(self):
        """Ends the hold, if there is one, refuses all that follows, and returns
        when nothing of the hook uses the database any more."""
        with self._lock:
            self._closed = True
            hold = self._active
            if hold is not None and hold.begun:
                self._take(hold, "the service stopped")
            elif hold is not None:
                self._give_up(hold)
                hold = None
        try:
            if hold is not None:
                self._release(hold)
        finally:
            with self._lock:
                self._lock.wait_for(lambda: self._calls == 0)

    @contextlib.contextmanager
    def _call(self):
        with self._lock:
            if self._closed:
                raise Refusal(503, "the service is stopping")
            self._calls += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self):
        with self._lock:
            self._calls -= 1
            self._lock.notify_all()

    def _keep(self, hold, seconds):
        """Renews the hold until it is over, and ends it at its deadline."""
        end = time.monotonic() + seconds
        try:
            while True:
                left = end - time.monotonic()
                if hold.over.wait(max(0, min(left, self._renew))):
                    return
                if left <= self._renew:
                    self._expire(hold)
                    return
                self._replace(hold)
        finally:
            self._leave()

    def _replace(self, hold):
        """Lets a younger transaction take the place of the hold's, and rolls the
        older one back after that; where that fails, the hold is broken. Where
        there can be no younger one, the older stays."""
        with hold.turn:
            hold.links += 1
            name = "%s_%d" % (hold.token, hold.links)
        other = _Link()
        try:
            self._open(other, name)
            begun = True
        except Exception:
            begun = False
        with hold.turn:
            with self._lock:
                begun = begun and self._active is hold
            if begun:
                hold.link, other = other, hold.link
            try:
                other.release()
            except Exception as error:
                if begun:
                    hold.broken = error

    def _open(self, link, name):
        """Opens a transaction that keeps checkpoints off. Where it fails, the
        link is to be released all the same."""
        link.cursor = self._connection.cursor()
        version = self._engine_version(link.cursor)
        catalog = self._quoted_catalog(link.cursor)
        late = threading.Event()

        def interrupt():
            late.set()
            link.cursor.interrupt()

        timer = threading.Timer(self._wait, interrupt)
        timer.daemon = True
        timer.start()
        try:
            link.open = True
            link.cursor.execute("BEGIN TRANSACTION")
            link.cursor.execute("CREATE TABLE %s.main.__canvasback_hold_%s(i INTEGER)" % (catalog, name))
        except Exception as error:
            if late.is_set():
                raise Refusal(503, "the hold could not begin within %g s: %s" % (self._wait, error)) from error
            raise
        finally:
            timer.cancel()
        return version

    def _give_up(self, hold):  # with the lock
        hold.given_up = True
        if hold.link.cursor is not None:
            hold.link.cursor.interrupt()

    def _take(self, hold, how):  # with the lock; the caller releases it
        hold.over.set()
        self._active = None
        self._last = (hold.token, how)

    def _expire(self, hold):
        with self._lock:
            if self._active is not hold:
                return
            self._take(hold, "it expired at " + hold.deadline.isoformat())
        try:
            self._release(hold)
        except Exception as error:
            with self._lock:
                if self._last[0] == hold.token:
                    self._last = (hold.token, "%s, and %s" % (self._last[1], error))

    @staticmethod
    def _release(hold):
        """Ends the transaction in force, after an older one that is being
        ended. Returns if there always was one in force until then."""
        with hold.turn:
            hold.link.release()
            if hold.broken is not None:
                raise hold.broken

    def _engine_version(self, cursor):
        if self._version is None:
            text = cursor.execute("SELECT version()").fetchone()[0]
            self._version = text[1:] if text.startswith("v") else text
        return self._version

    def _quoted_catalog(self, cursor):
        name = self._catalog
        if not name:
            files = cursor.execute(_FILES).fetchall()
            if len(files) != 1:
                raise RuntimeError("%d database files are attached for writing, where catalog "
                                   "is needed unless it is one" % len(files))
            name = files[0][0]
        return '"' + name.replace('"', '""') + '"'


class _Handler(BaseHTTPRequestHandler):
    timeout = 60

    def do_POST(self):
        hook = self.server.hook
        calls = {
            "/checkpoint": hook.checkpoint,
            "/begin": lambda: hook.begin(*self._fields("token", "deadline_seconds")),
            "/end": lambda: hook.end(*self._fields("token")),
        }
        self._answer(calls.get(self.path))

    def do_GET(self):
        self._answer({"/status": self.server.hook.status}.get(self.path))

    def _answer(self, call):
        try:
            if self.headers.get("Origin"):
                raise Refusal(403, "web pages are not served")
            if call is None:
                raise Refusal(404, "%s %s is not served" % (self.command, self.path))
            status, body = 200, call()
        except Refusal as refusal:
            status, body = refusal.status, {"error": str(refusal)}
        except Exception as error:
            status, body = 500, {"error": "%s: %s" % (type(error).__name__, error)}
        data = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 503:
            self.send_header("Retry-After", "5")
        self.end_headers()
        self.wfile.write(data)

    def _fields(self, *names):
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 <= length <= MAX_BODY:
                raise ValueError("it has %d bytes" % length)
            body = json.loads(self.rfile.read(length))
            if not isinstance(body, dict):
                raise ValueError("it is not an object")
        except ValueError as error:
            raise Refusal(400, "the body is not the JSON that is wanted: %s" % error) from error
        return [body.get(name) for name in names]

    def address_string(self):
        return "local"

    def log_message(self, format, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves a Hook in threads of its own; made by serve."""

    allow_reuse_address = True
    daemon_threads = True  # Hook.close waits for what they do with the database

    def close(self):
        """Stops serving and ends the hold."""
        try:
            self.hook.close()
        finally:
            self.shutdown()
            self.server_close()
            if self.address_family == socket.AF_UNIX:
                os.unlink(self.server_address)


def serve(hook, address):
    """Serves the hook at ("127.0.0.1", port), where port 0 is a free one, or at
    the path of a unix socket, and returns the Server. Other hosts are refused."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    if family == socket.AF_INET and address[0] != "127.0.0.1":
        raise ValueError("%s is not 127.0.0.1" % address[0])

    if family == socket.AF_UNIX:
        _remove_stale(address)

    class Local(Server):
        address_family = family

    server = Local(address, _Handler)
    server.hook = hook
    threading.Thread(target=server.serve_forever, name="canvasback-hook", daemon=True).start()
    return server


def _remove_stale(path):
    """Removes the socket of a process that has ended."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except FileNotFoundError:
            pass
