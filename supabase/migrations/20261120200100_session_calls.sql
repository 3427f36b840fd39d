-- One function for each call: what it does is one statement, so it happens whole or not at all, and
-- costs one round trip. Arguments and answers are json as lift_sys.spec_sessions.records has them.
-- The decisions, and their order, are those of lift_sys.spec_sessions.rules. A refusal is an error
-- whose message is a stable word and whose detail is json. Functions run as their caller, so that
-- row-level security holds inside them.

-- Answers a write that was done before with its result, else takes note of this one.
-- Another transaction with the same key is waited for, so that the two cannot both go on.
create function public.claim_session_write_v1(
  p_user_id text, p_call text, p_write json, p_result json, out was_done boolean, out result json
)
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_key text := p_write ->> 'key';
  v_done record;
begin
  was_done := false;
  result := p_result;
  if v_key is null then
    return;
  end if;
  insert into public.session_writes (user_id, key, call, fingerprint, result)
  values (p_user_id, v_key, p_call, p_write ->> 'fingerprint', p_result)
  on conflict (user_id, key) do nothing;
  if found then
    return;
  end if;
  select w.call, w.fingerprint, w.result into v_done
  from public.session_writes as w
  where w.user_id = p_user_id and w.key = v_key;
  if (v_done.call, v_done.fingerprint) is distinct from (p_call, p_write ->> 'fingerprint') then
    raise exception 'idempotency_key_reused' using
      errcode = 'PT409',
      detail = json_build_object('key', v_key)::text;
  end if;
  was_done := true;
  result := v_done.result;
end;
$$;

comment on function public.claim_session_write_v1 is
  'Takes note of a keyed write, or answers it where it was done before.';

-- Adds items after the given counts.
create function public.add_session_items_v1(
  p_user_id text, p_session_id text, p_revisions integer, p_drafts integer, p_resolutions integer,
  p_items json
)
returns void
language plpgsql volatile security invoker set search_path = ''
as $$
begin
  if json_array_length(p_items -> 'revisions') > 0 then
    insert into public.session_revisions (
      user_id, session_id, revision_number,
      content, revision_type, target_hole, metadata, created_at
    )
    select p_user_id, p_session_id, p_revisions + i.number,
      i.content, i.revision_type, i.target_hole, i.metadata, i."timestamp"
    from rows from (
      json_to_recordset(p_items -> 'revisions') as (
        content text, revision_type text, target_hole text, metadata json, "timestamp" timestamptz
      )
    ) with ordinality as i (
      content, revision_type, target_hole, metadata, "timestamp", number
    );
  end if;
  if json_array_length(p_items -> 'drafts') > 0 then
    insert into public.session_drafts (
      user_id, session_id, draft_number,
      version, ir, validation_status, smt_results, ambiguities, metadata, created_at
    )
    select p_user_id, p_session_id, p_drafts + i.number,
      i.version, i.ir, i.validation_status, i.smt_results, i.ambiguities, i.metadata, i.created_at
    from rows from (
      json_to_recordset(p_items -> 'drafts') as (
        version integer, ir json, validation_status text, smt_results json, ambiguities json,
        metadata json, created_at timestamptz
      )
    ) with ordinality as i (
      version, ir, validation_status, smt_results, ambiguities, metadata, created_at, number
    );
  end if;
  if json_array_length(p_items -> 'resolutions') > 0 then
    insert into public.hole_resolutions (
      user_id, session_id, resolution_number,
      hole_id, resolution_text, resolution_type, applied, metadata, created_at
    )
    select p_user_id, p_session_id, p_resolutions + i.number,
      i.hole_id, i.resolution_text, i.resolution_type, i.applied, i.metadata, i."timestamp"
    from rows from (
      json_to_recordset(p_items -> 'resolutions') as (
        hole_id text, resolution_text text, resolution_type text, applied boolean, metadata json,
        "timestamp" timestamptz
      )
    ) with ordinality as i (
      hole_id, resolution_text, resolution_type, applied, metadata, "timestamp", number
    );
  end if;
end;
$$;

comment on function public.add_session_items_v1 is 'Adds items to a session, after those it has.';

