-- One function for each call: what it does is one statement, so it happens whole or not at all, and
-- costs one round trip. Arguments and answers are json as lift_sys.spec_sessions.records has them.
-- The decisions, and their order, are those of lift_sys.spec_sessions.rules. A refusal is an error
-- whose message is a stable word and whose detail is json. Functions run as their caller, so that
-- row-level security holds inside them.
--
-- The calls forbid sequential scans: a connection keeps a plan for as long as it lives, also the
-- one it made when the tables were new and empty. Instants are written out in UTC, because in
-- another zone the years 1 and 9999 would become the years 0 and 10000. Large json is taken apart
-- once, as a type that has its shape: each -> reads all of it again.

set local lock_timeout = '4s';
set local statement_timeout = '60s';

-- What a call answers with. PostgREST hands on a value of a type that is named after its media type
-- as it is, and wraps up and takes apart again any other json.
create domain lift_sys_internal."application/json" as json;

create type lift_sys_internal.session_header as (
  session_id text, status text, source text, metadata json,
  created_at timestamptz, updated_at timestamptz, finalized_at timestamptz
);
create type lift_sys_internal.session_counts as (
  revisions integer, drafts integer, resolutions integer
);
create type lift_sys_internal.session_base as (
  created_at timestamptz, counts lift_sys_internal.session_counts
);
create type lift_sys_internal.session_items as (revisions json, drafts json, resolutions json);
create type lift_sys_internal.session_update as (
  header lift_sys_internal.session_header, expected_version bigint,
  base lift_sys_internal.session_base, items lift_sys_internal.session_items, applied json
);
create type lift_sys_internal.session_refresh as (
  session_id text, base lift_sys_internal.session_base, unapplied json
);

comment on domain lift_sys_internal."application/json" is 'What a call answers with.';
comment on type lift_sys_internal.session_header is 'A session without its items and its version.';
comment on type lift_sys_internal.session_counts is 'How many items of each kind.';
comment on type lift_sys_internal.session_base is 'What a caller knows to be stored.';
comment on type lift_sys_internal.session_items is 'Items of each kind, as arrays, in their order.';
comment on type lift_sys_internal.session_update is 'The arguments of update_session.';
comment on type lift_sys_internal.session_refresh is 'The arguments of refresh_session.';

-- Removes some writes that are older than a day, whoever made them: a user who went away leaves
-- theirs to the others. That is the one thing here that is not done as the caller, who has no right
-- to other users' rows; it takes nothing and answers nothing. Never all at once, because a call has
-- to end soon, and nothing that another transaction is at, so that nobody waits here.
create function lift_sys_internal.forget_old_writes_v1()
returns void
language sql volatile security definer set search_path = ''
as $$
  delete from lift_sys_internal.session_writes as w
  using (
    select o.user_id, o.key
    from lift_sys_internal.session_writes as o
    where o.written_at < now() - interval '25 hours'
    order by o.written_at
    limit 100
    for update skip locked
  ) as old
  where w.user_id = old.user_id and w.key = old.key;
$$;

comment on function lift_sys_internal.forget_old_writes_v1() is
  'Removes some of the notes that are too old to answer anything.';

-- Lets this transaction write, and takes note of a keyed write and its result. Answers null, and the
-- result where the write was done before. Another transaction with the same key is waited for, so
-- that the two cannot both go on. A key that is a day old is free again.
create function lift_sys_internal.claim_session_write_v1(
  p_user_id text, p_call text, p_write json, p_result json
)
returns json
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_key text := p_write ->> 'key';
  v_fingerprint text := p_write ->> 'fingerprint';
  v_done record;
begin
  perform set_config('lift_sys.in_call', 'yes', true);
  if v_key is null then
    return null;
  end if;
  insert into lift_sys_internal.session_writes as w (user_id, key, call, fingerprint, result)
  values (p_user_id, v_key, p_call, v_fingerprint, p_result)
  on conflict (user_id, key) do update
  set call = excluded.call, fingerprint = excluded.fingerprint, result = excluded.result,
    written_at = excluded.written_at
  where w.written_at < now() - interval '24 hours';
  if found then
    if random() < 0.1 then
      perform lift_sys_internal.forget_old_writes_v1();
    end if;
    return null;
  end if;
  select w.call, w.fingerprint, w.result into v_done
  from lift_sys_internal.session_writes as w
  where w.user_id = p_user_id and w.key = v_key;
  if (v_done.call, v_done.fingerprint) is distinct from (p_call, v_fingerprint) then
    raise exception 'idempotency_key_reused' using
      errcode = 'PT409',
      detail = json_build_object('key', v_key)::text;
  end if;
  return v_done.result;
