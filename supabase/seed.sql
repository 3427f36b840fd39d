-- A little to look at after `supabase db reset`: two sessions of the user "demo". Seeding a database
-- that has them already changes nothing.

select public.create_sessions_v1(
  'demo',
  $$
  {
    "sessions": [
      {
        "header": {
          "session_id": "slugify", "status": "active", "source": "prompt", "metadata": {},
          "created_at": "2026-11-20T09:00:00Z", "updated_at": "2026-11-20T09:05:00Z",
          "finalized_at": null
        },
        "items": {
          "revisions": [
            {
              "timestamp": "2026-11-20T09:00:00Z", "content": "Make a URL slug of a title",
              "revision_type": "initial", "target_hole": null, "metadata": {}
            }
          ],
          "drafts": [
            {
              "version": 1,
              "ir": {
                "intent": {"summary": "Make a URL slug of a title"},
                "signature": {
                  "name": "slugify",
                  "parameters": [{"name": "title", "type_hint": "str"}],
                  "returns": "str",
                  "holes": [
                    {
                      "identifier": "max_length", "kind": "signature", "type_hint": "int",
                      "description": "How long a slug may be"
                    }
                  ]
                }
              },
              "validation_status": "incomplete", "smt_results": [], "ambiguities": [],
              "created_at": "2026-11-20T09:01:00Z", "metadata": {}
            }
          ],
          "resolutions": [
            {
              "hole_id": "max_length", "resolution_text": "80",
              "resolution_type": "refine_signature", "applied": false,
              "timestamp": "2026-11-20T09:05:00Z", "metadata": {}
            }
          ]
        }
      },
      {
        "header": {
          "session_id": "retry-policy", "status": "finalized", "source": "prompt",
          "metadata": {"team": "platform"},
          "created_at": "2026-11-19T14:00:00Z", "updated_at": "2026-11-19T15:30:00Z",
          "finalized_at": "2026-11-19T15:30:00Z"
        },
        "items": {
          "revisions": [
            {
              "timestamp": "2026-11-19T14:00:00Z",
              "content": "Retry a request three times, with growing pauses",
              "revision_type": "initial", "target_hole": null, "metadata": {}
            }
          ],
          "drafts": [],
          "resolutions": []
        }
      }
    ]
  }
  $$,
  null
)
where not exists (select from public.sessions as s where s.user_id = 'demo');
