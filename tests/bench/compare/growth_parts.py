"""How cost grows: a plot each of microseconds per event by connections, body size, workers, batch size, runs in flight."""

from statistics import median
from edge_parts import measure
from ledger import Spool
from servers import Nginx

# A plot shows shapes: fewer and shorter rounds than a figure has.
ROUNDS_MAX = 3
DRAINS_MAX = 2
SECONDS_MAX = 2.0


def per_event(rates):
    return 1e6 / median(rates)


def beside_plain(bench, points, make, **load_of):
    """Microseconds per event of the edge and of plain nginx at each point."""
    series = {"runledger, durable": [], "nginx reading and discarding the body": []}
    for point in points:
        load = {"seconds": min(bench.seconds, SECONDS_MAX), **{name: of(point) for name, of in load_of.items()}}
        rounds = bench.interleaved({kind: lambda kind=kind: measure(bench, lambda: make(kind, point), **load)
                                    for kind in ("runledger", "plain")}, rounds_max=ROUNDS_MAX)
        for kind, name in zip(("runledger", "plain"), series):
            series[name].append((point, per_event([one["per_second"] for one in rounds[kind]])))
    return series


def drained(bench, point, database="growth", **load):
    """Microseconds per event to apply a spool that was filled in this way; and the spool's batches."""
    spool = Spool(bench, "growth", **load)
    rates = []
    for _ in range(min(bench.rounds, DRAINS_MAX)):
        bench.postgres.fresh(database, bench.database("runledger"))
        rates.append(spool.drain(database)["per_second"])
    spool.remove()
    return point if point is not None else spool.events_per_batch, per_event(rates), 1e6 / spool.load["per_second"]


def connections(bench):
    points = [1, 4, 16, 64, 256, 1024]
    series = beside_plain(bench, points, lambda kind, point: Nginx(bench, kind), connections=lambda point: point)
    bench.plot("connections", "Cost by connections", "connections, closed loop", series)
    return series


def body_size(bench):
    points = [180, 1000, 3000, 20_000, 100_000]
    series = beside_plain(bench, points, lambda kind, point: Nginx(bench, kind), body_bytes=lambda point: point)
    series["runledgerd, applied from full spools"] = [
        drained(bench, point, body_bytes=point, events=bench.scaled(min(100_000, 400_000_000 // point)))[:2]
        for point in (180, 3000, 100_000)]
    bench.plot("body-size", "Cost by body size", "bytes of a body", series)
    return series


def workers(bench):
    points = [1, 2, 4]
    series = beside_plain(bench, points, lambda kind, point: Nginx(bench, kind, workers=point),
                          connections=lambda point: 256)
    bench.plot("workers", "Cost by number of workers", "worker processes, 256 connections", series)
    return series


def batch_size(bench):
    edge, ledger = [], []
    for count in (1, 2, 8, 32, 128, 512):
        batch, applied, accepted = drained(bench, None, connections=count,
                                           events=bench.scaled(min(100_000, 8_000 * count)))
        edge.append((batch, accepted))
        ledger.append((batch, applied))
    series = {"runledger, durable": edge, "runledgerd, applied from full spools": ledger}
    bench.plot("batch-size", "Cost by batch size", "events in a batch, on average", series)
    return series


def runs_in_flight(bench):
    series = {"runledgerd, applied from full spools": [
        drained(bench, point, runs_in_flight=point, events=bench.scaled(100_000))[:2]
        for point in (1, 10, 100, 1000, 10_000, 100_000)]}
    bench.plot("runs-in-flight", "Cost by number of runs in flight", "runs in flight", series)
    return series