end;
$$;

comment on function lift_sys_internal.claim_session_write_v1(text, text, json, json) is
  'Takes note of a keyed write, or answers it where it was done before.';

-- Adds items after the given counts.
create function lift_sys_internal.add_session_items_v1(
  p_user_id text, p_session_id text, p_counts lift_sys_internal.session_counts,
  p_items lift_sys_internal.session_items
)
returns void
language plpgsql volatile security invoker set search_path = ''
as $$
begin
  if p_items.revisions::text <> '[]' then
    insert into public.session_revisions (
      user_id, session_id, revision_number,
      content, revision_type, target_hole, metadata, created_at
    )
    select p_user_id, p_session_id, p_counts.revisions + i.number,
      i.content, i.revision_type, i.target_hole, i.metadata, i."timestamp"
    from rows from (
      json_to_recordset(p_items.revisions) as (
        content text, revision_type text, target_hole text, metadata json, "timestamp" timestamptz
      )
    ) with ordinality as i (
      content, revision_type, target_hole, metadata, "timestamp", number
    );
  end if;
  if p_items.drafts::text <> '[]' then
    insert into public.session_drafts (
      user_id, session_id, draft_number,
      version, ir, validation_status, smt_results, ambiguities, metadata, created_at
    )
    select p_user_id, p_session_id, p_counts.drafts + i.number,
      i.version, i.ir, i.validation_status, i.smt_results, i.ambiguities, i.metadata, i.created_at
    from rows from (
      json_to_recordset(p_items.drafts) as (
        version integer, ir json, validation_status text, smt_results json, ambiguities json,
        metadata json, created_at timestamptz
      )
    ) with ordinality as i (
      version, ir, validation_status, smt_results, ambiguities, metadata, created_at, number
    );
  end if;
  if p_items.resolutions::text <> '[]' then
    insert into public.hole_resolutions (
      user_id, session_id, resolution_number,
      hole_id, resolution_text, resolution_type, applied, metadata, created_at
    )
    select p_user_id, p_session_id, p_counts.resolutions + i.number,
      i.hole_id, i.resolution_text, i.resolution_type, i.applied, i.metadata, i."timestamp"
    from rows from (
      json_to_recordset(p_items.resolutions) as (
        hole_id text, resolution_text text, resolution_type text, applied boolean, metadata json,
        "timestamp" timestamptz
      )
    ) with ordinality as i (
      hole_id, resolution_text, resolution_type, applied, metadata, "timestamp", number
    );
  end if;
end;
$$;

comment on function lift_sys_internal.add_session_items_v1(
  text, text, lift_sys_internal.session_counts, lift_sys_internal.session_items
) is 'Adds items to a session, after those it has.';

-- A session as the models have it, with the items past the given counts; null where there is none.
create function lift_sys_internal.session_json_v1(
  p_user_id text, p_session_id text, p_revisions integer, p_drafts integer, p_resolutions integer
)
returns json
language plpgsql stable security invoker set search_path = ''
as $$
declare
  v_revisions json;
  v_drafts json;
  v_resolutions json;
