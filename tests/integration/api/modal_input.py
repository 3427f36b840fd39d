"""One Modal input in a process of its own, as a container runs it: ``process_session`` once.

Prints a line when it is about to begin, so that it can be killed at any point after that.
"""

import json
import sys

import lift_sys.backends.supabase  # noqa: F401  # loaded before it begins
from lift_sys.modal_app import process_session

sys.stdout.write("begins\n")
sys.stdout.flush()
sys.stdout.write(json.dumps(process_session.local(*sys.argv[1:])))
