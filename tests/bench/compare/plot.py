"""A plot as SVG: lines through points, both axes logarithmic. Readable on light and dark pages."""

import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, BOTTOM = 70, 20, 55
LEGEND_LINE = 16
COLOURS = ("#2a78b8", "#c8553d", "#4d8f3c", "#8a5fb0")


def number(value):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def ticks(low, high):
    """Of each power of ten all digits, 1, 2 and 5, or 1 alone: the most that are not too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in (range(1, 10), (1, 2, 5), (1,)):
        found = [digit * 10.0 ** power for power in powers for digit in digits]
        found = [tick for tick in found if low <= tick * 1.0001 and tick <= high * 1.0001]
        if len(found) <= 10:
            break
    return found


def svg(title, x_title, y_title, series):
    points = [point for line in series.values() for point in line]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points) / 1.3, max(y for _, y in points) * 1.3
    top = 50 + LEGEND_LINE * len(series)
    at_x = lambda x: LEFT + (math.log(x / x_low) / math.log(x_high / x_low)) * (WIDTH - LEFT - RIGHT)
    at_y = lambda y: HEIGHT - BOTTOM - (math.log(y / y_low) / math.log(y_high / y_low)) * (HEIGHT - top - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="22" font-size="16" font-weight="bold" fill="#222">{title}</text>',
           f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle" fill="#444">{x_title}</text>',
           f'<text transform="translate(16 {(HEIGHT + top - BOTTOM) / 2}) rotate(-90)" text-anchor="middle" '
           f'fill="#444">{y_title}</text>']
    for tick in ticks(y_low, y_high):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at_y(tick):.1f}" y2="{at_y(tick):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{at_y(tick) + 4:.1f}" text-anchor="end" fill="#444">{number(tick)}</text>')
    labelled_x = -math.inf  # Points may lie close together.
    for tick in sorted({x for x, _ in points} if len({x for x, _ in points}) <= 8 else ticks(x_low, x_high)):
        out.append(f'<line x1="{at_x(tick):.1f}" x2="{at_x(tick):.1f}" y1="{top}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>'
                   + (f'<text x="{at_x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#444">'
                      f'{number(tick)}</text>' if at_x(tick) - labelled_x > 34 else ""))
        labelled_x = at_x(tick) if at_x(tick) - labelled_x > 34 else labelled_x
    placed = []

    def is_free(x, y):
        """Whether a label there leaves those before it readable; then it is taken."""
        if any(abs(x - other_x) < 30 and abs(y - other_y) < 11 for other_x, other_y in placed):
            return False
        placed.append((x, y))
        return True

    for index, (name, line) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = sorted(map(tuple, line))
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in line:
            anchor = "start" if x == x_low else "end" if x == x_high else "middle"
            out.append(f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3.5" fill="{colour}"/>')
            for label_y in (at_y(y) - 8, at_y(y) + 16):
                if is_free(at_x(x), label_y):
                    out.append(f'<text x="{at_x(x):.1f}" y="{label_y:.1f}" text-anchor="{anchor}" font-size="10" '
                               f'fill="{colour}">{number(y)}</text>')
                    break
        y = 32 + index * LEGEND_LINE
        out.append(f'<rect x="{LEFT}" y="{y}" width="12" height="12" fill="{colour}"/>'
                   f'<text x="{LEFT + 17}" y="{y + 10}" font-size="11" fill="#222">{name}</text>')
    return "\n".join([*out, "</svg>", ""])
