"""`python -m tests.bench NAME`: what is claimed, measured. NAME: sentiment, qa, faithful, faithful-qa, vqa, pointing,
methods, launch, captum, influence, trust, serve, page, points, overhead, overview, calls, runs, source."""

import argparse

from tests.bench import (
    calls,
    faithful,
    influence,
    launch,
    methods,
    overhead,
    overview,
    packages,
    page,
    pointing,
    points,
    qa,
    runs,
    sentiment,
    serve,
    source,
    trust,
    vqa,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    sentiment.add_to(commands)
    qa.add_to(commands)
    faithful.add_to(commands)
    vqa.add_to(commands)
    pointing.add_to(commands)
    methods.add_to(commands)
    launch.add_to(commands)
    packages.add_to(commands)
    serve.add_to(commands)
    page.add_to(commands)
    points.add_to(commands)
    overhead.add_to(commands)
    overview.add_to(commands)
    calls.add_to(commands)
    runs.add_to(commands)
    source.add_to(commands)
    influence.add_to(commands)
    trust.add_to(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


main()
