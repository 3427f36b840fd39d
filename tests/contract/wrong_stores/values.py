"""Stores that change what they keep, or hand out what they hold (G1, G2, G12, G13)."""

import unicodedata
from dataclasses import replace
from datetime import UTC, timedelta

from lift_sys.backends.errors import InvalidSessionError
from lift_sys.backends.json_values import thaw
from lift_sys.spec_sessions import AsyncInMemorySessionStore, InMemorySessionStore
from lift_sys.spec_sessions.memory_sessions import MemorySessions
from lift_sys.testing import Capability
from lift_sys.testing.observe import stored
from tests.contract.wrong_stores.registry import Json, Own, Seen, Text, fresh, wrong


@wrong("G1", "turns whole floats into integers")
class FloatsToInts(Json):
    def leaf(self, value):
        return int(value) if isinstance(value, float) and value.is_integer() else value


@wrong("G1", "turns long integers into floats")
class IntsToFloats(Json):
    def leaf(self, value):
        return float(value) if type(value) is int and 2**53 < abs(value) < 10**300 else value


@wrong("G1", "loses the sign of zero")
class ZeroWithoutSign(Json):
    def leaf(self, value):
        return 0.0 if isinstance(value, float) and value == 0 else value


@wrong("G1", "turns true and false into 1 and 0")
class BoolsToInts(Json):
    def leaf(self, value):
        return int(value) if isinstance(value, bool) else value


@wrong("G1", "sorts the members of objects")
class SortedMembers(Json):
    def members(self, value):
        return dict(sorted(value.items()))


@wrong("G1", "drops members that are null")
class NoNulls(Json):
    def members(self, value):
        return {k: v for k, v in value.items() if v is not None}


@wrong("G1", "composes text")
class Composed(Text):
    def text(self, text):
        return unicodedata.normalize("NFC", text)


@wrong("G1", "trims text")
class Trimmed(Text):
    def text(self, text):
        return text.strip()


@wrong("G1", "re-encodes line ends")
class LineEnds(Text):
    def text(self, text):
        return text.replace("\r\n", "\n")


@wrong("G1", "re-encodes text in a small character set")
class SmallCharacterSet(Text):
    def text(self, text):
        return "".join(c if ord(c) < 0x10000 else "\ufffd" for c in text)


@wrong("G1", "cuts long text")
class CutText(Text):
    def text(self, text):
        return text[:65_535]


@wrong("G1", "drops what it does not know of an IR")
class KnownIrOnly(Seen):
    def seen(self, session):
        def known(draft):
            document = draft.ir.to_dict()
            for name in set(document) - set(type(draft.ir).model_fields):
                del document[name]
            return draft.model_copy(update={"ir": document})

        return replace(session, ir_drafts=[known(draft) for draft in session.ir_drafts])


@wrong("G1", "forgets the hole that a revision is about")
class NoTargetHole(Seen):
    def seen(self, session):
        revisions = [r.model_copy(update={"target_hole": None}) for r in session.revisions]
        return replace(session, revisions=revisions)


@wrong("G1", "forgets when a session was finalized")
class NoFinalizedAt(Seen):
    def seen(self, session):
        return replace(session, finalized_at=None)


@wrong("G1", "keeps the old metadata on an update")
class StaleMetadata(MemorySessions):
    def _update(self, user_id, wanted, key):
        stored = self._tenant(user_id).sessions.get(wanted.header.session_id)
        if stored is not None:
            header = replace(wanted.header, metadata=stored.header.metadata)
            wanted = replace(wanted, header=header)
        return super()._update(user_id, wanted, key)


@wrong("G1", "takes ids for equal that differ in case")
class IdsWithoutCase(InMemorySessionStore):
    def get(self, session_id):
        found = super().get(session_id)
        if found is None and isinstance(session_id, str):
            found = super().get(session_id.lower())
        return found

    def create(self, session, **options):
        if super().get(session.session_id.lower()):
            return session.session_id
        return super().create(session, **options)

    def create_many(self, sessions, **options):
        return [self.create(session) for session in sessions]


@wrong("G1", "counts only the resolutions that are not applied")
class PendingCount(MemorySessions):
    def _list(self, user_id, wanted, key):
        sessions = self._tenant(user_id).sessions

        def pending(item):
            return sum(not r.applied for r in sessions[item.session_id].resolutions)

        found = super()._list(user_id, wanted, key)
        return [item.model_copy(update={"hole_count": pending(item)}) for item in found]


@wrong("G1", "shows the latest input in lists, not the first")
class LatestPreview(MemorySessions):
    def _list(self, user_id, wanted, key):
        sessions = self._tenant(user_id).sessions

        def latest(item):
            revisions = sessions[item.session_id].revisions
            return revisions[-1].content[:120] if revisions else item.preview

        found = super()._list(user_id, wanted, key)
        return [item.model_copy(update={"preview": latest(item)}) for item in found]


@wrong("G1", "acknowledges what it never keeps", Capability.DURABLE)
class Forgetful(InMemorySessionStore):
    pass


@wrong("G2", "keeps the object it was given")
class KeepsReference(Own):
    def create(self, session, **options):
        done = super().create(session, **options)
        self.shared[self.user_id, done] = session
        return done

    def get(self, session_id):
        return self.shared.get((self.user_id, str(session_id))) or super().get(session_id)