begin
  select json_agg(i) into v_revisions
  from (
    select r.created_at as "timestamp", r.content, r.revision_type, r.target_hole, r.metadata
    from public.session_revisions as r
    where r.user_id = p_user_id and r.session_id = p_session_id and r.revision_number > p_revisions
    order by r.revision_number
  ) as i;
  select json_agg(i) into v_drafts
  from (
    select d.version, d.ir, d.validation_status, d.smt_results, d.ambiguities, d.created_at,
      d.metadata
    from public.session_drafts as d
    where d.user_id = p_user_id and d.session_id = p_session_id and d.draft_number > p_drafts
    order by d.draft_number
  ) as i;
  select json_agg(i) into v_resolutions
  from (
    select h.hole_id, h.resolution_text, h.resolution_type, h.applied,
      h.created_at as "timestamp", h.metadata
    from public.hole_resolutions as h
    where h.user_id = p_user_id and h.session_id = p_session_id
      and h.resolution_number > p_resolutions
    order by h.resolution_number
  ) as i;
  return (
    select json_build_object(
      'session_id', s.id, 'status', s.status, 'source', s.source,
      'metadata', s.metadata, 'version', s.version,
      'created_at', s.created_at, 'updated_at', s.updated_at, 'finalized_at', s.finalized_at,
      'revisions', coalesce(v_revisions, '[]'), 'ir_drafts', coalesce(v_drafts, '[]'),
      'pending_resolutions', coalesce(v_resolutions, '[]')
    )
    from public.sessions as s
    where s.user_id = p_user_id and s.id = p_session_id
  );
end;
$$;

comment on function lift_sys_internal.session_json_v1(
  text, text, integer, integer, integer
) is 'A session as one json value.';

create function public.create_sessions_v1(p_user_id text, p_arguments json, p_write json)
returns lift_sys_internal."application/json"
language plpgsql volatile security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off
as $$
declare
  v_sessions json := p_arguments -> 'sessions';
  v_ids json;
  v_done json;
  v_new record;
begin
  select json_agg((n.header).session_id) into v_ids
  from json_to_recordset(v_sessions) as n (header lift_sys_internal.session_header);
  v_done := lift_sys_internal.claim_session_write_v1(
    p_user_id, 'create_sessions', p_write, v_ids
  );
  if v_done is not null then
    return v_done;
  end if;
  -- In the order of their ids: two writers with some ids in common cannot wait for each other.
  for v_new in
    select (n.header).*, n.items
    from json_to_recordset(v_sessions) as n (
      header lift_sys_internal.session_header, items lift_sys_internal.session_items
    )
    order by (n.header).session_id collate "C"
  loop
    insert into public.sessions (
      user_id, id, status, source, original_input, current_ir,
      revision_count, draft_count, hole_count, item_bytes, metadata, version,
      created_at, updated_at, finalized_at
    )
    values (
      p_user_id, v_new.session_id, v_new.status, v_new.source,
      coalesce((v_new.items).revisions -> 0 ->> 'content', '(no input provided)'),
      ((v_new.items).drafts -> -1 -> 'ir')::jsonb,
      json_array_length((v_new.items).revisions), json_array_length((v_new.items).drafts),
      json_array_length((v_new.items).resolutions),
      octet_length((v_new.items).revisions::text) + octet_length((v_new.items).drafts::text)
        + octet_length((v_new.items).resolutions::text),
      v_new.metadata, 1,
      v_new.created_at, v_new.updated_at, v_new.finalized_at
    )
    on conflict (user_id, id) do nothing;
    if not found then
      -- Of those that are taken, the first as given. What comes before this one was made here.
      raise exception 'session_exists' using
        errcode = 'PT409',
        detail = json_build_object('session_id', (
          select s.id
          from json_array_elements_text(v_ids) with ordinality as i
          join public.sessions as s on s.user_id = p_user_id and s.id = i.value
          where s.id >= v_new.session_id
          order by i.ordinality
          limit 1
        ))::text;
    end if;
    perform lift_sys_internal.add_session_items_v1(
      p_user_id, v_new.session_id, (0, 0, 0), v_new.items
    );
  end loop;
  return v_ids;
end;
$$;

comment on function public.create_sessions_v1(text, json, json) is
  'Stores new sessions, all or none.';

create function public.get_session_v1(p_user_id text, p_arguments json)
returns lift_sys_internal."application/json"
language plpgsql stable security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off
as $$
begin
  return lift_sys_internal.session_json_v1(p_user_id, p_arguments ->> 'session_id', 0, 0, 0);
end;
$$;

comment on function public.get_session_v1(text, json) is
  'A session with all its items, or null.';

