#!/usr/bin/env python3
"""Another parser reads what the program read: PyYAML, as the oracle of how manifests are read.

    manifests.py PROGRAM [--seed N] [--count N]

In: the program's binary. Makes manifests from a seed, in every legal style and with mistakes, lets the program plan all
of them in one call, and reads what it accepted again. Out: fails, prints the document, and keeps it in its folder, if the
program takes a value that the oracle does not read there, accepts a tag or a number that is not plain decimal digits,
names a place that is not in the file, or refuses too many documents that only have a style of their own.
Deliberately absent: what a message says; the tests in Rust hold that.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import yaml

API = "zoho-mail-reconciler/v1"
DIGITS = re.compile(r"[1-9][0-9]{0,18}\Z")
# What the oracle, a parser of YAML 1.1, refuses although YAML 1.2 allows it, and the program reads: a tab before a
# comment, a question mark within a word in brackets, and a key in brackets whose colon is on the next line.
ONLY_NEWER = ("found character '\\t' that cannot start any token", "but got '?'", "expected ',' or '}', but got ':'")


class Maker:
    """Writes one manifest in a style of its own, and knows whether the style is legal."""

    def __init__(self, rng, number):
        self.rng, self.number = rng, number
        self.account, self.zuid = 2_560_636_000_000_000_000 + number, 1_000_000 + number
        self.name = f"user-{number}"
        self.enabled = rng.choice(["true", "false", "True", "FALSE"])
        self.legal = True
        self.anchors = 0

    def one_in(self, n):
        return self.rng.randrange(n) == 0

    def odd(self, text):
        self.legal = False
        return text

    def quoted(self, text):
        kind = self.rng.randrange(3)
        if kind == 0:
            return f"'{text}'"
        if kind == 1 and text:
            at = self.rng.randrange(len(text))
            return f'"{text[:at]}\\x{ord(text[at]):02x}{text[at + 1:]}"'
        return f'"{text}"'

    def scalar(self, text, plain_only=False):
        """`text` as a value on its line."""
        if self.one_in(40):
            self.anchors += 1
            text = f"&a{self.anchors} {text}"
        elif not plain_only and self.one_in(3):
            text = self.quoted(text)
        if self.one_in(60):
            tag = self.rng.choice(["!!str ", "!!int ", "! ", "!secret ", "!!bool ", "!<tag:yaml.org,2002:int> "])
            text = self.odd(tag + text)
        return text

    def number_value(self, number):
        if self.one_in(25):
            form = self.rng.choice(["0x{:x}", "0o{:o}", "0b{:b}", "+{}", "-{}", "0{}", "{:_}", "{}.0", "{}e0", "0X{:X}"])
            return self.odd(form.format(number))
        return self.scalar(str(number))

    def colon(self):
        if self.one_in(40):
            return self.odd(self.rng.choice([":\t", " :\t", ":", ":\u00a0"]))
        return self.rng.choice([": "] * 12 + [":  ", " : ", ":      ", ": \t"])

    def end(self):
        return self.rng.choice([""] * 14 + [" ", "  # c: d", " # 'it", "\t# c", "   "])

    def key(self, key):
        return self.rng.choice([key] * 12 + [f"'{key}'", f'"{key}"'])

    def labels(self):
        pairs = {"team": self.rng.choice(["sales", "R-D", "a.b", "no", "'3'"]), "floor": '"3"'}
        return ", ".join(f"{key}: {value}" for key, value in pairs.items())

    def fields(self):
        metadata = [("name", self.scalar(self.name, plain_only=self.one_in(2)))]
        if self.one_in(3):
            metadata.append(("labels", "{" + self.labels() + "}"))
        if self.one_in(6):
            metadata.append(("annotations", "{note: 'it''s [{', \"x/y\": \"\\u00e9: # \\\"\"}"))
        spec = [
            ("accountId", self.number_value(self.account)),
            ("zuid", self.number_value(self.zuid)),
            ("enabled", self.flag()),
        ]
        if self.one_in(2):
            spec.append(("email", self.scalar(f"{self.name}@example.com")))
        if self.one_in(4):
            spec.append(("activeSyncEnabled", "true"))
        for part in (metadata, spec):
            if self.one_in(4):
                self.rng.shuffle(part)
        return metadata, spec

    def flag(self):
        if self.one_in(30):
            return self.odd(self.rng.choice(["yes", "on", '"true"', "1", "y", "~", "", "tRue", "!!bool true", "No"]))
        return self.enabled

    def block(self, name, pairs):
        """A key and its mapping in lines of their own."""
        indent = " " * self.rng.choice([1, 2, 2, 2, 4, 4, 7])
        lines = [f"{self.key(name)}:{self.end()}"]
        for key, value in pairs:
            if self.one_in(12):
                lines.append(self.rng.choice(["", "# c", f"{indent}# '\"[{{ &x *y !z", "   ", "\t"]))
            is_text = key in ("accountId", "zuid", "name") and DIGITS.match(value) or key == "email"
            style = self.rng.randrange(40)
            if style == 0 and is_text and not value.startswith(("&", "!", "'", '"')):
                mark = self.rng.choice(["|-", ">-", "|2-", ">-2"])
                lines += [f"{indent}{self.key(key)}: {mark}", f"{indent}  {value}"]
            elif style == 1 and value:
                lines += [f"{indent}{self.key(key)}:{self.end()}", f"{indent}   {value}"]
            elif style == 2:
                lines += [f"{indent}? {key}", f"{indent}: {value}"]
            else:
                lines.append(f"{indent}{self.key(key)}{self.colon()}{value}{self.end()}")
        return lines

    def flow(self, name, pairs):
        """A key and its mapping in brackets."""
        pairs = [f"{key}: {value or 'null'}" for key, value in pairs]
        if self.one_in(3):
            return [f"{name}: {{", *(f"    {pair}," for pair in pairs), "  }"]
        return [f"{name}: {{{', '.join(pairs)}{self.rng.choice(['', ' ', ','])}}}{self.end()}"]

    def text(self):
        metadata, spec = self.fields()
        parts = [[f"{self.key('apiVersion')}: {self.rng.choice([API, repr(API)])}{self.end()}"], ["kind: MailAccount"]]
        for name, pairs in (("metadata", metadata), ("spec", spec)):
            parts.append(self.flow(name, pairs) if self.one_in(5) else self.block(name, pairs))
        if self.one_in(5):
            self.rng.shuffle(parts)
        lines = [line for part in parts for line in part]
        if self.one_in(10):
            lines.insert(0, self.rng.choice(["---", "--- # c", "# c", "", "\ufeff# bom"]))
        if self.one_in(20):
            lines.append(self.rng.choice(["...", "# end", "---", "--- # nothing"]))
        text = self.rng.choice(["\n"] * 6 + ["\r\n"]).join(lines)
        return text + self.rng.choice(["\n"] * 5 + [""])


PIECES = list("\t \n:'\"{}[]#&*!|>-,?%@`\\~0x_.+") + [
    ": ", "\n  ", "---\n", "...\n", "- ", "? ", "&a ", "*a", "<<: ", "!!str ", "0x", "\u00a0", "\u0430", "\r", "null", "{", "# ",
]


def mutate(rng, text):
    """`text` with some mistakes of an editor, a merge or a disk."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        lines = text.split("\n")
        at, row = rng.randrange(len(text) + 1), rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind == 0:
            text = text[:at] + text[at + rng.choice([1, 1, 2, 9]):]
        elif kind in (1, 2):
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 3:
            text = text[:at] + rng.choice(PIECES) + text[at + 1:]
        elif kind == 4:
            lines[row] = rng.choice([" ", "  ", "\t", ""]) + lines[row].lstrip(rng.choice([" ", ""]))
            text = "\n".join(lines)
        elif kind == 5:
            lines.insert(rng.randrange(len(lines) + 1), lines[row])
            text = "\n".join(lines)
        elif kind == 6:
            del lines[row]
            text = "\n".join(lines)
        else:
            text = text[:at] if at else text
    return text


