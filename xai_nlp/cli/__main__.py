from xai_nlp.cli import app

app()
