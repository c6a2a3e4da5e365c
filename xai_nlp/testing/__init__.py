"""Explanations in the tests of a project: a plugin of pytest with the fixture `explanation_snapshot`."""
