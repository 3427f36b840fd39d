"""Stores that write what they must not, or not what they must (G3 to G8, G18, G19)."""

import copy
import pickle
import threading
import time
from dataclasses import replace
from typing import ClassVar

from lift_sys.backends.errors import (
    HistoryRewriteError,
    InvalidSessionError,
    SessionConflictError,
    SessionExistsError,
    SessionNotFoundError,
    SessionStoreError,
)
from lift_sys.spec_sessions import InMemorySessionStore, rules
from lift_sys.spec_sessions.memory_sessions import MemorySessions, _Tenant
from lift_sys.testing import Capability
from tests.contract.wrong_stores.registry import Own, fresh, wrong


@wrong("G3", "raises for an unknown id")
class GetRaises(MemorySessions):
    def _get(self, user_id, wanted, key):
        found = super()._get(user_id, wanted, key)
        if found is None:
            raise rules.not_found(wanted.session_id)
        return found


@wrong("G3", "refuses a malformed id as invalid")
class MalformedRefused(InMemorySessionStore):
    def get(self, session_id):
        if not isinstance(session_id, str) or not session_id:
            raise InvalidSessionError("session_id: must be text")
        return super().get(session_id)


@wrong("G3", "raises when there is nothing to delete")
class DeleteRaises(MemorySessions):
    def _delete(self, user_id, wanted, key):
        if wanted.session_id not in self._tenant(user_id).sessions:
            raise rules.not_found(wanted.session_id)
        super()._delete(user_id, wanted, key)


@wrong("G3", "creates what an update does not find")
class UpdateCreates(InMemorySessionStore):
    def update(self, session, **options):
        try:
            super().update(session, **options)
        except SessionNotFoundError:
            self.create(session)


@wrong("G3", "ignores an update of what is not there")
class UpdateIgnores(InMemorySessionStore):
    def update(self, session, **options):
        try:
            super().update(session, **options)
        except SessionNotFoundError:
            return


@wrong("G4", "replaces the session that has the id")
class CreateReplaces(InMemorySessionStore):
    def create(self, session, **options):
        try:
            return super().create(session, **options)
        except SessionExistsError:
            self.delete(session.session_id)
            return super().create(session, **options)


@wrong("G4", "skips the ids that are taken")
class SkipsTaken(InMemorySessionStore):
    def create_many(self, sessions, **options):
        new = [s for s in sessions if self.get(s.session_id) is None]
        return super().create_many(new, **options)


@wrong("G4", "returns the ids in another order")
class SortedIds(InMemorySessionStore):
    def create_many(self, sessions, **options):
        return sorted(super().create_many(sessions, **options))


@wrong("G4", "leaves the caller's version as it was")
class VersionKept(InMemorySessionStore):
    def create(self, session, **options):
        version = session.version
        done = super().create(session, **options)
        session.version = version
        return done