def budget(rng, number):
    """A budget whose number may be odd; none is in force, for there are many."""
    odd = rng.choice(["0x64", "0o17", "+5", "-5", "1_0", "5.0", "!!int 5", "007", "1e1", "0b1", "~", "[5]"])
    value = rng.choice(["5", "'5'", '"10,10%"', "10%", odd, odd])
    text = f"apiVersion: {API}\nkind: DisruptionBudget\nmetadata: {{name: b{number}}}\nspec:\n  maxDisruptions:{rng.choice([' ', chr(9)])}{value}\n"
    return text, value != odd


class Odd(Exception):
    """The oracle finds something that must not be accepted."""


class End:
    """The end of a mapping or a list."""


def tree(events, anchors, tags):
    """The next node: a mapping as a list of pairs, a list, or a scalar as (text, is plain)."""
    event = next(events)
    if isinstance(event, yaml.CollectionEndEvent):
        return End
    if isinstance(event, yaml.AliasEvent):
        return anchors[event.anchor]
    if event.tag is not None:
        tags.append(event.tag)
    if isinstance(event, yaml.ScalarEvent):
        node = (event.value, event.style is None)
    else:
        node = []
        while (item := tree(events, anchors, tags)) is not End:
            node.append((item, tree(events, anchors, tags)) if isinstance(event, yaml.MappingStartEvent) else item)
    if event.anchor:
        anchors[event.anchor] = node
    return node