-- The items of a session past the given counts, each kind as one array.
create function public.session_items_v1(
  p_user_id text, p_session_id text, p_revisions integer, p_drafts integer, p_resolutions integer,
  out revisions json, out drafts json, out resolutions json
)
language plpgsql stable security invoker set search_path = '' set timezone = 'UTC'
as $$
begin
  select coalesce(json_agg(json_build_object(
    'timestamp', r.created_at, 'content', r.content, 'revision_type', r.revision_type,
    'target_hole', r.target_hole, 'metadata', r.metadata
  ) order by r.revision_number), '[]') into revisions
  from public.session_revisions as r
  where r.user_id = p_user_id and r.session_id = p_session_id and r.revision_number > p_revisions;
  select coalesce(json_agg(json_build_object(
    'version', d.version, 'ir', d.ir, 'validation_status', d.validation_status,
    'smt_results', d.smt_results, 'ambiguities', d.ambiguities,
    'created_at', d.created_at, 'metadata', d.metadata
  ) order by d.draft_number), '[]') into drafts
  from public.session_drafts as d
  where d.user_id = p_user_id and d.session_id = p_session_id and d.draft_number > p_drafts;
  select coalesce(json_agg(json_build_object(
    'hole_id', h.hole_id, 'resolution_text', h.resolution_text,
    'resolution_type', h.resolution_type, 'applied', h.applied,
    'timestamp', h.created_at, 'metadata', h.metadata
  ) order by h.resolution_number), '[]') into resolutions
  from public.hole_resolutions as h
  where h.user_id = p_user_id and h.session_id = p_session_id
    and h.resolution_number > p_resolutions;
end;
$$;

comment on function public.session_items_v1 is 'The items of a session past the given counts.';

-- A session as the models have it, with the items past the given counts.
create function public.session_json_v1(
  p_session public.sessions, p_revisions integer, p_drafts integer, p_resolutions integer
)
returns json
language plpgsql stable security invoker set search_path = '' set timezone = 'UTC'
as $$
declare
  v_items record;
begin
  select i.revisions, i.drafts, i.resolutions into v_items
  from public.session_items_v1(
    p_session.user_id, p_session.id, p_revisions, p_drafts, p_resolutions
  ) as i;
  return json_build_object(
    'session_id', p_session.id, 'status', p_session.status, 'source', p_session.source,
    'metadata', p_session.metadata, 'version', p_session.version,
    'created_at', p_session.created_at, 'updated_at', p_session.updated_at,
    'finalized_at', p_session.finalized_at,
    'revisions', v_items.revisions, 'ir_drafts', v_items.drafts,
    'pending_resolutions', v_items.resolutions
  );
end;
$$;

comment on function public.session_json_v1 is 'A session as one json value.';

create function public.create_sessions_v1(p_user_id text, p_arguments json, p_write json)
returns json
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_ids json;
  v_claim record;
  v_new json;
  v_header record;
  v_items json;
begin
  select json_agg(s.value -> 'header' ->> 'session_id' order by s.ordinality) into v_ids
  from json_array_elements(p_arguments -> 'sessions') with ordinality as s;
  select c.was_done, c.result into v_claim
  from public.claim_session_write_v1(p_user_id, 'create_sessions', p_write, v_ids) as c;
  if v_claim.was_done then
    return v_claim.result;
  end if;
  for v_new in select s.value from json_array_elements(p_arguments -> 'sessions') as s loop
    v_items := v_new -> 'items';
    select * into v_header from json_to_record(v_new -> 'header') as h (
      session_id text, status text, source text, metadata json,
      created_at timestamptz, updated_at timestamptz, finalized_at timestamptz
    );
    insert into public.sessions (
      user_id, id, status, source, original_input, current_ir,
      revision_count, draft_count, hole_count, metadata, version,
      created_at, updated_at, finalized_at
    )
    values (
      p_user_id, v_header.session_id, v_header.status, v_header.source,
      coalesce(v_items -> 'revisions' -> 0 ->> 'content', '(no input provided)'),
      (v_items -> 'drafts' -> -1 -> 'ir')::jsonb,
      json_array_length(v_items -> 'revisions'), json_array_length(v_items -> 'drafts'),
      json_array_length(v_items -> 'resolutions'), v_header.metadata, 1,
      v_header.created_at, v_header.updated_at, v_header.finalized_at
    )
    on conflict (user_id, id) do nothing;
    if not found then
      raise exception 'session_exists' using
        errcode = 'PT409',
        detail = json_build_object('session_id', v_header.session_id)::text;
    end if;
    perform public.add_session_items_v1(p_user_id, v_header.session_id, 0, 0, 0, v_items);
  end loop;
  -- Keys are kept for a day at least; some of what is older goes with a write now and then.
  delete from public.session_writes as w
  where w.user_id = p_user_id and w.written_at < now() - interval '24 hours';
  return v_ids;
