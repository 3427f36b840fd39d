"""G12: instants come back as the same instants, aware and in UTC; naive ones are refused."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from lift_sys.spec_sessions import InvalidSessionError, PromptSession
from lift_sys.testing import samples
from lift_sys.testing.guarantees import guarantee
from lift_sys.testing.harness import StoreHarness
from lift_sys.testing.observe import exact, holds, stored, walk

NAIVE = datetime(2026, 3, 1, 12)  # noqa: DTZ001  # it is what has to be refused


class Time:
    """G12: every instant with an offset, and none without."""

    @guarantee("G12")
    @pytest.mark.parametrize("name", samples.INSTANTS)
    def test_an_instant_comes_back_as_the_same_one_in_utc(
        self, harness: StoreHarness, name: str
    ) -> None:
        store, text = harness.store(), samples.INSTANTS[name]
        expected = datetime.fromisoformat(text.removesuffix("Z") if "+" in text else text)
        session = _session_at(text)
        store.create(session)
        store.update(_grown_at(session, text))
        for got in (stored(store, session.session_id), *store.list_all(), *walk(store)):
            for instant in _instants(got):
                assert instant == expected
                assert instant.tzinfo is UTC
                assert instant.microsecond == expected.microsecond
        assert holds(store, session)

    @guarantee("G12")
    @pytest.mark.parametrize("minutes", [-720, -90, 0, 330, 840])
    def test_an_aware_datetime_of_any_zone_comes_back_as_the_same_instant(
        self, harness: StoreHarness, minutes: int
    ) -> None:
        store = harness.store()
        at = samples.START.astimezone(timezone(timedelta(minutes=minutes)))
        session = _session_at(at)
        store.create(session)
        for instant in _instants(stored(store, session.session_id)):
            assert instant == samples.START
            assert instant.utcoffset() == timedelta(0)

    @guarantee("G12")
    def test_neighbouring_microseconds_stay_apart(self, harness: StoreHarness) -> None:
        store = harness.store()
        moments = [samples.START + timedelta(microseconds=n) for n in range(-2, 3)]
        session = samples.session(revisions=[samples.revision("", at) for at in moments])
        store.create(session)
        got = stored(store, session.session_id)
        assert [revision.timestamp for revision in got.revisions] == moments

    @guarantee("G12")
    def test_the_hour_that_happens_twice_stays_two_hours(self, harness: StoreHarness) -> None:
        store = harness.store()
        texts = ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
        session = samples.session(revisions=[samples.revision("", at) for at in texts])  # type: ignore[arg-type]  # text is taken too
        store.create(session)
        first, second = stored(store, session.session_id).revisions
        assert second.timestamp - first.timestamp == timedelta(hours=1)

    @guarantee("G12")
    @pytest.mark.parametrize("value", [NAIVE, "2026-03-01T12:00:00", "2026-03-01"], ids=str)
    def test_a_naive_instant_is_refused_by_the_models(
        self, harness: StoreHarness, value: Any
    ) -> None:
        store, session = harness.store(), samples.session()
        store.create(session)
        with pytest.raises(ValueError, match="offset"):
            samples.revision(at=value)
        with pytest.raises(ValueError, match="offset"):
            session.updated_at = value
        assert holds(store, session)

    @guarantee("G12")
    @guarantee("G13")
    @pytest.mark.parametrize("field", ["created_at", "updated_at", "finalized_at"])
    def test_a_naive_instant_that_went_past_the_models_is_refused_by_the_store(
        self, harness: StoreHarness, field: str
    ) -> None:
        store, session = harness.store(), samples.session()
        smuggled = PromptSession.model_construct(**{**session.__dict__, field: NAIVE})
        with pytest.raises(InvalidSessionError, match=field):
            store.create(smuggled)
        store.create(session)
        before = exact(session)
        session.__dict__[field] = NAIVE
        with pytest.raises(InvalidSessionError, match=field):
            store.update(session)
        assert exact(stored(store, session.session_id)) == before


def _session_at(at: Any) -> PromptSession:
    session = PromptSession(created_at=at, updated_at=at, finalized_at=at)
    return _grown_at(session, at)


def _grown_at(session: PromptSession, at: Any) -> PromptSession:
    samples.grow(session, 1, at)
    session.updated_at = at
    return session


def _instants(found: Any) -> list[datetime]:
    """Return every instant of a session or a summary."""
    items = [*getattr(found, "revisions", []), *getattr(found, "pending_resolutions", [])]
    drafts = getattr(found, "ir_drafts", [])
    return [
        found.created_at,
        found.updated_at,
        found.finalized_at,
        *(item.timestamp for item in items),
        *(draft.created_at for draft in drafts),
    ]
