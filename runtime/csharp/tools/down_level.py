"""Rewrite C# 8 to 10 as the C# 7 that Mono's compiler reads: down_level.py FROM TO.

For the tests alone, of ONNX Runtime's own sources: an application takes the compiled ones from NuGet.
"""

import re
import sys
from pathlib import Path

USING = re.compile(r"^(\s*)using (var \w+ = .*);$")
REWRITTEN = (
    (re.compile(r"\(static (\w+ =>)"), r"(\1"),  # a static lambda
    (re.compile(r"\b((\w+)(?:<\w+>)?) (\w+) = new\("), r"\1 \3 = new \1("),  # a constructor without its type
    (re.compile(r"\(([\w.]+) is not (\w+)\)"), r"(!(\1 is \2))"),
    (re.compile(r"\b(where \w+ : )unmanaged"), r"\1struct"),
    (re.compile(r"([\w.]+\.Span)(\[.*\] = .*;)"), r"{ var span = \1; span\2 }"),  # elements by reference, as the next
    (re.compile(r"(\w+\[\d\] = )(\w+\[\d\] = )(\w+);"), r"\1\3; \2\3;"),
)


def down_level(text: str) -> str:
    """The source, line by line; a using declaration becomes a block that ends where the enclosing one does."""
    lines: list[str] = []
    depth = 0
    usings: list[int] = []  # the depths of the enclosing blocks
    for line in text.splitlines():
        for pattern, replacement in REWRITTEN:
            line = pattern.sub(replacement, line)
        declared = USING.match(line)
        depth += line.count("{") - line.count("}")
        while usings and depth < usings[-1]:
            lines.append("}")
            usings.pop()
        if declared:
            usings.append(depth)
            line = f"{declared[1]}using ({declared[2]}) {{"
        lines.append(line)
    return "\n".join(lines) + "\n"


def main(source: Path, target: Path) -> None:
    """Writes every C# file below a folder into another one, without folders."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*.cs")):
        (target / path.name).write_text(down_level(path.read_text("utf-8-sig")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
