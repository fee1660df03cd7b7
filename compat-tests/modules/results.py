"""The outcome of the modules' modes: reads what a part prints, and adds up what all parts left.

results.py part PART MODULE VERSION FILE   standard input is a part's output; appends its modes to FILE
results.py total IMAGE ID FILE             the whole as JSON, for the documents
results.py count FILE                      `N passed, N failed`; fails when something has failed
results.py document [--check]              the tables in docs/ from results.json beside this file
"""

import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECORDED = HERE / "results.json"
DOCS = HERE.parent.parent / "docs"
BEGIN = "<!-- generated from compat-tests/modules/results.json: compat-tests/modules/results.py document -->\n"
END = "<!-- end of the generated part -->\n"

LANGUAGES = {
    "java": "Java",
    "java-legacy": "Java",
    "java-prefix": "Java",
    "python": "Python",
    "go": "Go",
    "node": "Node",
    "rust": "Rust",
}


def append(path, run):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    if run["error"]:
        print(f"FAILED {run['part']}: {run['mode']}: {run['error']}", flush=True)
    else:
        print(f"ok {run['part']}: {run['mode']} ({run['seconds']:.2f} s, {run['client']})", flush=True)


def part(name, module, version, path):
    about = {"part": name, "language": LANGUAGES[name], "module": module, "version": version}
    ended, modes, failed = False, 0, 0
    for line in sys.stdin:
        if line.strip() == f"end {name.partition('-')[0]}":
            ended = True
        elif line.startswith("{"):
            run = about | json.loads(line)
            modes += 1
            failed += bool(run["error"])
            append(path, run)
    if not ended or modes == 0:
        failed += 1
        append(path, about | {"mode": "all", "client": "", "seconds": 0, "error": "did not come to its end"})
    return failed == 0


def runs_in(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def total(image, image_id, path):
    runs = runs_in(path)
    failed = sum(bool(run["error"]) for run in runs)
    for run in runs:
        run["result"] = "failed" if run["error"] else "passed"
        del run["part"]
    whole = {
        "date": datetime.date.today().isoformat(),
        "image": image,
        "image_id": image_id,
        "passed": len(runs) - failed,
        "failed": failed,
        "runs": runs,
    }
    print(json.dumps(whole, indent=2))
    return True


def count(path):
    runs = runs_in(path)
    failed = sum(bool(run["error"]) for run in runs)
    print(f"{len(runs) - failed} passed, {failed} failed")
    return failed == 0 and bool(runs)


def table(whole):
    """The recorded run for a page: what ran, with which client, how it went and how long a start took."""
    lines = [
        f"Run on {whole['date']}: {whole['passed']} passed, {whole['failed']} failed.\n\n",
        "| language | module | started as | tried with | result | started in |\n",
        "|---|---|---|---|---|---|\n",
    ]
    for run in whole["runs"]:
        module = f"`{run['module']}` {run['version']}"
        cells = [run["language"], module, run["mode"], run["client"], run["result"], f"{run['seconds']:.2f} s"]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def summary(whole):
    """The same by module: how many ways to start it, and how many of them passed."""
    modules = {}
    for run in whole["runs"]:
        counts = modules.setdefault((run["language"], run["module"], run["version"], run["client"]), [0, 0])
        counts[0] += 1
        counts[1] += run["result"] == "passed"
    lines = [
        f"Run on {whole['date']}: {whole['passed']} passed, {whole['failed']} failed, 0 skipped.\n\n",
        "| language | module | version | tried with | ways to start it | passed |\n",
        "|---|---|---|---|---|---|\n",
    ]
    for (language, module, version, client), (ways, passed) in modules.items():
        lines.append(f"| {language} | `{module}` | {version} | {client} | {ways} | {passed} |\n")
    return "".join(lines)


def document(*words):
    """Writes the tables into the pages; with --check fails where they are not there already."""
    whole = json.loads(RECORDED.read_text(encoding="utf-8"))
    same = [in_page(DOCS / page, part(whole), words) for page, part in PAGES.items()]
    return all(same)


PAGES = {"image.md": table, "compatibility.md": summary}


def in_page(page, part, words):
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{page} has no part for the results: {BEGIN}")
    wanted = f"{before}{BEGIN}\n{part}\n{END}{after}"
    if "--check" not in words:
        page.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        print(f"docs/{page.name} has other results than results.json: run compat-tests/modules/results.py document")
        return False
    return True


if not {"document": document, "part": part, "total": total, "count": count}[
    sys.argv[1]
](*sys.argv[2:]):
    sys.exit(1)
