-- Each call, as a signed-in user makes it: what it answers, and with which word it refuses.
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions, public;
select plan(25);

create function pg_temp.session(p_id text, p_status text, p_updated_at text, p_items text)
returns text
language sql
return format(
  '{"header": {"session_id": %s, "status": %s, "source": "prompt", "metadata": {"n": 1.0},
    "created_at": "2026-01-01T00:00:00Z", "updated_at": %s, "finalized_at": null}, "items": %s}',
  to_json(p_id), to_json(p_status), to_json(p_updated_at), p_items
);
create function pg_temp.revision(p_content text) returns text
language sql
return format(
  '{"revisions": [{"timestamp": "0001-01-01T00:00:00Z", "content": %s, "revision_type": "initial",
    "target_hole": null, "metadata": {"big": 1e400, "b": 1, "a": -0.0}}],
    "drafts": [], "resolutions": [{"timestamp": "9999-12-31T23:59:59.999999Z", "hole_id": "h",
    "resolution_text": "x", "resolution_type": "add_constraint", "applied": false,
    "metadata": {}}]}',
  to_json(p_content)
);
create function pg_temp.base(p_count integer) returns text
language sql
return format(
  '{"created_at": "2026-01-01T00:00:00Z",
    "counts": {"revisions": %1$s, "drafts": 0, "resolutions": %1$s}}', p_count
);
create function pg_temp.nothing() returns text
language sql
return '{"revisions": [], "drafts": [], "resolutions": []}';
create function pg_temp.create(p_ids text[], p_key text) returns text
language sql
return public.create_sessions_v1(
  'ann',
  format('{"sessions": [%s]}', (
    select string_agg(
      pg_temp.session(i.id, 'active', '2026-01-01T00:00:00Z', pg_temp.revision('ä 𝄞 ' || i.id)), ','
    )
    from unnest(p_ids) as i (id)
  ))::json,
  json_build_object('key', p_key, 'fingerprint', p_ids::text)
)::text;
create function pg_temp.update(
  p_id text, p_version integer, p_base text, p_items text, p_applied text, p_key text
) returns text
language sql
return public.update_session_v1(
  'ann',
  format(
    '{"header": %s, "expected_version": %s, "base": %s, "items": %s, "applied": %s}',
    pg_temp.session(p_id, 'finalized', '2026-01-02T00:00:00Z', '0')::json -> 'header',
    p_version, p_base, p_items, p_applied
  )::json,
  json_build_object('key', p_key, 'fingerprint', 'f')
)::text;

set local role authenticated;
set local request.jwt.claims = '{"sub": "ann"}';
set local timezone = 'Asia/Kathmandu';
set local datestyle = 'SQL, DMY';

select is(pg_temp.create('{b,a}', 'k1'), '["b", "a"]', 'create answers the ids, as given');
select is(pg_temp.create('{b,a}', 'k1'), '["b", "a"]', 'a repetition is answered alike');
select throws_ok(
  $$select pg_temp.create('{c}', 'k1')$$, 'PT409', 'idempotency_key_reused', 'a key is for one write'
);
select throws_ok(
  $$select pg_temp.create('{c,b,a}', 'k2')$$, 'PT409', 'session_exists', 'an id is taken once'
);
select is(
  (select count(*) from public.sessions), 2::bigint, 'and then none of them is stored'
);

select is(
  public.get_session_v1('ann', '{"session_id": "a"}') #>> '{revisions,0}',
  '{"timestamp":"0001-01-01T00:00:00+00:00","content":"ä 𝄞 a","revision_type":"initial",'
  || '"target_hole":null,"metadata":{"big": 1e400, "b": 1, "a": -0.0}}',
  'get answers to the letter, in UTC, whatever the settings'
);
select is(
  public.get_session_v1('ann', '{"session_id": "a"}') #>> '{pending_resolutions,0,timestamp}',
  '9999-12-31T23:59:59.999999+00:00',
  'the last instant stays the last'
);
select is(
  public.get_session_v1('ann', '{"session_id": "none"}')::text, null, 'nothing is null'
);

select is(
  pg_temp.update('a', 1, pg_temp.base(1), pg_temp.nothing(), '[1]', 'k3'), '2',
  'update answers the new version'
);
select is(
  pg_temp.update('a', 1, pg_temp.base(1), pg_temp.nothing(), '[1]', 'k3'), '2',
  'and so does its repetition'
);
select throws_ok(
  $$select pg_temp.update('a', 1, pg_temp.base(1), pg_temp.nothing(), '[]', 'k4')$$,
  'PT409', 'session_conflict', 'one write on each version'
);
select throws_ok(
  $$select pg_temp.update('a', 2147483647, pg_temp.base(1), pg_temp.nothing(), '[]', 'k4')$$,
  'PT409', 'session_conflict', 'of any number'
);
select throws_ok(
  $$select pg_temp.update('none', 2147483647, pg_temp.base(1), pg_temp.nothing(), '[]', 'k4')$$,
  'PT404', 'session_not_found', 'nothing cannot be updated'
);
select throws_ok(
  $$select pg_temp.update('a', 2, pg_temp.base(0), pg_temp.nothing(), '[]', 'k4')$$,
  'PT409', 'another_session', 'nor what is not the base'
);
select throws_ok(
  $$select pg_temp.update('b', 1, 'null', pg_temp.revision('other'), '[]', 'k5')$$,
  'PT409', 'history_rewritten', 'an unknown history must begin with the stored one'
);
select is(
  pg_temp.update('b', 1, 'null', pg_temp.revision('ä 𝄞 b'), '[]', 'k5'), '2', 'and may equal it'
);

select is(
  public.refresh_session_v1('ann', format(
    '{"session_id": "a", "base": %s, "unapplied": [1]}', pg_temp.base(1)
  )::json)::jsonb #- '{session}',
  '{"whole": false, "applied": [1]}',
  'refresh answers what became applied'
);
select is(
  json_array_length(public.refresh_session_v1(
    'ann', '{"session_id": "a", "base": null, "unapplied": []}'
  ) #> '{session,revisions}'),
  1,
  'and all to those who know nothing'
);
select throws_ok(
  $$select public.refresh_session_v1('ann', '{"session_id": "none", "base": null}')$$,
  'PT404', 'session_not_found', 'unless there is nothing'
);

select is(
  (
    select array_agg(i.value ->> 'session_id')
    from json_array_elements(public.list_sessions_v1(
      'ann', '{"status": null, "source": null, "limit": 50, "after": null}'
    )) as i
  ),
  '{b,a}',
  'list is by updated_at, then id, both descending'
);
select is(
  public.list_sessions_v1('ann', '{"status": null, "source": null, "limit": 50,
    "after": {"updated_at": "2026-01-02T00:00:00Z", "session_id": "b"}}') #>> '{0,session_id}',
  'a',
  'and goes on after where it was'
);
select is(
  public.list_sessions_v1(
    'ann', '{"status": "active", "source": "prompt", "limit": 50, "after": null}'
  )::text,
  '[]',
  'and is narrowed by status'
);
select is(
  public.load_sessions_v1('ann', '{"status": null, "after_id": "a"}') #>> '{sessions,0,session_id}',
  'b',
  'load is by id'
);
select is(
  public.delete_session_v1('ann', '{"session_id": "a"}', '{"key": "k6", "fingerprint": ""}')::text,
  'null',
  'delete answers nothing'
);
select is(
  array(select r.session_id::text from public.session_revisions as r),
  array['b'],
  'and takes everything of the session with it'
);

select * from finish();
rollback;
