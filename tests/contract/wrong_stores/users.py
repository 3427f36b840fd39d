"""Stores that mix users up, wedge, or do not know when they are closed (G11, G14 to G16)."""

import asyncio
import sqlite3
import threading
from dataclasses import replace

from lift_sys.backends.errors import SessionExistsError, SessionNotFoundError, StoreClosedError
from lift_sys.spec_sessions import AsyncInMemorySessionStore, InMemorySessionStore, rules
from lift_sys.spec_sessions.memory_sessions import MemorySessions
from tests.contract.wrong_stores.registry import Own, wrong


@wrong("G11", "gives anyone's session by its id")
class LeaksById(MemorySessions):
    def _get(self, user_id, wanted, key):
        for tenant in [user_id, *self._tenants]:
            found = super()._get(tenant, wanted, key)
            if found is not None:
                return found
        return None


@wrong("G11", "lists everyone's sessions")
class LeaksByList(MemorySessions):
    def _load(self, user_id, wanted, key):
        pages = [super(LeaksByList, self)._load(name, wanted, key) for name in self._tenants]
        sessions = [session for page in pages for session in page.sessions]
        return replace(super()._load(user_id, wanted, key), sessions=sessions)


@wrong("G11", "pages through everyone's sessions")
class LeaksByPage(MemorySessions):
    def _list(self, user_id, wanted, key):
        return [i for n in self._tenants for i in super(LeaksByPage, self)._list(n, wanted, key)]


@wrong("G11", "lists for the user whose cursor it is")
class LeaksByCursor(Own):
    def list_page(self, *, cursor=None, **options):
        owner = self.shared.get(cursor, self.user_id)
        page = InMemorySessionStore.list_page(self.for_user(owner), cursor=cursor, **options)
        if page.next_cursor is not None:
            self.shared.setdefault(page.next_cursor, owner)
        return page


@wrong("G11", "tells by its error whose session it is")
class LeaksByError(MemorySessions):
    def _update(self, user_id, wanted, key):
        try:
            return super()._update(user_id, wanted, key)
        except SessionNotFoundError:
            for tenant in self._tenants.values():
                stored = tenant.sessions.get(wanted.header.session_id)
                if stored is not None:
                    raise rules.conflict(
                        wanted.header.session_id, wanted.expected_version, stored.version
                    ) from None
            raise


@wrong("G11", "tells in its error text that somebody has the session")
class LeaksByText(MemorySessions):
    def _update(self, user_id, wanted, key):
        try:
            return super()._update(user_id, wanted, key)
        except SessionNotFoundError as error:
            session_id = wanted.header.session_id
            if any(session_id in tenant.sessions for tenant in self._tenants.values()):
                raise SessionNotFoundError(f"{error}; it belongs to another user") from None
            raise


@wrong("G11", "deletes anyone's session")
class DeletesAnyones(MemorySessions):
    def _delete(self, user_id, wanted, key):
        for name in list(self._tenants):
            super()._delete(name, wanted, key)


@wrong("G11", "lets anyone update a session whose id they know")
class UpdatesAnyones(MemorySessions):
    def _update(self, user_id, wanted, key):
        owners = [n for n, t in self._tenants.items() if wanted.header.session_id in t.sessions]
        owner = user_id if user_id in owners or not owners else owners[0]
        return super()._update(owner, wanted, key)


@wrong("G11", "gives an id to one user only")
class CommonIds(MemorySessions):
    def _create(self, user_id, wanted, key):
        for new in wanted.sessions:
            for name, tenant in self._tenants.items():
                if name != user_id and new.header.session_id in tenant.sessions:
                    raise SessionExistsError(f"{new.header.session_id!r} is taken")
        return super()._create(user_id, wanted, key)


@wrong("G11", "takes users for one whose ids differ in case")
class UsersWithoutCase(InMemorySessionStore):
    def for_user(self, user_id, **options):
        return super().for_user(user_id.lower(), **options)


@wrong("G11", "trims user ids")
class TrimmedUsers(InMemorySessionStore):
    def for_user(self, user_id, **options):
        return super().for_user(user_id.strip(), **options)


@wrong("G11", "keeps the user on the connection that all views share")
class UserOnConnection(Own):
    def _run(self, flow):
        self.shared["user"] = self._user
        return super()._run(self._slowly(flow))

    def _slowly(self, flow):
        # A thread switch between setting the user and using it, as on any network.
        threading.Event().wait(0.0005)
        self._user = self.shared["user"]
        return (yield from flow)


@wrong("G3", "lets a driver's exception escape")
class DriverEscapes(MemorySessions):
    def _update(self, user_id, wanted, key):
        try:
            return super()._update(user_id, wanted, key)
        except SessionNotFoundError:
            raise sqlite3.OperationalError("no row") from None