-- A session as it is stored, for this transaction alone; refuses where it is at another version.
create function lift_sys_internal.lock_session_v1(
  p_user_id text, p_session_id text, p_version bigint
)
returns lift_sys_internal.session_base
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_stored record;
begin
  select s.version, s.created_at, s.revision_count, s.draft_count, s.hole_count into v_stored
  from public.sessions as s
  where s.user_id = p_user_id and s.id = p_session_id
  for no key update;
  if not found then
    raise exception 'session_not_found' using
      errcode = 'PT404',
      detail = json_build_object('session_id', p_session_id)::text;
  end if;
  if v_stored.version <> p_version then
    raise exception 'session_conflict' using
      errcode = 'PT409',
      detail = json_build_object(
        'session_id', p_session_id,
        'expected_version', p_version,
        'current_version', v_stored.version
      )::text;
  end if;
  return row(
    v_stored.created_at,
    row(
      v_stored.revision_count, v_stored.draft_count, v_stored.hole_count
    )::lift_sys_internal.session_counts
  );
end;
$$;

comment on function lift_sys_internal.lock_session_v1(text, text, bigint) is
  'What an update may build on; refuses where the session is at another version, or is none.';

-- The update of a caller that does not know what is stored, as one of a caller that does: its items
-- are all of the session's, the stored ones must be the first of them, and the others are new.
create function lift_sys_internal.base_session_update_v1(
  p_user_id text, p_update lift_sys_internal.session_update
)
returns lift_sys_internal.session_update
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_id text := (p_update.header).session_id;
  v_given lift_sys_internal.session_items := p_update.items;
  v_base lift_sys_internal.session_base := lift_sys_internal.lock_session_v1(
    p_user_id, v_id, p_update.expected_version
  );
  v_stored lift_sys_internal.session_counts := v_base.counts;
  v_change record;
  v_new lift_sys_internal.session_items;
  v_applied json;
begin
  select d.field, d.index, d.missing into v_change
  from (
    select 1 as kind, 'revisions' as field, r.revision_number - 1 as index,
      i.value is null as missing
    from public.session_revisions as r
    left join json_array_elements(v_given.revisions) with ordinality as i
      on i.ordinality = r.revision_number
    where r.user_id = p_user_id and r.session_id = v_id
      and (
        i.value is null
        or r.content is distinct from i.value ->> 'content'
        or r.revision_type is distinct from i.value ->> 'revision_type'
        or r.target_hole is distinct from i.value ->> 'target_hole'
        or r.created_at is distinct from (i.value ->> 'timestamp')::timestamptz
        or r.metadata::jsonb is distinct from (i.value -> 'metadata')::jsonb
      )
    union all
    select 2, 'ir_drafts', d.draft_number - 1, i.value is null
    from public.session_drafts as d
    left join json_array_elements(v_given.drafts) with ordinality as i
      on i.ordinality = d.draft_number
    where d.user_id = p_user_id and d.session_id = v_id
      and (
        i.value is null
        or d.version is distinct from (i.value ->> 'version')::integer
        or d.ir::jsonb is distinct from (i.value -> 'ir')::jsonb
        or d.validation_status is distinct from i.value ->> 'validation_status'
        or d.smt_results::jsonb is distinct from (i.value -> 'smt_results')::jsonb
        or d.ambiguities::jsonb is distinct from (i.value -> 'ambiguities')::jsonb
        or d.created_at is distinct from (i.value ->> 'created_at')::timestamptz
        or d.metadata::jsonb is distinct from (i.value -> 'metadata')::jsonb
      )
    union all
    select 3, 'pending_resolutions', h.resolution_number - 1, i.value is null
    from public.hole_resolutions as h
    left join json_array_elements(v_given.resolutions) with ordinality as i
      on i.ordinality = h.resolution_number
    where h.user_id = p_user_id and h.session_id = v_id
      and (
        i.value is null
        or h.hole_id is distinct from i.value ->> 'hole_id'
        or h.resolution_text is distinct from i.value ->> 'resolution_text'
        or h.resolution_type is distinct from i.value ->> 'resolution_type'
        or (h.applied and not (i.value ->> 'applied')::boolean)
        or h.created_at is distinct from (i.value ->> 'timestamp')::timestamptz
        or h.metadata::jsonb is distinct from (i.value -> 'metadata')::jsonb
      )
  ) as d
  order by d.kind, d.index
  limit 1;
  if found then
    raise exception 'history_rewritten' using
      errcode = 'PT409',
      detail = row_to_json(v_change)::text;
  end if;
  select coalesce(json_agg(i.value order by i.ordinality), '[]') into v_new.revisions
  from json_array_elements(v_given.revisions) with ordinality as i
  where i.ordinality > v_stored.revisions;
  select coalesce(json_agg(i.value order by i.ordinality), '[]') into v_new.drafts
  from json_array_elements(v_given.drafts) with ordinality as i
  where i.ordinality > v_stored.drafts;
  select coalesce(json_agg(i.value order by i.ordinality), '[]') into v_new.resolutions
  from json_array_elements(v_given.resolutions) with ordinality as i
  where i.ordinality > v_stored.resolutions;
  select coalesce(json_agg(h.resolution_number), '[]') into v_applied
  from public.hole_resolutions as h
  join json_array_elements(v_given.resolutions) with ordinality as i
    on i.ordinality = h.resolution_number
  where h.user_id = p_user_id and h.session_id = v_id
    and not h.applied and (i.value ->> 'applied')::boolean;
  p_update.base := v_base;
  p_update.items := v_new;
  p_update.applied := v_applied;
  return p_update;
