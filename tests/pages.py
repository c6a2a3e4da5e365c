"""Runs what a Markdown page shows: `python -m tests.pages page.md`.

Python blocks run in order in one namespace; one that begins with `# file: name.py` is written to the working folder and
imported from there too.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\w+)\.py\n")


def run(page: Path) -> int:
    """Run the page's blocks; how many there were."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": page.stem}
    for number, block in enumerate(blocks):
        named = FILE.match(block)
        if named:
            Path(f"{named[1]}.py").write_text(block, encoding="utf-8")
            sys.path.insert(0, "")
            names.update(vars(import_module(named[1])))
        else:
            exec(compile(block, f"{page.name}, block {number + 1}", "exec"), names)
    return len(blocks)


if __name__ == "__main__":
    print(run(Path(sys.argv[1])), "blocks")
