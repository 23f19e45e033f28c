"""The figures as a table, on the terminal and in docs/benchmarks.md, and the plots as SVG."""

from statistics import median

import plot


def digits(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def judged(figure):
    """What is shown of a figure: values, ratio with the rounds' spread, whether the goal is reached."""
    ours = median(figure["ours"])
    row = {"ours": digits(ours) + figure["unit"], "peer": "–", "ratio": "–", "reach": "–", "reached": "stated"}
    value = ours
    if figure["peer"]:
        peer = median(figure["peer"])
        value = ours / peer
        by_round = sorted(a / b for a, b in zip(figure["ours"], figure["peer"]))
        row["peer"] = digits(peer) + figure["unit"]
        row["ratio"] = f"{value:.2f} ({by_round[0]:.2f} to {by_round[-1]:.2f})"
    unit = " ×" if figure["peer"] else figure["unit"]
    if figure["at_least"] is not None:
        row["reach"] = f"≥ {figure['at_least']:g}{'' if figure['peer'] else unit}"
        row["reached"] = "yes" if value >= figure["at_least"] else "**no**"
    elif figure["at_most"] is not None:
        row["reach"] = f"≤ {figure['at_most']:g}{unit}"
        row["reached"] = "yes" if value <= figure["at_most"] else "**no**"
    return row


def round_line(results):
    def shown(one):
        for key in ("per_second", "p99_us", "p99", "Pss"):
            if key in one:
                return f"{digits(one[key])} {key.replace('per_second', '/s')}"
        return "?"
    return ", ".join(f"{name} {shown(rounds[-1])}" for name, rounds in results.items() if rounds)


def terminal_table(results):
    lines = []
    for figure in results["figures"]:
        row = judged(figure)
        lines.append(f"{figure['what']}\n    {row['ours']}  beside  {row['peer']}  {figure['peer_name'] or ''}\n"
                     f"    ratio {row['ratio']}  goal {row['reach']}  reached: {row['reached'].strip('*')}")
    lines += [f"{name}: {digits(median(values))}" for name, values in results["limits"].items()]
    return "\n".join(lines)


def table(results):
    lines = ["| figure | runledger | peer or limit in the same run | its figure | ratio (of the rounds) | goal | reached |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for figure in results["figures"]:
        row = judged(figure)
        lines.append(f"| {figure['what']} | {row['ours']} | {figure['peer_name'] or '–'} | {row['peer']} | {row['ratio']} "
                     f"| {row['reach']} | {row['reached']} |")
    return "\n".join(lines)


def write_docs(results, docs):
    folder = docs / "benchmarks"
    folder.mkdir(exist_ok=True)
    # By hand: method.md, bounds.md, and knees.md, a section for each plot under its name.
    knees = {}
    for section in (folder / "knees.md").read_text().split("\n## ")[1:]:
        name, text = section.split("\n", 1)
        knees[name.strip()] = text.strip()
    plots = []
    for name, one in results["plots"].items():
        (folder / f"{name}.svg").write_text(
            plot.svg(one["title"], one["x_title"], "µs per event", one["series"]))
        plots.append(f"### {one['title']}\n\n![{one['title']}](benchmarks/{name}.svg)\n\n{knees.get(name, '')}".rstrip())
    machine = "\n".join(f"| {name} | {value} |" for name, value in results["machine"].items())
    limits = "\n".join(f"| {name} | {digits(median(values))} |" for name, values in results["limits"].items())
    text = (folder / "page.md").read_text()
    for name, value in {
        "command": results["command"], "date": results["date"], "rounds": str(results["rounds"]),
        "seconds": f"{results['seconds']:g}", "minutes": f"{results['took_minutes']:.0f}",
        "machine": "| | |\n| --- | --- |\n" + machine, "table": table(results),
        "limits": "| limit | median |\n| --- | --- |\n" + limits,
        "method": (folder / "method.md").read_text().strip(), "bounds": (folder / "bounds.md").read_text().strip(),
        "changes": (folder / "changes.md").read_text().strip(), "plots": "\n\n".join(plots),
    }.items():
        text = text.replace("{" + name + "}", value)
    (docs / "benchmarks.md").write_text(text)
