"""Runs upstream's tools and ours through the same cases and compares what they say and end with.

One line per case, then `N passed, N failed`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from cases import NAME, Parser
from upstream import DEADLINE_MS, Upstream

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

# The events of a log, the exception that one may tell of on its next line, and Java's stack traces.
EVENT = re.compile(r"^(\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\] )?(WARN|ERROR|INFO) ")
TOLD = re.compile(r"^[a-z]\w*(\.\w+)+(Exception|Error)(: |$)")
TRACE = re.compile(r"^\s+at |^Caused by: |^\s+\.\.\. \d+ more|^\s+Suppressed: ")
# The end of an event whose text ends with a line.
LOGGER = re.compile(r"^\s*\(org\.apache\.kafka\.[\w.$]+\)$")
# An exception that ends a tool of upstream's: its name says nothing of what was wrong.
THROWN = re.compile(r'^Exception in thread "main" [\w.$]+: (requirement failed: )?')
# How the help of upstream's two libraries for options begins.
HELP = re.compile(r"^Option\s+(\(\* = required\)\s+)?Description\s*$|^usage: ")
# What the second of them says after its help.
COMPLAINT = re.compile(r"^[\w.-]+:\s+error:\s")


def said(error):
    """Standard error without what nobody can script against: logs, stack traces, the help."""
    kept = []
    skips = False
    after_event = False
    for line in error.splitlines():
        told, after_event = after_event and TOLD.match(line), EVENT.match(line) and " ERROR " in line
        if told:
            continue
        if HELP.match(line):
            skips = True
        if COMPLAINT.match(line):
            skips = False
        if not skips and not any(what.match(line) for what in (TRACE, EVENT, LOGGER)):
            # Upstream fits what it says to the width of a terminal.
            kept.append(" ".join(THROWN.sub("", line).split()))
    text = "\n".join(kept).strip()
    if COMPLAINT.match(text):
        # It breaks lines behind hyphens, too.
        text = " ".join(text.split()).replace("-- ", "--")
    return text


class Side:
    """One of the two that a case runs on: its tool, its names, its folder."""

    def __init__(self, letter, run_tool, server, folder):
        self.letter = letter
        self.run_tool = run_tool
        self.server = server
        self.folder = folder

    def value(self, is_shared, name, case_id):
        if name == "server":
            return self.server
        if name == "dir":
            return self.folder
        if name == "nobody":
            return "127.0.0.1:1"
        return f"{name}-{case_id}{'s' if is_shared else self.letter}"

    def fill(self, text, case_id):
        return NAME.sub(lambda found: self.value(found[1], found[2], case_id), text)

    def unfill(self, text, case_id):
        """Names made for the case become what the case calls them."""
        text = text.replace(self.folder, "{dir}")
        for letter, shown in ((self.letter, r"{\1}"), ("s", r"{=\1}")):
            text = re.sub(rf"([a-z][a-z0-9._-]*)-{case_id}{letter}\b", shown, text)
        return text


class Difference(Exception):
    pass


class Comparison:
    def __init__(self, case, case_id, upstream, sides, klamm):
        self.case = case
        self.case_id = case_id
        self.upstream = upstream
        self.sides = sides
        self.klamm = klamm

    def run(self):
        try:
            for step in self.case.steps:
                self.step(step)
        finally:
            self.upstream.leave()

    def step(self, step):
        try:
            if step.kind in ("run", "show"):
                self.compare(step)
            else:
                self.prepare(step)
        except Difference as difference:
            raise Difference(f"{self.case.file}:{step.line}: {step.kind} {' '.join(step.words)}\n{difference}") from None

    def words(self, side, step):
        return [side.fill(word, self.case_id) for word in step.words]

    def stdin(self, side, step):
        return "".join(side.fill(line, self.case_id) + "\n" for line in step.stdin)

    def prepare(self, step):
        done = []
        for side in self.sides:
            words, stdin = self.words(side, step), self.stdin(side, step)
            # What both share is prepared once.
            if (words, stdin) in done and step.kind != "file":
                continue
            done.append((words, stdin))
            getattr(self, step.kind)(side, words, stdin)

    def file(self, side, words, stdin):
        with open(os.path.join(side.folder, words[0]), "w", encoding="utf-8") as file:
            file.write(stdin)

    def setup(self, side, words, stdin):
        code, out, err = self.upstream.tool(words[0], words[1:], stdin)
        if code != 0:
            raise Difference(f"the preparation ended with {code}:\n{out}{err}")

    def join(self, side, words, stdin):
        options = dict(word.split("=", 1) for word in words)
        topics, commits = options.pop("topics"), options.pop("commits", "no") == "yes"
        waits = options.pop("waits", "yes") == "yes"
        options["bootstrap.servers"] = side.server
        if not self.upstream.join(topics, commits, options, waits) and waits:
            raise Difference("the member got no partition")

    def share(self, side, words, stdin):
        options = dict(word.split("=", 1) for word in words)
        topics, reads = options.pop("topics"), int(options.pop("reads", "0"))
        options["bootstrap.servers"] = side.server
        if not self.upstream.share(topics, reads, options):
            raise Difference(f"the member of the share group did not get {reads} records")

    def open(self, side, words, stdin):
        options = dict(word.split("=", 1) for word in words)
        partitions = options.pop("partitions")
        options["bootstrap.servers"] = side.server
        self.upstream.open(partitions, options)

    def leave(self, side, words, stdin):
        self.upstream.leave()

    def observe(self, side, step):
        """What one side says, masked: exit code, standard output, standard error."""
        words = self.words(side, step)
        if step.kind == "show":
            with open(os.path.join(side.folder, words[0]), encoding="utf-8") as file:
                code, out, err = 0, file.read(), ""
        else:
            code, out, err = side.run_tool(words[0], words[1:], self.stdin(side, step))
            if step.unread and side.letter == "k":
                # The same again where nothing can be written: only what it ends with may differ.
                code = unwritable([side.fill(word, self.case_id) for word in step.words], self.klamm)
        texts = []
        # Some of upstream's tools print what went wrong there too.
        out = "".join(line for line in out.splitlines(keepends=True) if not TRACE.match(line))
        for text in (out, said(err)):
            text = side.unfill(text, self.case_id)
            for pattern, replacement in self.case.masks:
                text = pattern.sub(replacement, text)
            if step.unordered:
                text = "\n".join(sorted(text.splitlines()))
            texts.append("some help\n" if step.help and text else text)
        return (code, *texts)

    def compare(self, step):
        deadline = time.monotonic() + (15 if step.eventually else 0)
        while True:
            theirs, ours = [self.observe(side, step) for side in self.sides]
            wrong = self.wrong(step, theirs, ours)
            if wrong is None:
                return
            if time.monotonic() > deadline:
                raise Difference(wrong)
            time.sleep(0.2)

    def wrong(self, step, theirs, ours):
        def show(observed):
            code, out, err = observed
            return f"exit {code}\n--- stdout\n{out}\n--- stderr\n{err}"

        if theirs[0] != step.code:
            return f"upstream's tool: expected exit {step.code}\n{show(theirs)}"
        if step.help and theirs[1:] == ours[1:] and "some help" in theirs[1]:
            return None if theirs[0] == ours[0] else f"ours: exit {ours[0]}"
        both = theirs[1] + "\n" + theirs[2]
        for expected in step.expects:
            if expected not in both:
                return f"upstream's tool does not say {expected!r}\n{show(theirs)}"
        if step.silent and both.strip():
            return f"upstream's tool is not silent\n{show(theirs)}"
        if theirs != ours:
            return f"===== upstream's: {show(theirs)}\n===== ours: {show(ours)}"
        return None


def our_tool(klamm, links, by_link):
    """Runs ours: by its own name with .sh, as scripts call it, or as a word after `klamm`."""

    def run(name, args, stdin):
        link = os.path.join(links, f"{name}.sh")
        if by_link and not os.path.lexists(link):
            os.symlink(klamm, link)
        command = [link] if by_link else [klamm, name]
        try:
            done = subprocess.run(
                command + args, input=stdin.encode(), capture_output=True, timeout=DEADLINE_MS / 1000
            )
        except subprocess.TimeoutExpired as late:
            return None, (late.stdout or b"").decode(), (late.stderr or b"").decode()
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    return run


def unwritable(words, klamm):
    """What ours ends with where its output and its complaints can be written nowhere."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [klamm, *words], stdin=subprocess.DEVNULL, stdout=full, stderr=full, timeout=DEADLINE_MS / 1000
        )
    return done.returncode


