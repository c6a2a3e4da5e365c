# Two commands do all the set-up, each in an environment of its own: `make demo` and `make test`.
PYTHON ?= python3
SOURCES = $(shell find xai_nlp hooks viz -name '*.py' 2>/dev/null)

.PHONY: demo test lint types bench docs pictures clean

demo: .venv-demo/ready
	.venv-demo/bin/xai-nlp demo

test: .venv/ready
	.venv/bin/python -m pytest -n 2

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

bench: .venv/ready
	.venv/bin/python -m tests.bench sentiment

docs: .venv/ready
	.venv/bin/python -m tests.recipes.reference build/docs

pictures: .venv/ready
	.venv/bin/python -m tests.recipes.pictures

.venv-demo/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet -c constraints.txt -e .
	touch $@

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