@wrong("G2", "hands out the same object to every reader")
class SharedReads(Own):
    def get(self, session_id):
        found = super().get(session_id)
        if found is None:
            return None
        known = self.shared.get((self.user_id, session_id))
        if known is not None and known.version >= found.version:
            return known
        return self.shared.setdefault((self.user_id, session_id), found)


@wrong("G2", "hands out the same list to every reader")
class SharedLists(Own):
    def list_all(self):
        return self.shared.setdefault(self.user_id, super().list_all())


@wrong("G2", "refreshes the caller's object in place")
class RefreshInPlace(InMemorySessionStore):
    def refresh(self, session):
        found = super().refresh(session)
        session.__dict__.update(found.__dict__)
        return session


@wrong("G2", "shares metadata between readers")
class SharedMetadata(Own):
    def get(self, session_id):
        found = super().get(session_id)
        if found is not None:
            key = self.user_id, session_id, found.version
            found.__dict__["metadata"] = self.shared.setdefault(key, found.metadata)
        return found


@wrong("G12", "cuts instants to milliseconds")
class Milliseconds(Seen):
    def seen(self, session):
        at = session.updated_at
        cut = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return replace(session, updated_at=cut)


@wrong("G12", "drops the offset and takes the local time for UTC")
class DroppedOffset(InMemorySessionStore):
    def create(self, session, **options):
        shifted = fresh(session)
        if shifted.updated_at.hour != shifted.created_at.astimezone(UTC).hour:
            return super().create(session, **options)
        done = super().create(session, **options)
        kept = stored(self, done)
        kept.updated_at = kept.updated_at + timedelta(hours=1)
        super().update(kept)
        return done


@wrong("G12", "returns naive instants")
class NaiveInstants(Seen):
    def seen(self, session):
        return replace(session, created_at=session.created_at.replace(tzinfo=None))


@wrong("G12", "loses the time of items")
class ItemTimes(Seen):
    def seen(self, session):
        at = session.created_at
        revisions = [r.model_copy(update={"timestamp": at}) for r in session.revisions]
        return replace(session, revisions=revisions)


@wrong("G12", "takes a naive instant for UTC")
class NaiveAccepted(InMemorySessionStore):
    def create(self, session, **options):
        for name in ("created_at", "updated_at", "finalized_at"):
            value = getattr(session, name)
            if value is not None and value.tzinfo is None:
                session.__dict__[name] = value.replace(tzinfo=UTC)
        return super().create(session, **options)


def _cleaned(value, clean):
    if isinstance(value, dict):
        return {clean(k): _cleaned(v, clean) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(v, clean) for v in value]
    return clean(value)


class Cleaning(InMemorySessionStore):
    """Mends metadata instead of refusing them."""

    def clean(self, value):
        return value

    def create(self, session, **options):
        session.metadata = _cleaned(thaw(session.metadata), self.clean)
        return super().create(session, **options)


@wrong("G13", "strips U+0000 instead of refusing it")
class StripsNul(Cleaning):
    def clean(self, value):
        return value.replace("\0", "") if isinstance(value, str) else value


@wrong("G13", "replaces lone surrogates instead of refusing them")
class ReplacesSurrogates(Cleaning):
    def clean(self, value):
        return value.encode(errors="replace").decode() if isinstance(value, str) else value


@wrong("G13", "stores NaN as null")
class NanToNull(Cleaning):
    def clean(self, value):
        return None if isinstance(value, float) and value - value != 0 else value


@wrong("G13", "stores a tuple as an array")
class TuplesToArrays(Cleaning):
    pass


@wrong("G13", "does not name the field")
class NamelessField(InMemorySessionStore):
    def create(self, session, **options):
        try:
            return super().create(session, **options)
        except InvalidSessionError as error:
            raise InvalidSessionError("a value cannot be stored") from error


@wrong("G13", "raises what the encoder raises")
class EncoderErrors(InMemorySessionStore):
    def create(self, session, **options):
        try:
            return super().create(session, **options)
        except InvalidSessionError as error:
            raise ValueError(str(error)) from None


@wrong("G13", "refuses a bad value after it has stored the rest")
class LateRefusal(InMemorySessionStore):
    def update(self, session, **options):
        try:
            super().update(session, **options)
        except InvalidSessionError:
            stored = self.get(session.session_id)
            if stored is not None and not options.get("idempotency_key"):
                stored.status = session.status
                super().update(stored)
            raise


@wrong("G13", "cuts an id that is too long")
class CutIds(InMemorySessionStore):
    def create(self, session, **options):
        if isinstance(session.session_id, str):
            session.__dict__["session_id"] = session.session_id[:255]
        return super().create(session, **options)


@wrong("G13", "takes a larger page than allowed for the largest one")
class ClampedLimit(InMemorySessionStore):
    def list_page(self, *, limit=50, **options):
        clamped = min(limit, 1000) if type(limit) is int else limit
        return super().list_page(limit=clamped, **options)


@wrong("G13", "has no limit to the size of an item")
class Unlimited(InMemorySessionStore):
    def update(self, session, **options):
        try:
            super().update(session, **options)
        except InvalidSessionError as error:
            if "bytes" not in str(error):
                raise
            session.version += 1


@wrong("G13", "drops a bad value silently, and only when async")
class AsyncCleaning(AsyncInMemorySessionStore):
    async def create(self, session, **options):
        session.metadata.pop("bad", None)
        return await super().create(session, **options)
