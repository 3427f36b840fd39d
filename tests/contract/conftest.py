"""Shows at the end of a run which wrong stores were caught, and by what."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in getattr(report, "user_properties", [])
        if name == "wrong_store"
    ]
    if rows:
        terminalreporter.section(f"{len(rows)} wrong stores, each caught")
    for guarantee, defect, test in sorted(rows, key=lambda row: (int(row[0][1:]), row[1])):
        terminalreporter.write_line(f"{guarantee:4} {defect:62} {test}")
