// The queries that the API asks, with their parameters and rows; queries.ts has the others. All of them are bounded by
// a span of time or by ids, and by `limit`.

/** What an agent did, and when it was last heard of; see the query. */
export interface ApiAgentRow {
  agent: string
  judgements: number
  out_of_scope: number
  findings: number
  seen: number
}

interface Limited {
  limit: number
}

/** Times are microseconds since 1970. */
export interface ApiQueries {
  api_agents: { params: Limited & { from: number; recent: number }; row: ApiAgentRow }
}
