"""PostgreSQL, the daemon, and the two things that the ledger's figures are made of: spools, and draining them."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from processes import Process, eventually, family_cpu_seconds, cpu_seconds, free_port, memory_mib, run
from servers import Nginx

BIN = subprocess.run([pathlib.Path(__file__).parents[3] / "config/packages/postgresql.sh"], capture_output=True, text=True,
                     check=True).stdout.strip()

# Durable, and for the rest what one would set on a machine of this size. Checkpoints are kept out of short rounds; each
# round begins after one.
SETTINGS = """
listen_addresses = ''
fsync = on
synchronous_commit = on
full_page_writes = on
wal_compression = lz4
shared_buffers = '2GB'
max_wal_size = '16GB'
checkpoint_timeout = '30min'
maintenance_work_mem = '512MB'
random_page_cost = 1.1
effective_io_concurrency = 100
timezone = 'UTC'
"""


class Postgres:
    def __init__(self, bench):
        self.socket_folder = bench.folder.path
        self.port = free_port()
        self.data = bench.folder.path / "postgres"
        run([f"{BIN}/initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8",
             "--no-sync"])
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS + f"unix_socket_directories = '{self.socket_folder}'\nport = {self.port}\n")
        self.start()

    def start(self, *options):
        self.process = Process([f"{BIN}/postgres", "-D", self.data, *options], self.socket_folder / "postgres.log")

        def ready():
            self.process.check("PostgreSQL")
            try:
                return self.value("postgres", "SELECT 1") == "1"
            except RuntimeError:
                return False
        eventually("PostgreSQL takes connections", ready)

    def stop(self):
        self.process.stop(signal.SIGINT)

    def uri(self, database, user="postgres"):
        return f"host={self.socket_folder} port={self.port} user={user} dbname={database}"

    def psql(self, database, *arguments, **more):
        return run([f"{BIN}/psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", self.uri(database), *arguments], **more)

    def value(self, database, query):
        return self.psql(database, "-c", query).strip()

    def fresh(self, database, template):
        """A copy of `template`, after a checkpoint, so that each round begins alike."""
        self.psql("postgres", "-c", f"DROP DATABASE IF EXISTS {database}")
        self.psql("postgres", "-c", f"CREATE DATABASE {database} TEMPLATE {template}")
        self.psql("postgres", "-c", "CHECKPOINT")
        return database

    def cpu_seconds(self):
        return family_cpu_seconds(self.process.pid)


class Daemon:
    def __init__(self, bench, database, extra="", telegram='mode = "log"', user="postgres"):
        self.port = free_port()
        self.conf = bench.folder.write("runledgerd.toml", f"""[intake]
