"""Requests made up from the description: none fails, and every answer is as described.

More of them: ``LIFT_SYS_TEST_EXAMPLES=1000 pytest tests/integration/api/test_any_request.py``.
"""

import os
import re
import subprocess
import sys

from tests.integration.api.servers import serving

EXAMPLES = os.environ.get("LIFT_SYS_TEST_EXAMPLES", "5")
# Data of the right shape may still be refused: a version that is not the stored one, U+0000.
LEFT_OUT = "positive_data_acceptance"


def test_any_request_is_answered_as_described(tmp_path):
    with serving(tmp_path, {"LIFT_SYS_STORE": "sqlite:///sessions.db"}) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *("--checks", "all", "--exclude-checks", LEFT_OUT, "--seed", "1", "--no-color"),
                *("--max-examples", EXAMPLES, "--generation-database", "none"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        generated = re.search(r"(\d+) generated", done.stdout)
        assert generated is not None, done.stdout
        sys.stdout.write(f"{generated[1]} requests\n")
        assert "Traceback" not in server.output()
