"""Stores whose lists are not what they should be (G9, G10)."""

from dataclasses import replace

from lift_sys.backends.errors import InvalidSessionError
from lift_sys.spec_sessions import InMemorySessionStore, SessionPage
from lift_sys.spec_sessions.memory_sessions import MemorySessions
from tests.contract.wrong_stores.registry import Listing, Seen, wrong


@wrong("G9", "sorts by created_at")
class ByCreation(Listing):
    def place(self, session):
        return session.created_at, session.session_id


@wrong("G9", "sorts equals by id ascending")
class TiesAscending(Listing):
    def place(self, session):
        return session.updated_at, [-ord(c) for c in session.session_id]


@wrong("G9", "sorts ids as a language does")
class ByLanguage(Listing):
    def place(self, session):
        return session.updated_at, session.session_id.casefold(), session.session_id


@wrong("G9", "sorts ids by UTF-16 code units")
class ByUtf16(Listing):
    def place(self, session):
        return session.updated_at, session.session_id.encode("utf-16-be")


@wrong("G9", "sorts instants by the second")
class BySecond(Listing):
    def place(self, session):
        return session.updated_at.replace(microsecond=0), session.session_id


@wrong("G9", "sorts whole sessions otherwise than summaries")
class WholeOtherwise(InMemorySessionStore):
    def list_all(self):
        return sorted(super().list_all(), key=lambda s: (s.updated_at, s.session_id))


@wrong("G9", "gives items in the order of their clocks")
class ItemsByClock(Seen):
    def seen(self, session):
        return replace(session, revisions=sorted(session.revisions, key=lambda r: r.timestamp))


@wrong("G9", "gives items in the order of their text")
class ItemsByText(Seen):
    def seen(self, session):
        by_hole = sorted(session.pending_resolutions, key=lambda r: r.hole_id)
        return replace(session, pending_resolutions=by_hole)


@wrong("G9", "skips sessions that tie at the border of a page")
class SkipsTies(MemorySessions):
    def _list(self, user_id, wanted, key):
        if wanted.after is not None:
            wanted = replace(wanted, after=replace(wanted.after, session_id=""))
        return super()._list(user_id, wanted, key)


@wrong("G9", "repeats a session at the border of a page")
class RepeatsAtBorder(MemorySessions):
    def _list(self, user_id, wanted, key):
        if wanted.after is not None:
            later = replace(wanted.after, session_id=wanted.after.session_id + "\x01")
            wanted = replace(wanted, after=later)
        return super()._list(user_id, wanted, key)


class Paging(InMemorySessionStore):
    """Pages by itself."""

    def everything(self, **options):
        return super().list_page(limit=1000, **options).items


@wrong("G9", "pages by counting sessions")
class ByOffset(Paging):
    def list_page(self, *, status=None, source=None, limit=50, cursor=None):
        checked = super().list_page(status=status, source=source, limit=limit)
        if cursor is None:
            start = 0
        elif isinstance(cursor, str) and cursor.isdigit():
            start = int(cursor)
        else:
            raise InvalidSessionError("cursor: none")
        found = self.everything(status=status, source=source)
        more = len(found) > start + limit
        del checked
        return SessionPage(
            items=found[start : start + limit], next_cursor=str(start + limit) if more else None
        )


@wrong("G9", "gives a cursor after a full last page")
class CursorToNothing(InMemorySessionStore):
    def list_page(self, *, limit=50, **options):
        page = super().list_page(limit=limit, **options)
        if page.next_cursor is None and len(page.items) == limit:
            return SessionPage(items=page.items, next_cursor="WyIyMDAwLTAxLTAxVDAwOjAwWiIsIngiXQ")
        return page


@wrong("G9", "filters a page after cutting it")
class FiltersLate(InMemorySessionStore):
    def list_page(self, *, status=None, source=None, **options):
        page = super().list_page(**options)
        super().list_page(status=status, source=source)
        kept = [i for i in page.items if status in (None, i.status) and source in (None, i.source)]
        return SessionPage(items=kept, next_cursor=page.next_cursor)


@wrong("G9", "forgets the filter on the second page")
class ForgetsFilter(InMemorySessionStore):
    def list_page(self, *, status=None, cursor=None, **options):
        status = status if cursor is None else None
        return super().list_page(status=status, cursor=cursor, **options)


@wrong("G9", "takes a bad cursor for the first page")
class BadCursorIsFirst(InMemorySessionStore):
    def list_page(self, *, cursor=None, **options):
        try:
            return super().list_page(cursor=cursor, **options)
        except InvalidSessionError as error:
            if "cursor" not in str(error):
                raise
            return super().list_page(**options)


@wrong("G9", "lists finalized sessions as active")
class FinalizedIsActive(InMemorySessionStore):
    def list_active(self):
        return [s for s in self.list_all() if s.status != "abandoned"]


@wrong("G9", "keeps a session in the place it had when it was created")
class NeverMoves(Listing):
    def __init__(self):
        super().__init__()
        self._first = {}

    def _create(self, user_id, wanted, key):
        for new in wanted.sessions:
            self._first.setdefault(new.header.session_id, new.header.updated_at)
        return super()._create(user_id, wanted, key)

    def place(self, session):
        return self._first[session.session_id], session.session_id


@wrong("G10", "cuts a history at 1,000 items")
class CutsAtThousand(Seen):
    def seen(self, session):
        return replace(session, revisions=session.revisions[:1000])


@wrong("G10", "cuts what a refresh brings at 1,000 items")
class CutsRefresh(MemorySessions):
    def _refresh(self, user_id, wanted, key):
        tail = super()._refresh(user_id, wanted, key)
        session = replace(tail.session, ir_drafts=tail.session.ir_drafts[:1000])
        return replace(tail, session=session)


@wrong("G10", "cuts a list at 1,000 sessions")
class CutsList(InMemorySessionStore):
    def list_all(self):
        return super().list_all()[:1000]


@wrong("G10", "ends its pages after 1,000 sessions")
class EndsAfterThousand(InMemorySessionStore):
    def list_page(self, *, limit=50, **options):
        page = super().list_page(limit=limit, **options)
        return SessionPage(items=page.items) if limit == 1000 else page


@wrong("G10", "applies at most 1,000 resolutions")
class AppliesThousand(MemorySessions):
    def _update(self, user_id, wanted, key):
        return super()._update(user_id, replace(wanted, applied=wanted.applied[:1000]), key)
