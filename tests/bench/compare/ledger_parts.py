"""What is measured of the ledger: draining full spools beside COPY, the whole pipeline, messages, and a large database."""

import os
import re
import subprocess
import time
from ledger import Daemon, Spool, copy_in, copy_rows, insert_generations
from processes import cpu_seconds, eventually
from servers import Express, Nginx

# Behind the last event, at the most: a second's worth of events, and the last settlement.
BACKLOG_SECONDS_MAX = 1.0
SETTLED_SECONDS_MAX = 1.5


def applied(bench):
    """Spools with a million events, drained; and the same rows by COPY into the same table."""
    spool = Spool(bench, "applied", bench.scaled(1_000_000), runs_in_flight=1000)
    file = bench.folder.path / "rows.copy"
    template = bench.database("runledger")
    bench.postgres.fresh("drained", template)
    spool.drain("drained")
    columns = copy_rows(bench, "drained", file)
    rounds = bench.interleaved({
        "runledger": lambda: spool.drain(bench.postgres.fresh("drained", template)),
        "copy": lambda: copy_in(bench, bench.postgres.fresh("copied", template), file, columns),
    })
    of = lambda name, key: [one[key] for one in rounds[name]]
    bench.figure("applied", "applied events/s from full spools, durable commit", of("runledger", "per_second"), "/s",
                 "COPY of the same rows into the same table, one connection", of("copy", "per_second"), at_least=0.5)
    ledger_cpu = [one["daemon_cpu"] + one["postgres_cpu"] for one in rounds["runledger"]]
    bench.figure("applied", "CPU seconds per million events, the daemon and its PostgreSQL", ledger_cpu, " s",
                 "COPY, PostgreSQL alone", of("copy", "cpu"))
    bench.figure("applied", "the daemon's share of that", of("runledger", "daemon_cpu"), " s", None, None)
    bench.figure("applied", f"the daemon's most memory, {spool.events:,} events spooled (peak RSS)",
                 of("runledger", "memory_mib"), " MiB", None, None, at_most=64)
    file.unlink()
    spool.remove()
    return rounds


def pipeline(bench, rate):
    """Everything at once at a fixed rate, or as fast as it goes where that is None."""
    seconds = max(bench.seconds * 2, 2)
    database = bench.postgres.fresh("pipeline", bench.database("runledger"))
    insert_generations(bench, database, int((rate or 40_000) * seconds / 8 + 2000))
    bench.postgres.psql("postgres", "-c", "CHECKPOINT")
    daemon = Daemon(bench, database)
    daemon.catch_up(bench, database)
    nginx = Nginx(bench, "runledger")
    postgres_before, daemon_before = bench.postgres.cpu_seconds(), cpu_seconds(daemon.process.pid)
    begun = time.monotonic()
    load = bench.load(nginx, seconds=seconds, connections=512, rate=rate)
    backlog = load["accepted"] - daemon.applied()
    eventually("all is committed", lambda: daemon.applied() >= load["accepted"], 300)
    committed_after = time.monotonic() - begun
    ended = "SELECT count(*) FROM runledger.runs WHERE terminal_status IS NOT NULL"
    settled = "SELECT count(*) FROM runledger.generations WHERE status = 'completed'"
    runs = bench.postgres.value(database, ended)
    eventually("all is settled", lambda: bench.postgres.value(database, settled) == runs, 300, 0.1)
    settled_later = time.monotonic() - begun - load["seconds"]
    result = {
        "per_second": load["per_second"], "overall": load["accepted"] / committed_after, "backlog": backlog,
        "settled_seconds_later": settled_later, "p99_us": load["p99_us"],
        "bounded": (backlog <= BACKLOG_SECONDS_MAX * load["per_second"] and settled_later <= SETTLED_SECONDS_MAX
                    and load["events"] == load["accepted"]),
        "cpu": {"generator": load["cpu_seconds"], "edge": sum(map(cpu_seconds, nginx.workers)),
                "daemon": cpu_seconds(daemon.process.pid) - daemon_before,
                "postgres": bench.postgres.cpu_seconds() - postgres_before, "events": load["accepted"]},
    }
    nginx.stop()
    daemon.stop()
    return result


