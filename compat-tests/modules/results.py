"""The outcome of the modules' modes: reads what a part prints, and adds up what all parts left.

results.py part PART MODULE VERSION FILE   standard input is a part's output; appends its modes to FILE
results.py total IMAGE ID FILE             the whole as JSON, for the documents
results.py count FILE                      `N passed, N failed`; fails when something has failed
"""

import datetime
import json
import sys

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


if not {"part": part, "total": total, "count": count}[sys.argv[1]](*sys.argv[2:]):
    sys.exit(1)