end;
$$;

comment on function lift_sys_internal.base_session_update_v1(
  text, lift_sys_internal.session_update
) is 'What of all items of a session is new; refuses where the stored ones differ.';

create function public.update_session_v1(p_user_id text, p_arguments json, p_write json)
returns lift_sys_internal."application/json"
language plpgsql volatile security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off set enable_bitmapscan = off
as $$
declare
  v_wanted lift_sys_internal.session_update := json_populate_record(
    null::lift_sys_internal.session_update, p_arguments
  );
  v_version json := to_json(v_wanted.expected_version + 1);
  v_header lift_sys_internal.session_header := v_wanted.header;
  v_base lift_sys_internal.session_base;
  v_stored lift_sys_internal.session_counts;
  v_items lift_sys_internal.session_items;
  v_done json;
begin
  v_done := lift_sys_internal.claim_session_write_v1(
    p_user_id, 'update_session', p_write, v_version
  );
  if v_done is not null then
    return v_done;
  end if;
  if (v_wanted.base).created_at is null then
    v_wanted := lift_sys_internal.base_session_update_v1(p_user_id, v_wanted);
  end if;
  v_base := v_wanted.base;
  v_stored := v_base.counts;
  v_items := v_wanted.items;
  -- A wide value that stays the same is handed on as it is: the database then keeps its one copy.
  update public.sessions as s
  set status = v_header.status,
    source = v_header.source,
    metadata = case
      when s.metadata::text = v_header.metadata::text then s.metadata
      else v_header.metadata
    end,
    created_at = v_header.created_at,
    updated_at = v_header.updated_at,
    finalized_at = v_header.finalized_at,
    version = s.version + 1,
    original_input = case
      when s.revision_count > 0 then s.original_input
      else coalesce(v_items.revisions -> 0 ->> 'content', s.original_input)
    end,
    current_ir = case
      when json_array_length(v_items.drafts) = 0 then s.current_ir
      else (v_items.drafts -> -1 -> 'ir')::jsonb
    end,
    revision_count = s.revision_count + json_array_length(v_items.revisions),
    draft_count = s.draft_count + json_array_length(v_items.drafts),
    hole_count = s.hole_count + json_array_length(v_items.resolutions),
    item_bytes = s.item_bytes + octet_length(v_items.revisions::text)
      + octet_length(v_items.drafts::text) + octet_length(v_items.resolutions::text)
  where s.user_id = p_user_id and s.id = v_header.session_id
    and s.version = v_wanted.expected_version and s.created_at = v_base.created_at
    and (s.revision_count, s.draft_count, s.hole_count) = (
      v_stored.revisions, v_stored.drafts, v_stored.resolutions
    );
  if not found then
    -- Nobody knows a version before it is committed: where it fits now, something else did not.
    perform lift_sys_internal.lock_session_v1(
      p_user_id, v_header.session_id, v_wanted.expected_version
    );
    raise exception 'another_session' using
      errcode = 'PT409',
      detail = json_build_object('session_id', v_header.session_id)::text;
  end if;
  perform lift_sys_internal.add_session_items_v1(
    p_user_id, v_header.session_id, v_stored, v_items
  );
  if json_array_length(v_wanted.applied) > 0 then
    update public.hole_resolutions as h
    set applied = true
    where h.user_id = p_user_id and h.session_id = v_header.session_id
      and h.resolution_number = any (
        array(select a.value::integer from json_array_elements_text(v_wanted.applied) as a)
      );
  end if;
  return v_version;