bind = ["ipc://{bench.daemon_socket}"]
[postgres]
uri = "{bench.postgres.uri(database, user)}"
[telegram]
{telegram}
[metrics]
listen = "127.0.0.1:{self.port}"
[log]
level = "warn"
{extra}
""")
        self.process = Process([bench.binary("runledgerd"), "--config", self.conf], bench.folder.path / "daemon.log")

        def ready():
            self.process.check("runledgerd")
            return bench.daemon_socket.exists() and self.metric("runledger_events_applied_total") is not None
        eventually("runledgerd is ready", ready)

    def metric(self, name):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        found = re.search(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else None

    def applied(self):
        return self.metric("runledger_events_applied_total") or 0.0

    def catch_up(self, bench, database):
        """Until the settlements are looked at that inserting generations has queued."""
        eventually("the queue of settlements is empty", lambda: bench.postgres.value(
            database, "SELECT NOT EXISTS (SELECT FROM runledger.settle_queue)") == "t", 300)

    def stop(self):
        self.process.stop(signal.SIGTERM)


def migrate(bench, database):
    bench.postgres.psql("postgres", "-c", f"CREATE DATABASE {database}")
    conf = bench.folder.write("migrate.toml", f'[postgres]\nuri = "{bench.postgres.uri(database)}"\n')
    run([bench.binary("runledger"), "--config", conf, "migrate"])
    # The daemon makes the days' partitions; rounds are too short to wait for that.
    daemon = Daemon(bench, database)
    eventually("today has a partition", lambda: bench.postgres.value(
        database, "SELECT count(*) > 1 FROM pg_inherits WHERE inhparent = 'runledger.webhook_events'::regclass") == "t")
    daemon.stop()


def insert_generations(bench, database, runs, seed=1, table="runledger.generations"):
    """The records of the first runs that the seed makes, as the application would have inserted them."""
    ids = bench.folder.path / "run-ids"
    ids.write_text(run([bench.binary("bench_load"), "--list-runs", runs, "--seed", seed]))
    ids.chmod(0o644)
    column = ", run_id" if table.startswith("express") else ""
    value = ", run_id" if table.startswith("express") else ""
    bench.postgres.psql(
        database, "-c", "CREATE TEMPORARY TABLE ids (run_id text)", "-c", f"\\copy ids FROM '{ids}'", "-c",
        f"INSERT INTO {table} (metadata{column}) SELECT jsonb_build_object('run_id', run_id, 'costRate', "
        f"jsonb_build_object('amount', 0.000337, 'currency', 'USD', 'unit', 'second')){value} FROM ids",
        "-c", f"ANALYZE {table}")


class Spool:
    """Segments full of events that were accepted while no daemon was there; drained as often as asked."""

    def __init__(self, bench, name, events, connections=256, **load):
        self.bench, self.events = bench, events
        self.folder = bench.folder.fresh(f"spool-{name}")
        nginx = Nginx(bench, "runledger", spool=self.folder)
        self.load = bench.load(nginx, connections=connections, events=events, seconds=600, **load)
        # Workers publish once a second.
        status = eventually("the edge's counters are up to date", lambda: (
            lambda found: found if found["events_committed_total"] >= self.load["accepted"] else None)(
                nginx_status(nginx)))
        self.events_per_batch = status["events_committed_total"] / max(status["batches_committed_total"], 1)
        nginx.stop()
        if self.load["accepted"] != events:
            raise RuntimeError(f"the edge took {self.load['accepted']} of {events} events: {self.load['answers']}")

    def copy(self):
        """Hard links: segments are only read and unlinked by who adopts them."""
        target = self.bench.folder.fresh("spool-copy")
        for file in self.folder.iterdir():
            if file.is_file():
                os.link(file, target / file.name)
        return target

    def drain(self, database, workers=1):
        """Into a database that has none of it. Events a second from the first commit to the last."""
        bench = self.bench
        daemon = Daemon(bench, database)
        daemon.catch_up(bench, database)
        postgres_before, daemon_before = bench.postgres.cpu_seconds(), cpu_seconds(daemon.process.pid)
        nginx = Nginx(bench, "runledger", spool=self.copy(), workers=workers)
        begun, already = None, 0.0
        end = time.monotonic() + 300
        while (applied := daemon.applied()) < self.events:
            now = time.monotonic()
            if begun is None and applied > 0:
                begun, already = now, applied
            if now > end:
                raise RuntimeError(f"{applied} of {self.events} events were applied in 300 s")
            time.sleep(0.01)
        took = time.monotonic() - begun
        memory = memory_mib(daemon.process.pid)
        result = {"per_second": (self.events - already) / took, "memory_mib": memory["VmHWM"],
                  "daemon_cpu": (cpu_seconds(daemon.process.pid) - daemon_before) / self.events * 1e6,
                  "postgres_cpu": (bench.postgres.cpu_seconds() - postgres_before) / self.events * 1e6,
                  "edge_cpu": sum(map(cpu_seconds, nginx.workers)) / self.events * 1e6}
        nginx.stop()
        daemon.stop()
        return result

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def nginx_status(nginx):
    with urllib.request.urlopen(f"http://127.0.0.1:{nginx.port}/status?format=json", timeout=5) as answer:
        return json.load(answer)


def copy_rows(bench, source, file):
    """The stored events of `source`, as COPY writes them."""
    columns = ("applied_at, segment_id, batch_number, event_index, edge, received_at, boot_id, boottime_us, redelivered, "
               "run_id, event_type, status, body")
    bench.postgres.psql(source, "-c", f"\\copy (SELECT {columns} FROM runledger.webhook_events) TO '{file}'")
    return columns


def copy_in(bench, database, file, columns):
    """One COPY over one connection, committed durably: rows a second, and the CPU seconds of a million."""
    rows = int(bench.postgres.value(database, "SELECT count(*) FROM runledger.webhook_events"))
    before, begun = bench.postgres.cpu_seconds(), time.monotonic()
    bench.postgres.psql(database, "-c", f"\\copy runledger.webhook_events ({columns}) FROM '{file}'")
    took = time.monotonic() - begun
    time.sleep(0.3)  # Until the postmaster has counted its child that has ended.
    cpu = bench.postgres.cpu_seconds() - before
    rows = int(bench.postgres.value(database, "SELECT count(*) FROM runledger.webhook_events")) - rows
    return {"per_second": rows / took, "cpu": cpu / rows * 1e6}
