"""A year in an hour: a ledger as ten million runs a year leave it, and all that works on it at once, month by month.

A month lasts for --month-seconds. In it come a month's generations, runs, settlements and outputs (by SQL, in chunks), live
events through nginx with the application's inserts, look-ups of silent runs, and pg_dump of everything; retention
removes what has become a month older, so that new rows reuse the pages of removed ones.
"""

import json
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import machine
from ledger import BIN, Daemon, insert_generations
from processes import eventually, free_port, run, unprivileged
from servers import Nginx

MONTHS = 12
DAYS = 365
EVENTS_PER_SECOND = 200
EVENTS_PER_RUN = 8  # tests/bench/load/run_bodies.cpp
CHUNK = 2000
WAIT_SEEN_FROM_MS = 20  # A shorter wait for a lock is not logged.

MEASURED = ("-c", "shared_preload_libraries=pg_stat_statements", "-c", f"deadlock_timeout={WAIT_SEEN_FROM_MS}ms", "-c",
            "log_lock_waits=on", "-c", "log_line_prefix=%a|")
LOADING = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c",
           "autovacuum=off")

# Longest first; of the daemon's login, so neither the chunks nor pg_dump.
LONGEST = """
SELECT json_agg(json_build_object('query', query, 'ms', max_exec_time, 'calls', calls))
FROM (SELECT query, max_exec_time, calls FROM pg_stat_statements
      WHERE userid = 'year_daemon'::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      ORDER BY max_exec_time DESC) AS longest
"""
SIZES = """
SELECT json_object_agg(relname, pg_total_relation_size(oid) / 1048576.0)
FROM pg_class WHERE oid IN ('runledger.settle_queue'::regclass, 'runledger.runs'::regclass,
                            'runledger.run_outputs'::regclass, 'runledger.notifications'::regclass)
"""


class Provider:
    """ComfyDeploy's API for look-ups: half of the runs have ended."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                run_id = self.path.rsplit("/", 1)[-1]
                status = "success" if run_id[-1] in "01234" else "running"
                body = json.dumps({"id": run_id, "status": status, "progress": 0.5, "outputs": []}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class YearDaemon(Daemon):
    def __init__(self, bench, provider, days):
        key = bench.folder.write("comfydeploy-key", "key", 0o600)
        half = max(days * 30 // DAYS, 1)  # A month of notifications is loaded.
        super().__init__(bench, "year", user="year_daemon", extra=f"""