def documents(text):
    """Each document as the oracle reads it: its root and its tags."""
    events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            tags = []
            yield tree(events, {}, tags), tags


def pairs(node):
    if not isinstance(node, list) or not all(isinstance(pair, tuple) and isinstance(pair[0], tuple) for pair in node):
        raise Odd(f"no mapping of texts: {node!r}")
    names = [key[0] for key, _ in node]
    if len(set(names)) < len(names):
        raise Odd(f"a key stands twice: {names}")
    return dict(zip(names, (value for _, value in node)))


def account(root):
    """What a document declares, as the program's plan says it: account, name, zuid, and what is wanted."""
    root = pairs(root)
    metadata, spec = pairs(root["metadata"]), pairs(root["spec"])
    for key in ("accountId", "zuid"):
        if not (isinstance(spec[key], tuple) and DIGITS.match(spec[key][0])):
            raise Odd(f"{key} is {spec[key]!r}")
    wanted = {}
    for key in ("enabled", "activeSyncEnabled"):
        if key in spec:
            text, plain = spec[key]
            if not plain or text not in ("true", "True", "TRUE", "false", "False", "FALSE"):
                raise Odd(f"{key} is {spec[key]!r}")
            wanted[key] = text.lower() == "true"
    return spec["accountId"][0], metadata["name"][0], spec["zuid"][0], wanted


def chunks(text):
    """The documents of a file, cut at their markers: what is wrong with one does not touch the others."""
    chunk = ""
    for line in re.split(r"(?<=\n)", text.removeprefix("\ufeff")):
        if chunk and re.match(r"---(\s|$)", line):
            yield chunk
            chunk = ""
        chunk += line
        if re.match(r"\.\.\.(\s|$)", line):
            yield chunk
            chunk = ""
    yield chunk


def read(text):
    """What the oracle reads: of each document its account or why it must not be accepted, and its tags."""
    for chunk in chunks(text):
        try:
            for root, tags in documents(chunk):
                try:
                    yield account(root), tags
                except (Odd, KeyError, TypeError, ValueError) as error:
                    yield error, tags
        except yaml.YAMLError as error:
            yield error, []