end;
$$;

comment on function public.update_session_v1(text, json, json) is
  'Stores what is new in a session that is still at the version the change is based on.';

create function public.refresh_session_v1(p_user_id text, p_arguments json)
returns lift_sys_internal."application/json"
language plpgsql stable security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off
as $$
declare
  v_wanted lift_sys_internal.session_refresh := json_populate_record(
    null::lift_sys_internal.session_refresh, p_arguments
  );
  v_id text := v_wanted.session_id;
  v_base lift_sys_internal.session_base := v_wanted.base;
  v_known lift_sys_internal.session_counts := v_base.counts;
  v_stored record;
begin
  select s.created_at, s.revision_count, s.draft_count, s.hole_count into v_stored
  from public.sessions as s
  where s.user_id = p_user_id and s.id = v_id;
  if not found then
    raise exception 'session_not_found' using
      errcode = 'PT404',
      detail = json_build_object('session_id', v_id)::text;
  end if;
  if v_base.created_at is distinct from v_stored.created_at
    or v_known.revisions > v_stored.revision_count
    or v_known.drafts > v_stored.draft_count
    or v_known.resolutions > v_stored.hole_count
  then
    return json_build_object(
      'session', lift_sys_internal.session_json_v1(p_user_id, v_id, 0, 0, 0),
      'whole', true,
      'applied', '[]'::json
    );
  end if;
  return json_build_object(
    'session', lift_sys_internal.session_json_v1(
      p_user_id, v_id, v_known.revisions, v_known.drafts, v_known.resolutions
    ),
    'whole', false,
    'applied', (
      select coalesce(json_agg(h.resolution_number), '[]')
      from public.hole_resolutions as h
      where h.user_id = p_user_id and h.session_id = v_id and h.applied
        and h.resolution_number = any (
          array(select a.value::integer from json_array_elements_text(v_wanted.unapplied) as a)
        )
    )
  );
end;
$$;

comment on function public.refresh_session_v1(text, json) is
  'What of a session is not known to the caller yet.';

create function public.delete_session_v1(p_user_id text, p_arguments json, p_write json)
returns lift_sys_internal."application/json"
language plpgsql volatile security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off
as $$
declare
  v_done json := lift_sys_internal.claim_session_write_v1(
    p_user_id, 'delete_session', p_write, 'null'
  );
begin
  if v_done is null then
    delete from public.sessions as s
    where s.user_id = p_user_id and s.id = p_arguments ->> 'session_id';
  end if;
  return 'null'::json;
end;
$$;

comment on function public.delete_session_v1(text, json, json) is
  'Removes a session and everything of it.';

-- The first of each status and source, merged: each has them in order in the index, so that a page
-- costs the same whatever is asked for and however many there are.
create function public.list_sessions_v1(p_user_id text, p_arguments json)
returns lift_sys_internal."application/json"
language plpgsql stable security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_status text := p_arguments ->> 'status';
  v_source text := p_arguments ->> 'source';
  v_statuses text[] := array['active', 'finalized', 'abandoned'];
  v_sources text[] := array['prompt', 'code'];
  v_updated_at timestamptz := timestamptz 'infinity';
  v_id text := coalesce(p_arguments -> 'after' ->> 'session_id', '');
  v_limit integer := least((p_arguments ->> 'limit')::integer, 1001);