end;
$$;

comment on function public.create_sessions_v1 is 'Stores new sessions, all or none.';

create function public.get_session_v1(p_user_id text, p_arguments json)
returns json
language plpgsql stable security invoker set search_path = ''
as $$
declare
  v_session public.sessions;
begin
  select s.* into v_session
  from public.sessions as s
  where s.user_id = p_user_id and s.id = p_arguments ->> 'session_id';
  if not found then
    return null;
  end if;
  return public.session_json_v1(v_session, 0, 0, 0);
end;
$$;

comment on function public.get_session_v1 is 'A session with all its items, or null.';

-- Refuses items that differ from the stored ones, and says which are new and which became applied.
-- For a caller that does not know what is stored: items are all of the session's.
create function public.compare_session_items_v1(
  p_session public.sessions, p_items json, out new_items json, out applied json
)
language plpgsql stable security invoker set search_path = '' set timezone = 'UTC'
as $$
declare
  v_field text;
  v_index integer;
  v_missing boolean;
begin
  select d.field, d.index, d.missing into v_field, v_index, v_missing
  from (
    select 'revisions' as field, r.revision_number - 1 as index, i.value is null as missing, 1 as kind
    from public.session_revisions as r
    left join json_array_elements(p_items -> 'revisions') with ordinality as i
      on i.ordinality = r.revision_number
    where r.user_id = p_session.user_id and r.session_id = p_session.id
      and (
        i.value is null
        or r.content is distinct from i.value ->> 'content'
        or r.revision_type is distinct from i.value ->> 'revision_type'
        or r.target_hole is distinct from i.value ->> 'target_hole'
        or r.created_at is distinct from (i.value ->> 'timestamp')::timestamptz
        or r.metadata::jsonb is distinct from (i.value -> 'metadata')::jsonb
      )
    union all
    select 'ir_drafts', d.draft_number - 1, i.value is null, 2
    from public.session_drafts as d
    left join json_array_elements(p_items -> 'drafts') with ordinality as i
      on i.ordinality = d.draft_number
    where d.user_id = p_session.user_id and d.session_id = p_session.id
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
    select 'pending_resolutions', h.resolution_number - 1, i.value is null, 3
    from public.hole_resolutions as h
    left join json_array_elements(p_items -> 'resolutions') with ordinality as i
      on i.ordinality = h.resolution_number
    where h.user_id = p_session.user_id and h.session_id = p_session.id
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
      detail = json_build_object('field', v_field, 'index', v_index, 'missing', v_missing)::text;
  end if;
  select json_build_object(
    'revisions', (
      select coalesce(json_agg(i.value order by i.ordinality), '[]')
      from json_array_elements(p_items -> 'revisions') with ordinality as i
      where i.ordinality > p_session.revision_count
    ),
    'drafts', (
      select coalesce(json_agg(i.value order by i.ordinality), '[]')
      from json_array_elements(p_items -> 'drafts') with ordinality as i
      where i.ordinality > p_session.draft_count
    ),
    'resolutions', (
      select coalesce(json_agg(i.value order by i.ordinality), '[]')
      from json_array_elements(p_items -> 'resolutions') with ordinality as i
      where i.ordinality > p_session.hole_count
    )
  ) into new_items;
  select coalesce(json_agg(h.resolution_number), '[]') into applied
  from public.hole_resolutions as h
  join json_array_elements(p_items -> 'resolutions') with ordinality as i
    on i.ordinality = h.resolution_number
  where h.user_id = p_session.user_id and h.session_id = p_session.id
    and not h.applied and (i.value ->> 'applied')::boolean;
end;
$$;

comment on function public.compare_session_items_v1 is
  'What of all items of a session is new; refuses where the stored ones differ.';

create function public.update_session_v1(p_user_id text, p_arguments json, p_write json)
returns json
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_expected integer := (p_arguments ->> 'expected_version')::integer;
  v_version integer := v_expected + 1;
  v_header record;
  v_base record;
  v_items json := p_arguments -> 'items';
  v_applied json := p_arguments -> 'applied';
  v_claim record;
  v_stored public.sessions;
begin
  select c.was_done, c.result into v_claim
  from public.claim_session_write_v1(
    p_user_id, 'update_session', p_write, to_json(v_version)
  ) as c;
  if v_claim.was_done then
    return v_claim.result;
  end if;
  select * into v_header from json_to_record(p_arguments -> 'header') as h (
    session_id text, status text, source text, metadata json,
    created_at timestamptz, updated_at timestamptz, finalized_at timestamptz
  );
  select s.* into v_stored
  from public.sessions as s
  where s.user_id = p_user_id and s.id = v_header.session_id
  for update;
  if not found then
    raise exception 'session_not_found' using
      errcode = 'PT404',
      detail = json_build_object('session_id', v_header.session_id)::text;
  end if;
  if v_stored.version <> v_expected then
    raise exception 'session_conflict' using
      errcode = 'PT409',
      detail = json_build_object(
        'session_id', v_header.session_id,
        'expected_version', v_expected,
        'current_version', v_stored.version
      )::text;
  end if;
  if json_typeof(p_arguments -> 'base') = 'null' then
    select c.new_items, c.applied into v_items, v_applied
    from public.compare_session_items_v1(v_stored, v_items) as c;
  else
    select * into v_base from json_to_record(p_arguments -> 'base') as b (
      created_at timestamptz, counts json
    );
    if v_base.created_at is distinct from v_stored.created_at
      or (v_base.counts ->> 'revisions')::integer is distinct from v_stored.revision_count
      or (v_base.counts ->> 'drafts')::integer is distinct from v_stored.draft_count
      or (v_base.counts ->> 'resolutions')::integer is distinct from v_stored.hole_count
    then
      raise exception 'another_session' using
        errcode = 'PT409',
        detail = json_build_object('session_id', v_header.session_id)::text;
    end if;
  end if;
  perform public.add_session_items_v1(
    p_user_id, v_header.session_id,
    v_stored.revision_count, v_stored.draft_count, v_stored.hole_count, v_items
  );
  if json_array_length(v_applied) > 0 then
    update public.hole_resolutions as h
    set applied = true
    where h.user_id = p_user_id and h.session_id = v_header.session_id
      and h.resolution_number in (
        select a.value::integer from json_array_elements_text(v_applied) as a
      );
  end if;
  update public.sessions as s
  set status = v_header.status,
    source = v_header.source,
    metadata = v_header.metadata,
    created_at = v_header.created_at,
    updated_at = v_header.updated_at,
    finalized_at = v_header.finalized_at,
    version = v_version,
    original_input = case
      when v_stored.revision_count > 0 then s.original_input
      else coalesce(v_items -> 'revisions' -> 0 ->> 'content', s.original_input)
    end,
    current_ir = case
      when json_array_length(v_items -> 'drafts') > 0
        then (v_items -> 'drafts' -> -1 -> 'ir')::jsonb
      else s.current_ir
    end,
    revision_count = v_stored.revision_count + json_array_length(v_items -> 'revisions'),
    draft_count = v_stored.draft_count + json_array_length(v_items -> 'drafts'),
    hole_count = v_stored.hole_count + json_array_length(v_items -> 'resolutions')
  where s.user_id = p_user_id and s.id = v_header.session_id;
  -- Keys are kept for a day at least; some of what is older goes with a write now and then.
  if v_version % 64 = 0 then
    delete from public.session_writes as w
    where w.user_id = p_user_id and w.written_at < now() - interval '24 hours';
  end if;
  return to_json(v_version);
end;
$$;

comment on function public.update_session_v1 is
  'Stores what is new in a session that is still at the version the change is based on.';

create function public.refresh_session_v1(p_user_id text, p_arguments json)
returns json
language plpgsql stable security invoker set search_path = ''
as $$
declare
  v_session public.sessions;
  v_base record;
  v_revisions integer := p_arguments -> 'base' -> 'counts' ->> 'revisions';
  v_drafts integer := p_arguments -> 'base' -> 'counts' ->> 'drafts';
  v_resolutions integer := p_arguments -> 'base' -> 'counts' ->> 'resolutions';
begin
  select s.* into v_session
  from public.sessions as s
  where s.user_id = p_user_id and s.id = p_arguments ->> 'session_id';
  if not found then
    raise exception 'session_not_found' using
      errcode = 'PT404',
      detail = json_build_object('session_id', p_arguments ->> 'session_id')::text;
  end if;
  if (p_arguments -> 'base' ->> 'created_at')::timestamptz is distinct from v_session.created_at
    or v_revisions > v_session.revision_count
    or v_drafts > v_session.draft_count
    or v_resolutions > v_session.hole_count
  then
    return json_build_object(
      'session', public.session_json_v1(v_session, 0, 0, 0), 'whole', true, 'applied', '[]'::json
    );
  end if;
  return json_build_object(
    'session', public.session_json_v1(v_session, v_revisions, v_drafts, v_resolutions),
    'whole', false,
    'applied', (
      select coalesce(json_agg(h.resolution_number), '[]')
      from public.hole_resolutions as h
      where h.user_id = p_user_id and h.session_id = v_session.id and h.applied
        and h.resolution_number in (
          select a.value::integer from json_array_elements_text(p_arguments -> 'unapplied') as a
        )
    )
  );
end;
$$;

comment on function public.refresh_session_v1 is
  'What of a session is not known to the caller yet.';

create function public.delete_session_v1(p_user_id text, p_arguments json, p_write json)
returns json
language plpgsql volatile security invoker set search_path = ''
as $$
declare
  v_claim record;
begin
  select c.was_done into v_claim
  from public.claim_session_write_v1(p_user_id, 'delete_session', p_write, 'null') as c;
  if not v_claim.was_done then
    delete from public.sessions as s
    where s.user_id = p_user_id and s.id = p_arguments ->> 'session_id';
  end if;
  return 'null'::json;
end;
$$;

comment on function public.delete_session_v1 is 'Removes a session and everything of it.';

-- One page of a user's sessions, latest first. Two statements, because each has an index that
-- gives its order.
create function public.session_page_v1(
  p_user_id text, p_status text, p_source text, p_updated_at timestamptz, p_id text, p_limit integer
)
returns setof public.sessions
language plpgsql stable security invoker set search_path = ''
as $$
begin
  if p_status is null then
    return query
    select s.*
    from public.sessions as s
    where s.user_id = p_user_id
      and (s.updated_at, s.id) < (p_updated_at, p_id)
      and (p_source is null or s.source = p_source)
    order by s.updated_at desc, s.id desc
    limit p_limit;
  else
    return query
    select s.*
    from public.sessions as s
    where s.user_id = p_user_id and s.status = p_status
      and (s.updated_at, s.id) < (p_updated_at, p_id)
      and (p_source is null or s.source = p_source)
    order by s.updated_at desc, s.id desc
    limit p_limit;
  end if;
end;
$$;

comment on function public.session_page_v1 is 'One page of a user''s sessions, latest first.';

create function public.list_sessions_v1(p_user_id text, p_arguments json)
returns json
language plpgsql stable security invoker set search_path = '' set timezone = 'UTC'
as $$
begin
  return (
    select coalesce(json_agg(json_build_object(
      'session_id', s.id, 'status', s.status, 'source', s.source,
      'preview', left(s.original_input, 120),
      'revision_count', s.revision_count, 'draft_count', s.draft_count, 'hole_count', s.hole_count,
      'metadata', s.metadata, 'version', s.version,
      'created_at', s.created_at, 'updated_at', s.updated_at, 'finalized_at', s.finalized_at
    ) order by s.updated_at desc, s.id desc), '[]')
    from public.session_page_v1(
      p_user_id, p_arguments ->> 'status', p_arguments ->> 'source',
      coalesce((p_arguments -> 'after' ->> 'updated_at')::timestamptz, 'infinity'),
      coalesce(p_arguments -> 'after' ->> 'session_id', ''),
      (p_arguments ->> 'limit')::integer
    ) as s
  );
end;
$$;

comment on function public.list_sessions_v1 is 'Summaries of a user''s sessions, latest first.';

-- Whole sessions in the order of their ids, which no write changes: a caller that pages through
-- them misses none. A page ends at 200 sessions or at about 5,000 items.
create function public.load_sessions_v1(p_user_id text, p_arguments json)
returns json
language plpgsql stable security invoker set search_path = ''
as $$
declare
  v_status text := p_arguments ->> 'status';
  v_after text := coalesce(p_arguments ->> 'after_id', '');
begin
  return (
    with counted as (
      select s.id, s.revision_count + s.draft_count + s.hole_count as items
      from public.sessions as s
      where s.user_id = p_user_id and s.id > v_after and (v_status is null or s.status = v_status)
      order by s.id
      limit 201
    ),
    placed as (
      select c.id,
        row_number() over (order by c.id) as number,
        sum(c.items) over (order by c.id) - c.items as items_before
      from counted as c
    ),
    page as (
      select p.id from placed as p where p.number <= 200 and p.items_before < 5000
    )
    select json_build_object(
      'sessions', (
        select coalesce(json_agg(public.session_json_v1(s, 0, 0, 0) order by s.id), '[]')
        from public.sessions as s
        where s.user_id = p_user_id and s.id in (select p.id from page as p)
      ),
      'next_after_id', case
        when (select count(*) from page) < (select count(*) from placed)
          then (select max(p.id) from page as p)
      end
    )
  );
end;
$$;

comment on function public.load_sessions_v1 is 'Whole sessions of a user, a page at a time.';

-- A signed-in user and the service may call these, and nobody else.

revoke all on function public.claim_session_write_v1(text, text, json, json) from public, anon;
revoke all on function public.add_session_items_v1(text, text, integer, integer, integer, json)
  from public, anon;
revoke all on function public.session_items_v1(text, text, integer, integer, integer)
  from public, anon;
revoke all on function public.session_json_v1(public.sessions, integer, integer, integer)
  from public, anon;
revoke all on function public.create_sessions_v1(text, json, json) from public, anon;
revoke all on function public.get_session_v1(text, json) from public, anon;
revoke all on function public.compare_session_items_v1(public.sessions, json) from public, anon;
revoke all on function public.update_session_v1(text, json, json) from public, anon;
revoke all on function public.refresh_session_v1(text, json) from public, anon;
revoke all on function public.delete_session_v1(text, json, json) from public, anon;
revoke all on function public.session_page_v1(text, text, text, timestamptz, text, integer)
  from public, anon;
revoke all on function public.list_sessions_v1(text, json) from public, anon;
revoke all on function public.load_sessions_v1(text, json) from public, anon;

grant execute on function public.claim_session_write_v1(text, text, json, json)
  to authenticated, service_role;
grant execute on function public.add_session_items_v1(text, text, integer, integer, integer, json)
  to authenticated, service_role;
grant execute on function public.session_items_v1(text, text, integer, integer, integer)
  to authenticated, service_role;
grant execute on function public.session_json_v1(public.sessions, integer, integer, integer)
  to authenticated, service_role;
grant execute on function public.create_sessions_v1(text, json, json)
  to authenticated, service_role;
grant execute on function public.get_session_v1(text, json) to authenticated, service_role;
grant execute on function public.compare_session_items_v1(public.sessions, json)
  to authenticated, service_role;
grant execute on function public.update_session_v1(text, json, json) to authenticated, service_role;
grant execute on function public.refresh_session_v1(text, json) to authenticated, service_role;
grant execute on function public.delete_session_v1(text, json, json) to authenticated, service_role;
grant execute on function public.session_page_v1(text, text, text, timestamptz, text, integer)
  to authenticated, service_role;
grant execute on function public.list_sessions_v1(text, json) to authenticated, service_role;
grant execute on function public.load_sessions_v1(text, json) to authenticated, service_role;
