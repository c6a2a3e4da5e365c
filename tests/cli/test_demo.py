"""`xai-nlp demo`."""

from tests.cli.command import run


def test_demo_writes_a_page(tmp_path):
    done = run("demo", "--html", str(tmp_path / "demo.html"))
    assert done.exit_code == 0, done.stderr
    assert "POSITIVE" in done.stdout
    assert "gripping" in (tmp_path / "demo.html").read_text(encoding="utf-8")
