"""The widget's module: one file without imports, with the page's and the web form's code."""

import re
import subprocess
import sys

from xai_nlp.insights.frontend import module, style_sheet


def test_the_module_is_one_file():
    code = module()
    assert not re.search(r"^import ", code, re.M)
    assert code.count("export default { render: renderInsights };") == 1
    assert "export function makeField" in code
    assert "export function enrich" in code
    assert ".xai-nlp.insights" in style_sheet()


def test_the_widget_needs_no_server():
    code = "import sys; sys.modules['fastapi'] = sys.modules['pydantic'] = None; import xai_nlp.insights.widget"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modules_of_insights_import_each_other_in_one_direction():
    """Also inside functions: the widget imports no visualizer, which shows itself by the widget."""
    import ast
    from graphlib import TopologicalSorter
    from pathlib import Path

    import xai_nlp.insights as package

    graph = {}
    for file in Path(package.__file__).parent.glob("*.py"):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        graph[file.stem] = {name.split(".")[2] for name in modules if name.startswith("xai_nlp.insights.")}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError for a cycle