@wrong("G5", "drops the second resolution of a hole")
class OneResolutionAHole(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None and wanted.base is not None:
            known = {r.hole_id for r in stored.resolutions}
            new = [r for r in wanted.items.resolutions if r.value.hole_id not in known]
            wanted = replace(wanted, items=replace(wanted.items, resolutions=new))
        return super()._update(user_id, wanted, key)


@wrong("G5", "loses that a resolution was applied")
class LosesApplied(MemorySessions):
    def _update(self, user_id, wanted, key):
        return super()._update(user_id, replace(wanted, applied=[]), key)


@wrong("G5", "applies every resolution of the hole")
class AppliesAll(MemorySessions):
    def _update(self, user_id, wanted, key):
        version = super()._update(user_id, wanted, key)
        resolutions = self._tenant(user_id).sessions[wanted.header.session_id].resolutions
        holes = {r.hole_id for r in resolutions if r.applied}
        for index, item in enumerate(resolutions):
            if item.hole_id in holes:
                resolutions[index] = item.as_applied()
        return version


class Rewriting(InMemorySessionStore):
    """Lets one kind of rewrite through, by writing the session anew."""

    def allowed(self, session, stored):
        return False

    def update(self, session, **options):
        try:
            super().update(session, **options)
        except HistoryRewriteError:
            stored = self.get(session.session_id)
            if stored is None or not self.allowed(session, stored):
                raise
            self.delete(session.session_id)
            self.create(fresh(session))
            session.version += 1


@wrong("G5", "lets applied become false again")
class Unapplies(Rewriting):
    def allowed(self, session, stored):
        pairs = zip(session.pending_resolutions, stored.pending_resolutions, strict=False)
        return any(not mine.applied and theirs.applied for mine, theirs in pairs)


@wrong("G5", "replaces stored revisions")
class ReplacesRevisions(Rewriting):
    def allowed(self, session, stored):
        return len(session.revisions) == len(stored.revisions)


@wrong("G5", "cuts a stored history to what is presented")
class CutsHistory(Rewriting):
    def allowed(self, session, stored):
        return len(session.ir_drafts) < len(stored.ir_drafts)


@wrong("G5", "ignores a rewrite without a word")
class IgnoresRewrites(InMemorySessionStore):
    def update(self, session, **options):
        try:
            super().update(session, **options)
        except HistoryRewriteError:
            return


@wrong("G5", "trusts a copy from elsewhere and adds all of it again")
class DoublesCopies(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if wanted.base is None and stored is not None:
            wanted = replace(wanted, base=stored.base())
        return super()._update(user_id, wanted, key)


@wrong("G6", "stores several sessions one by one")
class OneByOne(InMemorySessionStore):
    def create_many(self, sessions, **options):
        return [self.create(session) for session in sessions]


@wrong("G6", "stores the header before it checks the history")
class HeaderFirst(MemorySessions):
    def _update(self, user_id, wanted, key):
        tenant = self._tenant(user_id)
        stored = tenant.sessions.get(wanted.header.session_id)
        if stored is not None and stored.version == wanted.expected_version:
            tenant.unlist(stored)
            stored.header = wanted.header
            tenant.put(stored)
        return super()._update(user_id, wanted, key)


@wrong("G6", "adds the items before it checks the version")
class ItemsFirst(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None and stored.version != wanted.expected_version:
            stored.revisions += [item.value for item in wanted.items.revisions]
        return super()._update(user_id, wanted, key)


@wrong("G6", "makes half a write permanent when it fails")
class CommitInFinally(MemorySessions):
    def _create(self, user_id, wanted, key):
        try:
            return super()._create(user_id, wanted, key)
        except SessionExistsError:
            for new in wanted.sessions[:1]:
                if new.header.session_id not in self._tenant(user_id).sessions:
                    super()._create(user_id, replace(wanted, sessions=[new]), None)
            raise


@wrong("G7", "accepts a stale version")
class AcceptsStale(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None and stored.version > wanted.expected_version:
            base = stored.base() if wanted.base else None
            wanted = replace(wanted, expected_version=stored.version, base=base)
        return super()._update(user_id, wanted, key)


@wrong("G7", "compares versions by clock")
class ByClock(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None and wanted.header.updated_at > stored.header.updated_at:
            base = stored.base() if wanted.base else None
            wanted = replace(wanted, expected_version=stored.version, base=base)
        return super()._update(user_id, wanted, key)


@wrong("G7", "refuses a write whose clock is behind")
class ClockMustAdvance(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None and wanted.header.updated_at < stored.header.updated_at:
            raise rules.conflict(wanted.header.session_id, stored.version, stored.version)
        return super()._update(user_id, wanted, key)


@wrong("G7", "reads the version and writes in two steps")
class TwoSteps(InMemorySessionStore):
    def update(self, session, **options):
        known = self.get(session.session_id)
        fits = known is not None and known.version == session.version
        time.sleep(0.002 if fits else 0)  # long enough for another thread to come between
        try:
            super().update(session, **options)
        except SessionConflictError:
            if not fits:
                raise
            session.version += 1  # one write went over the other


@wrong("G7", "tells a wrong current version")
class WrongCurrent(InMemorySessionStore):
    def update(self, session, **options):
        try:
            super().update(session, **options)
        except SessionConflictError as error:
            error.current_version = error.expected_version
            raise


@wrong("G7", "leaves the version of the caller's object behind")
class VersionLeftBehind(InMemorySessionStore):
    def update(self, session, **options):
        version = session.version
        super().update(session, **options)
        session.version = version


@wrong("G7", "lets an update without changes pass, however stale")
class EmptyUpdatesPass(MemorySessions):
    def _update(self, user_id, wanted, key):
        nothing = not (wanted.items.revisions or wanted.items.drafts or wanted.items.resolutions)
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if nothing and wanted.base and stored and not wanted.applied and key is None:
            stored.version += 1
            return stored.version
        return super()._update(user_id, wanted, key)


@wrong("G7", "counts versions for all sessions together")
class CommonVersions(MemorySessions):
    latest = 1

    def _update(self, user_id, wanted, key):
        version = super()._update(user_id, wanted, key)
        self.latest = version if version > self.latest else self.latest + 1
        self._tenant(user_id).sessions[wanted.header.session_id].version = self.latest
        return self.latest


class Keyed(MemorySessions):
    """Does something else with idempotency keys: ``changed`` says what."""

    def changed(self, key):
        return key

    def _create(self, user_id, wanted, key):
        return super()._create(user_id, wanted, self.changed(key))

    def _update(self, user_id, wanted, key):
        return super()._update(user_id, wanted, self.changed(key))


@wrong("G8", "forgets idempotency keys, so that a retry is done again")
class ForgetsKeys(Keyed):
    def changed(self, key):
        return None


@wrong("G8", "forgets what an idempotency key was used for")
class ForgetsPayloads(Keyed):
    def changed(self, key):
        return key and replace(key, fingerprint="")


@wrong("G8", "takes keys for equal that differ in case")
class KeysWithoutCase(Keyed):
    def changed(self, key):
        return key and replace(key, key=key.key.lower())


@wrong("G8", "trims keys")
class TrimmedKeys(Keyed):
    def changed(self, key):
        return key and replace(key, key=key.key.strip() or "-")


@wrong("G8", "cuts keys to what fits in a column")
class CutKeys(MemorySessions):
    def _create(self, user_id, wanted, key):
        if key is not None and len(key.key.encode()) > 255:
            raise InvalidSessionError("idempotency_key: too long")
        return super()._create(user_id, wanted, key)


@wrong("G8", "shares keys between users")
class CommonKeys(MemorySessions):
    def __init__(self):
        super().__init__()
        self._writes = {}

    def _create(self, user_id, wanted, key):
        tenant = self._tenants.setdefault(user_id, _Tenant(writes=self._writes))
        tenant.writes = self._writes
        return super()._create(user_id, wanted, key)


@wrong("G8", "uses a key up on a write that failed")
class BurnsKeys(MemorySessions):
    def _update(self, user_id, wanted, key):
        try:
            return super()._update(user_id, wanted, key)
        except SessionStoreError:
            self._tenant(user_id).record("update_session", key, 0)
            raise


@wrong("G8", "answers a repetition with the version of now")
class AnswersWithNow(MemorySessions):
    def _update(self, user_id, wanted, key):
        super()._update(user_id, wanted, key)
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        return stored.version if stored else 1


_SECOND_STEP = threading.Lock()


@wrong("G8", "looks a key up and writes in two steps")
class KeysInTwoSteps(Own):
    def create(self, session, *, idempotency_key=None):
        key = self.user_id, idempotency_key
        looked_up = idempotency_key is None or key in self.shared
        if not looked_up:
            time.sleep(0.02)  # long enough for another thread to come between
        with _SECOND_STEP:
            if not looked_up and key in self.shared:
                raise rules.taken(session.session_id)
            done = super().create(session, idempotency_key=idempotency_key)
            self.shared[key] = done
        return done


@wrong("G8", "has no keys for several sessions at once")
class NoKeysForMany(InMemorySessionStore):
    def create_many(self, sessions, *, idempotency_key=None):
        return super().create_many(sessions)


@wrong("G18", "sends the whole history with each update")
class SendsAll(InMemorySessionStore):
    def update(self, session, **options):
        session._stored = None
        super().update(session, **options)


@wrong("G18", "reads the whole history for each update")
class ReadsAll(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None:
            pickle.loads(pickle.dumps([r.to_dict() for r in stored.revisions]))
        return super()._update(user_id, wanted, key)


@wrong("G18", "writes the whole history with each update")
class WritesAll(MemorySessions):
    def _update(self, user_id, wanted, key):
        version = super()._update(user_id, wanted, key)
        stored = self._tenant(user_id).sessions[wanted.header.session_id]
        stored.revisions = [type(r).from_dict(r.to_dict()) for r in stored.revisions]
        return version


@wrong("G18", "refreshes by getting all of it")
class RefreshesAll(InMemorySessionStore):
    def refresh(self, session):
        found = self.get(session.session_id)
        return super().refresh(session) if found is None else found


@wrong("G19", "revives a deleted session on a late update")
class Revives(Own):
    def delete(self, session_id):
        found = self.get(session_id)
        if found is not None:
            self.shared[self.user_id, session_id] = found
        super().delete(session_id)

    def update(self, session, **options):
        hidden = self.shared.pop((self.user_id, session.session_id), None)
        if hidden is not None and self.get(session.session_id) is None:
            super().create(fresh(hidden))
        super().update(session, **options)


@wrong("G19", "hides a deleted session from get, and lists it still")
class HalfDeleted(Own):
    def delete(self, session_id):
        self.shared[self.user_id, str(session_id)] = True

    def get(self, session_id):
        gone = (self.user_id, str(session_id)) in self.shared
        return None if gone else super().get(session_id)


@wrong("G19", "leaves the items behind for whoever takes the id")
class LeavesItems(MemorySessions):
    def __init__(self):
        super().__init__()
        self._left = {}

    def _delete(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.session_id)
        if stored is not None:
            self._left[user_id, wanted.session_id] = stored.revisions
        super()._delete(user_id, wanted, key)

    def _create(self, user_id, wanted, key):
        ids = super()._create(user_id, wanted, key)
        for session_id in ids:
            left = self._left.pop((user_id, session_id), None)
            if left:
                self._tenant(user_id).sessions[session_id].revisions[:0] = left
        return ids


@wrong("G19", "takes a handle of a deleted session for one of its successor")
class Successor(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None and wanted.base is not None:
            wanted = replace(wanted, base=stored.base())
        return super()._update(user_id, wanted, key)


@wrong("G19", "revives a deleted session when its create is repeated")
class ReplayRevives(MemorySessions):
    def _delete(self, user_id, wanted, key):
        super()._delete(user_id, wanted, key)
        self._tenant(user_id).writes.clear()


@wrong("G8", "knows keys only as long as the process lives", Capability.DURABLE)
class KeysInProcess(MemorySessions):
    everything: ClassVar[dict[str, _Tenant]] = {}

    def __init__(self):
        super().__init__()
        self._tenants = copy.copy(self.everything)
        for name, tenant in self._tenants.items():
            self._tenants[name] = replace(tenant, writes={})

    def _create(self, user_id, wanted, key):
        self.everything.setdefault(user_id, _Tenant())
        self._tenants.setdefault(user_id, replace(self.everything[user_id], writes={}))
        return super()._create(user_id, wanted, key)
