"""`python -m tests.bench sentiment | qa | faithful | faithful-qa | vqa | pointing`: what is claimed, measured."""

import argparse

from tests.bench import faithful, pointing, qa, sentiment, vqa


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    sentiment.add_to(commands)
    qa.add_to(commands)
    faithful.add_to(commands)
    vqa.add_to(commands)
    pointing.add_to(commands)
    given = parser.parse_args()
    given.run(given)


main()