@wrong("G15", "holds its lock while the caller's iterator runs")
class LockedIterator(Own):
    def __init__(self, user_id="local"):
        super().__init__(user_id)
        self.lock = threading.Lock()

    def create_many(self, sessions, **options):
        with self.lock:
            return super().create_many(sessions, **options)

    def _run(self, flow):
        waits = not self.lock.locked() or threading.current_thread() is not self.shared.get("in")
        if waits and self.lock.locked():
            with self.lock:
                return super()._run(flow)
        return super()._run(flow)


@wrong("G15", "serves no more than ten threads")
class TenThreads(Own):
    def __init__(self, user_id="local"):
        super().__init__(user_id)
        self.slots = threading.Semaphore(10)

    def create(self, session, **options):
        if not self.slots.acquire(blocking=False):
            raise StoreClosedError("too many threads")
        try:
            threading.Event().wait(0.001)
            return super().create(session, **options)
        finally:
            self.slots.release()


@wrong("G15", "belongs to the thread that made it")
class OneThread(InMemorySessionStore):
    def __init__(self, user_id="local"):
        super().__init__(user_id)
        self.thread = threading.get_ident()

    def get(self, session_id):
        if threading.get_ident() != self.thread:
            raise sqlite3.ProgrammingError("made in another thread")
        return super().get(session_id)


@wrong("G15", "shows a write half done")
class HalfSeen(InMemorySessionStore):
    def update(self, session, **options):
        revisions = list(session.revisions)
        stored = self.get(session.session_id)
        if stored is not None and stored.version == session.version:
            stored.revisions.extend(revisions[len(stored.revisions) :])
            stored.version = session.version
            super().update(stored)
            answering = vars(self._backend)["_handlers"]["update_session"].__self__
            answering._tenant(self.user_id).sessions[session.session_id].version = session.version
            session._stored = None
        super().update(session, **options)


@wrong("G15", "is wedged by a cancelled task")
class WedgedByCancel(AsyncInMemorySessionStore):
    def __init__(self, user_id="local"):
        super().__init__(user_id)
        self.turn = asyncio.Lock()

    async def _run(self, flow):
        await self.turn.acquire()
        await asyncio.sleep(0)
        done = await super()._run(flow)
        self.turn.release()
        return done


@wrong("G15", "leaves half a write when its task is cancelled")
class HalfOnCancel(AsyncInMemorySessionStore):
    async def update(self, session, **options):
        drafts = list(session.ir_drafts)
        del session.ir_drafts[len(drafts) - 1 :]
        session._stored = None
        await super().update(session, **options)
        await asyncio.sleep(0)
        session.ir_drafts.append(drafts[-1])
        session.version -= 1
        session.version += 1
        await super().update(session)
        session.version -= 1


@wrong("G15", "forgets to tell a cancelled caller that its write was made")
class UntoldOnCancel(AsyncInMemorySessionStore):
    async def update(self, session, **options):
        version, mark = session.version, session._stored
        await super().update(session, **options)
        done, session.version, session._stored = session.version, version, mark
        await asyncio.sleep(0)
        await super().refresh(session)
        session.version = done


@wrong("G16", "works on after it was closed")
class NeverCloses(InMemorySessionStore):
    def close(self):
        return


@wrong("G16", "cannot be closed twice")
class ClosesOnce(InMemorySessionStore):
    def close(self):
        if self._closed:
            raise StoreClosedError("closed already")
        super().close()


@wrong("G16", "closes everything with one view")
class ViewClosesAll(InMemorySessionStore):
    def close(self):
        super().close()
        self._backend.close()


@wrong("G16", "answers without looking whether it is closed")
class AnswersClosed(InMemorySessionStore):
    def get(self, session_id):
        return super().get(session_id) if session_id else None


@wrong("G16", "opens a connection when it is made")
class EagerConnection(InMemorySessionStore):
    def __init__(self, user_id="local"):
        super().__init__(user_id)
        sqlite3.connect(":memory:").close()


@wrong("G16", "stays open after its with block")
class WithoutExit(InMemorySessionStore):
    def __exit__(self, kind, error, traceback):
        return


@wrong("G16", "swallows the error of its with block")
class SwallowsErrors(InMemorySessionStore):
    def __exit__(self, kind, error, traceback):
        self.close()
        return True


@wrong("G16", "raises a driver's exception when it is closed")
class ClosedByDriver(InMemorySessionStore):
    def list_all(self):
        try:
            return super().list_all()
        except StoreClosedError:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.") from None