begin
  if v_status is not null then
    v_statuses := array[v_status];
  end if;
  if v_source is not null then
    v_sources := array[v_source];
  end if;
  if json_typeof(p_arguments -> 'after') = 'object' then
    v_updated_at := (p_arguments -> 'after' ->> 'updated_at')::timestamptz;
  end if;
  return (
    select coalesce(json_agg(json_build_object(
      'session_id', p.id, 'status', p.status, 'source', p.source, 'preview', p.preview,
      'revision_count', p.revision_count, 'draft_count', p.draft_count, 'hole_count', p.hole_count,
      'metadata', p.metadata, 'version', p.version,
      'created_at', p.created_at, 'updated_at', p.updated_at, 'finalized_at', p.finalized_at
    ) order by p.updated_at desc, p.id desc), '[]')
    from (
      select s.*, left(s.original_input, 120) as preview
      from unnest(v_statuses) as status (name)
      cross join unnest(v_sources) as source (name)
      cross join lateral (
        select t.*
        from public.sessions as t
        where t.user_id = p_user_id and t.status = status.name and t.source = source.name
          and (t.updated_at, t.id) < (v_updated_at, v_id)
        order by t.updated_at desc, t.id desc
        limit v_limit
      ) as s
      order by s.updated_at desc, s.id desc
      limit v_limit
    ) as p
  );
end;
$$;

comment on function public.list_sessions_v1(text, json) is
  'Summaries of a user''s sessions, latest first.';

-- Whole sessions in the order of their ids, which no write changes: a caller that pages through
-- them misses none. A page ends at 200 sessions, at about 10,000 items or at about 16 MiB of them.
create function public.load_sessions_v1(p_user_id text, p_arguments json)
returns lift_sys_internal."application/json"
language plpgsql stable security invoker
set search_path = '' set timezone = 'UTC' set enable_seqscan = off
as $$
declare
  v_status text := p_arguments ->> 'status';
  v_after text := coalesce(p_arguments ->> 'after_id', '');
begin
  return (
    with counted as (
      select s.id, s.item_bytes, s.revision_count + s.draft_count + s.hole_count as items
      from public.sessions as s
      where s.user_id = p_user_id and s.id > v_after and (v_status is null or s.status = v_status)
      order by s.id
      limit 201
    ),
    placed as (
      select c.id,
        row_number() over before as number,
        sum(c.items) over before - c.items as items_before,
        sum(c.item_bytes) over before - c.item_bytes as bytes_before
      from counted as c
      window before as (order by c.id)
    ),
    page as (
      select p.id
      from placed as p
      where p.number <= 200 and p.items_before < 10000 and p.bytes_before < 16 * 1024 * 1024
    )
    select json_build_object(
      'sessions', coalesce(
        json_agg(
          lift_sys_internal.session_json_v1(p_user_id, p.id, 0, 0, 0) order by p.id
        ),
        '[]'
      ),
      'next_after_id', case
        when count(*) < (select count(*) from placed) then max(p.id)
      end
    )
    from page as p
  );
end;
$$;

comment on function public.load_sessions_v1(text, json) is
  'Whole sessions of a user, a page at a time.';

-- A signed-in user and the service may call these, and nobody else.

revoke all on function public.create_sessions_v1(text, json, json)
  from public, anon, authenticated, service_role;
revoke all on function public.get_session_v1(text, json)
  from public, anon, authenticated, service_role;
revoke all on function public.update_session_v1(text, json, json)
  from public, anon, authenticated, service_role;
revoke all on function public.refresh_session_v1(text, json)
  from public, anon, authenticated, service_role;
revoke all on function public.delete_session_v1(text, json, json)
  from public, anon, authenticated, service_role;
revoke all on function public.list_sessions_v1(text, json)
  from public, anon, authenticated, service_role;
revoke all on function public.load_sessions_v1(text, json)
  from public, anon, authenticated, service_role;
revoke all on all functions in schema lift_sys_internal
  from public, anon, authenticated, service_role;

grant execute on function public.create_sessions_v1(text, json, json)
  to authenticated, service_role;
grant execute on function public.get_session_v1(text, json) to authenticated, service_role;
grant execute on function public.update_session_v1(text, json, json) to authenticated, service_role;
grant execute on function public.refresh_session_v1(text, json) to authenticated, service_role;
grant execute on function public.delete_session_v1(text, json, json) to authenticated, service_role;
grant execute on function public.list_sessions_v1(text, json) to authenticated, service_role;
grant execute on function public.load_sessions_v1(text, json) to authenticated, service_role;
grant execute on all functions in schema lift_sys_internal to authenticated, service_role;