[comfydeploy]
api_key_file = "{key}"
api_url = "{provider.url}"
[retention]
runs_days = {days}
settlements_days = {days}
notifications_days = {half}
quarantine_days = {days}
tombstones_days = {days}
webhook_events_days = 3
""")

    def removed(self):
        return self.metric(r'runledger_rows_expired_total\{of="runs"\}') or 0.0


class Threads:
    """Work beside the measurement; what fails there fails the benchmark."""

    def __init__(self):
        self.failure, self.threads = None, []

    def start(self, work):
        def guarded():
            try:
                work()
            except Exception as error:  # Told by join().
                self.failure = error
        self.threads.append(threading.Thread(target=guarded))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.failure:
            raise self.failure


def query_names(source):
    """The file of each query that the daemon sends, by its text without comments and blanks."""
    names = {}
    for file in sorted((source / "sql/queries").glob("*/*.sql")):
        text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))
        names["".join(text.split())[:120]] = f"{file.parent.name}/{file.stem}"
    return names


def name_of(query, names):
    text = "\n".join(line for line in query.splitlines() if not line.startswith("--"))
    return names.get("".join(text.split())[:120], " ".join(query.split())[:60])


def load(bench):
    bench.database("runledger")
    bench.postgres.stop()
    bench.postgres.start(*LOADING)
    begun = time.monotonic()
    bench.postgres.fresh("year", "runledger")
    for file in ("ten_million_load.sql", "year_load.sql"):
        bench.postgres.psql("year", "-v", f"rows={bench.rows}", "-f", bench.source / "tests/bench" / file)
    bench.postgres.stop()
    run(["sync"])
    bench.postgres.start(*MEASURED)
    bench.postgres.psql("year", "-c", "CREATE EXTENSION pg_stat_statements", "-c", "CREATE ROLE year_daemon LOGIN",
                        "-c", "GRANT runledger_daemon TO year_daemon")
    print(f"    loaded {bench.rows:,} runs in {time.monotonic() - begun:.0f} s", flush=True)


def lock_waits(log, offset):
    """The longest wait for a lock of each stage of the daemon, in milliseconds."""
    longest = {}
    with open(log, "rb") as file:
        file.seek(offset)
        for line in file.read().decode(errors="replace").splitlines():
            found = re.search(r"^runledgerd (\S+)\|LOG: .* after ([0-9.]+) ms", line)
            if found:
                longest[found.group(1)] = max(longest.get(found.group(1), 0.0), float(found.group(2)))
    return longest


def month(bench, number, provider, names):
    seconds, log = bench.month_seconds, bench.folder.path / "postgres.log"
    days = DAYS - number * DAYS // (MONTHS + 1)
    runs = bench.rows // (MONTHS + 1)
    # What autovacuum does more than once in a real month; a simulated one is too short for it.
    bench.postgres.psql("year", "-c", "VACUUM runledger.runs, runledger.run_outputs")
    bench.postgres.psql("year", "-c", "SELECT pg_stat_statements_reset()")
    offset = log.stat().st_size
    daemon = YearDaemon(bench, provider, days)
    nginx = Nginx(bench, "runledger")
    begun = time.monotonic()
    beside, result = Threads(), {}

    def chunks():
        for chunk in range(runs // CHUNK):
            time.sleep(max(0.0, begun + seconds * chunk / (runs // CHUNK) - time.monotonic()))
            bench.postgres.psql("year", "-v", f"first={(number - 1) * runs + chunk * CHUNK + 1}", "-v", f"rows={CHUNK}",
                                "-f", bench.source / "tests/bench/year_chunk.sql")
        result["came"] = runs // CHUNK * CHUNK / (time.monotonic() - begun)

    def dump():
        time.sleep(seconds / 10)
        at = time.monotonic()
        done = subprocess.run([f"{BIN}/pg_dump", "-Fc", "-Z0", "--no-sync", "-f", "/dev/null", "-d", bench.postgres.uri("year")],
                              capture_output=True, text=True, check=False, cwd="/", **unprivileged())
        if done.returncode != 0:
            raise RuntimeError(f"pg_dump: {done.stderr[-1000:]}")
        result["dump_seconds"] = time.monotonic() - at

    def retention():
        before, at, last_change = 0.0, None, time.monotonic()
        while time.monotonic() < last_change + 5 and time.monotonic() < begun + 3 * seconds:
            removed = daemon.removed()
            if removed > before:
                at, before, last_change = at or time.monotonic(), removed, time.monotonic()
            time.sleep(0.2)
        result["removed"] = before
        result["removed_per_second"] = before / max(last_change - (at or last_change), 0.2)

    insert_generations(bench, "year", EVENTS_PER_SECOND * (seconds + 60) // EVENTS_PER_RUN, seed=number)
    for work in (chunks, dump, retention):
        beside.start(work)
    live = bench.load(nginx, seconds=seconds, connections=64, rate=EVENTS_PER_SECOND, seed=number)
    beside.join()
    eventually("all is committed", lambda: daemon.applied() >= live["accepted"], 120)
    statements = json.loads(bench.postgres.value("year", LONGEST))
    named = {}
    for one in statements:
        name = name_of(one["query"], names)
        named[name] = max(named.get(name, 0.0), one["ms"])
    waits = lock_waits(log, offset)
    apply_longest = max((ms for name, ms in named.items() if name.startswith("apply/")), default=0.0)
    background = {name: ms for name, ms in named.items() if "/" in name and not name.startswith("apply/")}
    result.update({
        "month": number, "days": days, "live_per_second": live["per_second"], "lost": live["events"] - live["accepted"],
        "answer_p99_ms": live["p99_us"] / 1000, "apply_waited_ms": waits.get("apply", 0.0), "waits": waits,
        "apply_longest_ms": apply_longest, "longest": sorted(background.items(), key=lambda item: -item[1])[:6],
        "sizes": json.loads(bench.postgres.value("year", SIZES)),
        "queued": int(bench.postgres.value("year", "SELECT count(*) FROM runledger.settle_queue WHERE due_at < now() - interval '10 seconds'")),
    })
    nginx.stop()
    daemon.stop()
    name, ms = result["longest"][0]
    print(f"    month {number}: came {result['came']:.0f}/s, removed {result['removed']:.0f} at {result['removed_per_second']:.0f}/s,"
          f" apply waited {result['apply_waited_ms']:.0f} ms, longest {name} {ms:.0f} ms,"
          f" pg_dump {result['dump_seconds']:.0f} s, queue {result['sizes']['settle_queue']:.1f} MiB", flush=True)
    return result


PAGE = """# A year in an hour

