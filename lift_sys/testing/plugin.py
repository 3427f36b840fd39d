"""The pytest plugin: which guarantees each backend kept, and which backends must be there.

Loaded by its entry point in every pytest run, so it imports pytest and no more, and says nothing
where no contract test ran.
"""

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from typing import Any, Final

import pytest

_PROPERTY: Final = "lift_sys_guarantee"
_RESULTS: Final = pytest.StashKey["_Results"]()

pytest.register_assert_rewrite("lift_sys.testing.contract", "lift_sys.testing.machine")


class _Results:
    """What came of the tests, by guarantee and backend."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        self.reasons: dict[str, set[tuple[int, str]]] = defaultdict(set)

    def add(self, number: int, backend: str, outcome: str, reason: str) -> None:
        self.outcomes[number, backend][outcome] += 1
        if reason:
            self.reasons[reason].add((number, backend))

    def backends(self) -> list[str]:
        return list(dict.fromkeys(backend for _, backend in self.outcomes))

    def cell(self, number: int, backend: str) -> str:
        """Return what the table says: the worst that happened, and how often."""
        counts = self.outcomes.get((number, backend), Counter())
        if counts["failed"]:
            return f"FAILED {counts['failed']}"
        if counts["passed"] and counts["not applicable"]:
            return f"passed {counts['passed']}, {counts['not applicable']} n/a"
        for outcome in ("passed", "not applicable"):
            if counts[outcome]:
                return f"{outcome} {counts[outcome]}"
        return "no test"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--require-backends``."""
    parser.getgroup("lift-sys").addoption(
        "--require-backends",
        default="",
        metavar="A,B",
        help="names of backends, separated by commas, whose contract tests must run: there, a "
        "missing server is a failure and not a reason to skip",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark that contract tests bear."""
    config.addinivalue_line("markers", "guarantee(number): the guarantee that the test checks")
    config.stash[_RESULTS] = _Results()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the backend and the guarantees on the report; fail where a required server is away."""
    report = yield
    numbers = [mark.args[0] for mark in item.iter_markers("guarantee")]
    if numbers:
        backend = _backend_of(item)
        missing = report.when == "setup" and report.outcome == "skipped"
        if missing and _is_required(item.config, backend):
            report.outcome = "failed"
            report.longrepr = f"{backend} is required, but its harness skipped: {_reason(report)}"
        report.user_properties.append((_PROPERTY, f"{backend} {' '.join(numbers)}"))
    return report


class _Collector:
    """Gathers reports, also those that another process sends."""

    def __init__(self, results: _Results) -> None:
        self._results = results

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the outcome of a test, or of a setup that kept it from running."""
        if report.when == "call" or (report.when == "setup" and not report.passed):
            outcome = "not applicable" if report.skipped else report.outcome
            reason = _reason(report) if report.skipped else ""
            for number, backend in _borne(report):
                self._results.add(number, backend, outcome, reason)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start gathering reports."""
    session.config.pluginmanager.register(_Collector(session.config.stash[_RESULTS]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a required backend had no test at all."""
    if _absent(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show guarantees by backend, and why what did not apply did not."""
    results = config.stash[_RESULTS]
    if results.outcomes:
        terminalreporter.section("guarantees by backend")
        for line in _table(results):
            terminalreporter.write_line(line)
    for name in _absent(config):
        terminalreporter.write_line(f"ERROR: {name} is required, and no contract test ran for it")


def _table(results: _Results) -> Iterator[str]:
    from lift_sys.testing.guarantees import TITLES

    columns = results.backends()
    rows = [["", "", *columns]]
    for name, title in TITLES.items():
        cells = (results.cell(int(name[1:]), backend) for backend in columns)
        rows.append([name, title, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
    if results.reasons:
        yield ""
        yield "not applicable:"
    for reason, places in sorted(results.reasons.items()):
        numbers = ", ".join(f"G{number}" for number in sorted({n for n, _ in places}))
        backends = ", ".join(sorted({backend for _, backend in places}))
        yield f"  {numbers} on {backends}: {reason}"


def _backend_of(item: pytest.Item) -> str:
    owner = getattr(item, "cls", None)
    return getattr(owner, "backend", "") or getattr(owner, "__name__", item.name)


def _borne(report: pytest.TestReport) -> Iterator[tuple[int, str]]:
    for name, value in report.user_properties:
        if name == _PROPERTY:
            backend, _, numbers = str(value).partition(" ")
            for number in numbers.split():
                yield int(number[1:]), backend


def _reason(report: pytest.TestReport) -> str:
    where: Any = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return str(text).removeprefix("Skipped: ")


def _required(config: pytest.Config) -> list[str]:
    return [name for name in str(config.getoption("--require-backends")).split(",") if name]


def _stands_for(name: str, backend: str) -> bool:
    return backend == name or backend.startswith(f"{name}-")


def _is_required(config: pytest.Config, backend: str) -> bool:
    return any(_stands_for(name, backend) for name in _required(config))


def _absent(config: pytest.Config) -> list[str]:
    backends = config.stash[_RESULTS].backends()
    return [n for n in _required(config) if not any(_stands_for(n, b) for b in backends)]