def end_to_end(bench):
    """The highest rate at which what is accepted is committed, and no more than a second's worth is under way."""
    rate = pipeline(bench, None)["overall"] * 0.9

    def ours():
        nonlocal rate
        for _ in range(24):
            tried = pipeline(bench, round(rate))
            rate *= 1.07 if tried["bounded"] else 0.9
            if tried["bounded"]:
                return tried
        raise RuntimeError("no rate was found at which the backlog stays bounded")

    def express():
        database = bench.postgres.fresh("express_work", bench.database("express"))
        insert_generations(bench, database, int(3000 * bench.seconds / 8 + 2000), table="express.generations")
        server = Express(bench, database, "ledger")
        bench.load(server, seconds=0.5, seed=7)
        result = bench.load(server)
        server.stop()
        return result

    rounds = bench.interleaved({"runledger": ours, "express": express})
    bench.figure("end_to_end", "end to end on 2 cores, generator included: accepted = committed, backlog bounded",
                 [one["per_second"] for one in rounds["runledger"]], "/s", "Express doing the same work",
                 [one["per_second"] for one in rounds["express"]], at_least=6)
    return rounds


def telegram(bench):
    """tests/bench/notify_latency.cpp: from the success's receipt at the edge to the request at Telegram's stand-in."""
    seconds = max(int(bench.seconds * 2), 3)

    def one():
        done = subprocess.run(
            [bench.build / "tests/bench/notify_latency_bench"], capture_output=True, text=True, check=False,
            env={**os.environ, "RUNLEDGER_BENCH_SECONDS": str(seconds), "RUNLEDGER_BENCH_RUNS_PER_SECOND": "200"})
        found = re.search(r"^total +([0-9.]+) +([0-9.]+) +([0-9.]+)", done.stdout, re.MULTILINE)
        if done.returncode != 0 or not found:
            raise RuntimeError(f"notify_latency_bench failed: {done.stdout[-3000:]}{done.stderr[-1000:]}")
        return {"p50": float(found.group(1)), "p99": float(found.group(2)), "max": float(found.group(3)),
                "text": done.stdout}

    rounds = bench.interleaved({"runledger": one})
    bench.figure("telegram", "success webhook to Telegram request, 200 runs/s, p50",
                 [r["p50"] for r in rounds["runledger"]], " ms", None, None, at_most=10)
    bench.figure("telegram", "the same, p99", [r["p99"] for r in rounds["runledger"]], " ms", None, None, at_most=50)
    return rounds


def load_stored_runs(bench, database, rows):
    bench.postgres.fresh(database, bench.database("runledger"))
    bench.postgres.psql(database, "-v", f"rows={rows}", "-v", "runs_only=yes", "-f",
                        bench.source / "tests/bench/ten_million_load.sql")


def ten_million(bench):
    """New runs into a ledger that holds ten million, and into one that holds ten thousand."""
    bench.database("runledger")
    bench.postgres.stop()
    # Loading is not what is measured. The clean stop afterwards writes everything, and sync makes it stay.
    bench.postgres.start("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "wal_level=minimal", "-c",
                         "max_wal_senders=0", "-c", "autovacuum=off")
    begun = time.monotonic()
    load_stored_runs(bench, "large", bench.rows)
    print(f"    loaded {bench.rows:,} runs in {time.monotonic() - begun:.0f} s", flush=True)
    load_stored_runs(bench, "small_template", 10_000)
    bench.postgres.stop()
    os.sync()
    bench.postgres.start()
    events = bench.scaled(200_000)
    seed = 100

    def into(database, spool):
        insert_generations(bench, database, spool.load["runs"], seed=seed)
        bench.postgres.psql("postgres", "-c", "CHECKPOINT")
        return spool.drain(database)

    rounds = {"large": [], "small": []}
    for number in range(bench.rounds + 1):
        seed += 1
        spool = Spool(bench, "stored", events, seed=seed, runs_in_flight=5000)
        small = into(bench.postgres.fresh("small", "small_template"), spool)
        large = into("large", spool)
        spool.remove()
        if number > 0:  # The first one warms what has just been loaded.
            rounds["small"].append(small)
            rounds["large"].append(large)
            print(f"    round {number}: small {small['per_second']:.0f}, large {large['per_second']:.0f}", flush=True)
    bench.figure("ten_million", f"applied events/s with {bench.rows:,} runs and generations stored",
                 [one["per_second"] for one in rounds["large"]], "/s", "the same with ten thousand",
                 [one["per_second"] for one in rounds["small"]], at_least=0.8)
    bench.postgres.psql("postgres", "-c", "DROP DATABASE large")
    return rounds
