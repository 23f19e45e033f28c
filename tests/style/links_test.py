#!/usr/bin/env python3
"""links_test.py SOURCE: every link of a document to another file, or to a section, leads there."""
import glob
import os
import re
import sys

os.chdir(sys.argv[1])
# Its text becomes docs/benchmarks.md, and its links are looked at there.
documents = sorted(set(glob.glob("*.md") + glob.glob("docs/**/*.md", recursive=True)) - {"docs/benchmarks/page.md"})


def without_code(text):
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`]*`", lambda code: re.sub(r"[\[\]()#]", " ", code[0]), text)


def anchors_of(document):
    text = re.sub(r"^```.*?^```$", "", open(document, encoding="utf-8").read(), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w-]", "", title.strip().lower().replace(" ", "-")) for title in titles}


seen, faults = 0, []
for document in documents:
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", without_code(open(document, encoding="utf-8").read())):
        if re.match(r"[a-z]+:", target):
            continue
        seen += 1
        path, _, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
        if not os.path.exists(file):
            faults.append(f"{document}: {target}: there is no {file}")
        elif anchor and file.endswith(".md") and anchor not in anchors_of(file):
            faults.append(f"{document}: {target}: {file} has no such section")
if seen < 500:  # The pattern no longer finds them, and the test would say nothing.
    faults.append(f"only {seen} links were found")
print("\n".join(faults), end="\n" if faults else "")
sys.exit(bool(faults))
