"""`python -m tests.hostile`: the long run of the trials, counted by family. Exit code 1: a promise was not held."""

import argparse
import sys

from tests.hostile.families import FAMILIES
from tests.hostile.trial import run_family


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; default: all")
    parser.add_argument("--count", type=int, help="trials of each family; default: the long run of each")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if unknown := set(arguments.families) - set(FAMILIES):
        parser.error(f"no family {', '.join(sorted(unknown))}")
    print(f"{'family':<12}{'tried':>8}{'held':>8}{'not':>6}{'seconds':>9}", flush=True)
    broken = {}
    for name in arguments.families or FAMILIES:
        family = FAMILIES[name]
        count = run_family(family, arguments.count or family.long, arguments.seed)
        broken.update({f"{name} {trial}": error for trial, error in count.failed.items()})
        print(f"{name:<12}{count.tried:>8}{count.held:>8}{len(count.failed):>6}{count.seconds:>9.1f}", flush=True)
    for trial, error in broken.items():
        print(f"\nnot held: {trial}\n{error}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