def find_cases(files, wanted):
    cases = []
    for file in files:
        cases += Parser(file).read()
    return [case for case in cases if not wanted or wanted in case.name]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--klamm", required=True)
    parser.add_argument("--classes", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--upstream")
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("files", nargs="+")
    return parser.parse_args()


def main():
    options = arguments()
    cases = find_cases(options.files, options.only)
    servers = {"klamm": options.bootstrap, "upstream": options.upstream, "none": "127.0.0.1:1"}
    scratch = tempfile.mkdtemp(prefix="klamm-tools-")
    os.mkdir(os.path.join(scratch, "bin"))
    log = open(options.log, "w", encoding="utf-8")
    upstream = Upstream(options.classes, os.path.join(ROOT, "scripts", "upstream"), log)
    run_id = f"{os.getpid() % 46656:x}".rjust(4, "0")
    passed = failed = skipped = 0
    number = 0
    for case in cases:
        for broker in case.brokers:
            name = f"{os.path.basename(case.file)} {case.name} (on {broker})"
            if servers[broker] is None:
                skipped += 1
                continue
            number += 1
            folders = [os.path.join(scratch, f"{number:03}{letter}") for letter in "uk"]
            for folder in folders:
                os.mkdir(folder)
            ours = our_tool(options.klamm, os.path.join(scratch, "bin"), by_link=number % 2 == 0)
            sides = [
                Side("u", upstream.tool, servers[broker], folders[0]),
                Side("k", ours, servers[broker], folders[1]),
            ]
            started = time.monotonic()
            try:
                Comparison(case, f"{run_id}{number:03}", upstream, sides, options.klamm).run()
                passed += 1
                took = f" {time.monotonic() - started:.1f} s" if options.verbose else ""
                print(f"ok {name}{took}", flush=True)
            except Difference as difference:
                failed += 1
                print(f"FAILED {name}\n{difference}", flush=True)
    upstream.close()
    shutil.rmtree(scratch)
    if skipped:
        print(f"{skipped} cases for upstream's broker left out: none was given")
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if passed and not failed else 1)


main()
