"""The OpenAPI document declares what the server answers: statuses, media types, schemas, the upload's body."""

import os
import subprocess
import sys

import pytest

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)


def test_every_operation_declares_its_refusals(served):
    document = served.client.get("openapi.json").json()
    upload = document["paths"]["/api/history"]["post"]
    assert "application/json" in upload["requestBody"]["content"]
    assert {"201", "413", "422", "503", "507"} <= set(upload["responses"])
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert {"403", "421", "422"} <= set(operation["responses"]), path


@pytest.mark.slow
def test_what_is_declared_is_what_is_answered(served):
    """By schemathesis, for at most a minute."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}openapi.json", "--checks", CHECKS]
    command += ["--exclude-path-regex", "events", "--max-time", "40", "--phases", "coverage,fuzzing", "--seed", "1"]
    command += ["--max-examples", "20", "--warnings", "off", "--no-color", "--request-timeout", "20"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "generated" in done.stdout