A ledger as {rows:,} runs in a year leave it: every key of `[retention]` on, {months} months of {seconds} s each. In each month
come a month's runs with their generations, settlements and outputs, {live} live events a second through nginx, look-ups
of silent runs, and `pg_dump` of the whole; retention removes what has become a month older. Between two months
VACUUM of `runs` and `run_outputs`, which in a real month autovacuum has done. Written by
`{command}` on {date}
({machine}).

*Waited*: the longest wait of apply for a lock; one under {seen} ms is not seen and is 0. *Longest*: the longest
statement of the daemon's other stages, with its file in `sql/queries`. *Ratio*: runs removed a second beside runs that
came in a second.

| month | came in/s | removed/s | ratio | apply waited | apply's longest statement | longest of the others | queue | runs | answer p99 |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{table}

The six longest of the other stages over the year:

{longest}
"""


def write_page(bench, months):
    rows = []
    for one in months:
        name, ms = one["longest"][0]
        rows.append(f"| {one['month']} | {one['came']:,.0f} | {one['removed_per_second']:,.0f} | "
                    f"{one['removed_per_second'] / one['came']:.1f} | {one['apply_waited_ms']:.0f} ms | "
                    f"{one['apply_longest_ms']:.0f} ms | `{name}` {ms:.0f} ms | {one['sizes']['settle_queue']:.1f} MiB | "
                    f"{one['sizes']['runs']:,.0f} MiB | {one['answer_p99_ms']:.0f} ms |")
    worst = {}
    for one in months:
        for name, ms in one["longest"]:
            worst[name] = max(worst.get(name, 0.0), ms)
    longest = [f"- `{name}`: {ms:.0f} ms" for name, ms in sorted(worst.items(), key=lambda item: -item[1])[:6]]
    described = machine.describe(bench.folder.path)
    # Without the places on this machine.
    command = re.sub(r" --(folder|build|results) \S+", "", bench.command)
    (bench.source / "docs/benchmarks/year.md").write_text(PAGE.format(
        rows=bench.rows, months=len(months), seconds=bench.month_seconds, live=EVENTS_PER_SECOND, command=command,
        date=time.strftime("%Y-%m-%d"), seen=WAIT_SEEN_FROM_MS, table="\n".join(rows), longest="\n".join(longest),
        machine=", ".join((described["CPU"], described["memory"], described["file system"].split()[0]))))
    print("written: docs/benchmarks/year.md")


def year(bench):
    load(bench)
    provider, names = Provider(), query_names(Path(bench.source))
    months = [month(bench, number, provider, names) for number in range(1, bench.months + 1)]
    bench.figure("year", "apply's longest wait for a lock", [max(one["apply_waited_ms"] for one in months)], " ms", None, None,
                 at_most=100)
    bench.figure("year", "longest statement of the other stages", [max(one["longest"][0][1] for one in months)], " ms", None,
                 None, at_most=100)
    bench.figure("year", "runs removed a second, the slowest month", [min(one["removed_per_second"] for one in months)], "/s",
                 "runs that came in a second", [max(one["came"] for one in months)], at_least=2)
    bench.figure("year", "the settle queue's size at the end of the last month", [months[-1]["sizes"]["settle_queue"]], " MiB",
                 "at the end of the second", [months[min(1, len(months) - 1)]["sizes"]["settle_queue"]])
    write_page(bench, months)