def check(text, accepted):
    """Why what was `accepted` of `text` is not what the oracle reads; `None` if it is."""
    found = list(read(text))
    only_newer = any(part in str(declared) for declared, _ in found for part in ONLY_NEWER)
    for one in accepted:
        same = [tags for declared, tags in found if isinstance(declared, tuple) and list(declared) == one]
        if not same and not only_newer:
            return f"the program reads {one}, the oracle {[declared for declared, _ in found]}"
        if same and all(same):
            return f"the program accepts the tags {same}"
    return None


def place_is_there(problem, text):
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if not 1 <= problem["line"] <= len(lines):
        return False
    return 1 <= problem["column"] <= len(lines[problem["line"] - 1]) + 1


def generate(rng, count):
    """The texts, and for each whether it is legal (`None`: who knows)."""
    for number in range(count):
        kind = rng.randrange(20)
        if kind == 0:
            yield budget(rng, number)
            continue
        maker = Maker(rng, number)
        text = maker.text()
        yield (text, maker.legal or None) if kind < 11 else (mutate(rng, text), None)


def plan(program, folder):
    command = [program, "plan", "--output", "json", "--desired-state", folder, "--ledger", folder.parent / "ledger.json"]
    command += ["--zoid", "1", "--disruption-budget", "100%", "--log-level", "off"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(ran.stdout)
    except json.JSONDecodeError:
        sys.exit(f"no plan: exit {ran.returncode}\n{ran.stderr[-3000:]}")


def main():
    arguments = argparse.ArgumentParser(description="Another parser reads what the program read.")
    arguments.add_argument("program", type=Path)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments.add_argument("--count", type=int, default=20_000)
    options = arguments.parse_args()
    print(f"seed {options.seed}: to repeat it, --seed {options.seed} --count {options.count}")
    home = Path(tempfile.mkdtemp(prefix="manifests-"))
    folder = home / "desired-state"
    texts, legal = {}, {}
    for number, (text, is_legal) in enumerate(generate(random.Random(options.seed), options.count)):
        path = f"{number // 1000:03}/{number:06}.yaml"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
        texts[path], legal[path] = text, is_legal
    said = plan(options.program.resolve(), folder)
    accepted = {}
    for change in said["allowed"] + said["held"]:
        rows = accepted.setdefault(change["source"].rpartition(":")[0], {})
        key = (change["account"], change["name"], change["zuid"])
        rows.setdefault(key, {})[change["field"]] = change["to"]
    problems = {}
    for problem in said["problems"]:
        path = problem["path"].removeprefix(f"{folder}/")
        problems.setdefault(path, []).append(problem)
    failures, counts = [], Counter()
    for path, text in texts.items():
        rows = [[*key, wanted] for key, wanted in accepted.get(path, {}).items()]
        wrong = check(text, rows) if rows else None
        is_budget = "kind: DisruptionBudget" in text
        codes = {problem["code"] for problem in problems.get(path, [])}
        if is_budget and legal[path] is False and not codes - {"duplicate-budget"}:
            wrong = "an odd number in a budget is accepted"
        for problem in problems.get(path, []):
            if not place_is_there(problem, text):
                wrong = f"no such place: {problem}"
        counts["accepted"] += bool(rows)
        if legal[path] and not is_budget:
            counts["legal"] += 1
            if rows:
                counts["legal and accepted"] += 1
            else:
                counts["refused: " + ", ".join(f"{p['found']}" for p in problems.get(path, []))[:60]] += 1
        if wrong:
            failures.append((path, wrong))
    print(f"{len(texts)} documents", *(f"{count} {what}" for what, count in counts.most_common(12)), sep="\n  ")
    for path, wrong in failures[:5]:
        print(f"\n{folder / path}: {wrong}\n{texts[path]!r}")
    if failures:
        sys.exit(f"{len(failures)} documents are read otherwise; they are kept in {folder}")
    # A reader that refuses everything would pass what is above.
    if counts["accepted"] < options.count // 4 or counts["legal and accepted"] < counts["legal"] * 0.99:
        sys.exit(f"too few are accepted; they are kept in {folder}")
    subprocess.run(["rm", "-r", home], check=True)


if __name__ == "__main__":
    main()
