"""Cases of tools, as read from a file: what runs, on which brokers, and what is expected of it."""

import re
import shlex
from dataclasses import dataclass, field

NAME = re.compile(r"\{(=?)([a-z][a-z0-9._-]*)\}")


@dataclass
class Step:
    """One line of a case: `run` and `show` are compared, the others only prepare."""

    kind: str
    words: list
    line: int
    stdin: list = field(default_factory=list)
    expects: list = field(default_factory=list)
    code: int = 0
    silent: bool = False
    unordered: bool = False
    eventually: bool = False
    help: bool = False
    unread: bool = False


@dataclass
class Case:
    name: str
    file: str
    brokers: list
    steps: list = field(default_factory=list)
    masks: list = field(default_factory=list)


class Malformed(Exception):
    pass


def parse_mask(text):
    pattern, arrow, replacement = text.partition(" =>")
    if not arrow:
        raise Malformed("mask wants PATTERN => REPLACEMENT")
    return re.compile(pattern, re.MULTILINE), replacement.strip()


def brokers_of(text):
    known = {"klamm": ["klamm"], "upstream": ["upstream"], "both": ["klamm", "upstream"], "none": ["none"]}
    if text not in known:
        raise Malformed(f"on wants one of {', '.join(known)}")
    return known[text]


class Parser:
    def __init__(self, file):
        self.file = file
        self.cases = []
        self.masks = []
        self.brokers = ["klamm", "upstream"]

    def read(self):
        with open(self.file, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                try:
                    self.directive(number, *(text.split(" ", 1) + [""])[:2])
                except (Malformed, ValueError, re.error) as error:
                    raise SystemExit(f"{self.file}:{number}: {error}") from error
        for case in self.cases:
            self.check(case)
        return self.cases

    def directive(self, number, word, rest):
        case = self.cases[-1] if self.cases else None
        if word == "case":
            self.cases.append(Case(rest, self.file, self.brokers, masks=list(self.masks)))
        elif word == "mask":
            (case.masks if case else self.masks).append(parse_mask(rest))
        elif word == "on":
            if case:
                case.brokers = brokers_of(rest)
            else:
                self.brokers = brokers_of(rest)
        elif case is None:
            raise Malformed(f"'{word}' before the first case")
        elif word in ("run", "setup", "join", "share", "open", "file", "show", "leave"):
            case.steps.append(Step(word, shlex.split(rest), number))
        else:
            self.detail(case, word, rest)

    def detail(self, case, word, rest):
        if not case.steps:
            raise Malformed(f"'{word}' before the first step")
        step = case.steps[-1]
        if word == "<":
            step.stdin.append(rest)
        elif word == "expect":
            step.expects.append(rest)
        elif word == "exit":
            step.code = int(rest)
        elif word in ("silent", "unordered", "eventually", "help", "unread"):
            setattr(step, word, True)
        else:
            raise Malformed(f"what is '{word}'?")

    def check(self, case):
        """A step that expects nothing would pass whatever both tools say."""
        compared = [step for step in case.steps if step.kind in ("run", "show")]
        if not compared:
            raise SystemExit(f"{self.file}: case {case.name!r} compares nothing")
        for step in compared:
            if [bool(step.expects), step.silent, step.help].count(True) != 1:
                wanted = "'expect', 'silent' or 'help', and one kind only"
                raise SystemExit(f"{self.file}:{step.line}: a {step.kind} wants {wanted}")
