// The routes of alerts.

import { z } from 'zod'
import {
  AlertDetail,
  AlertFilters,
  AlertPage,
  type AlertParts,
  alertDetail,
  alertPage,
} from './alert-list.ts'
import { PROBLEMS } from './house-rules.ts'
import { AnyHeaders, NoQuery, type Routes, Uuid } from './shapes.ts'

export function addAlertRoutes(server: Routes, parts: AlertParts): void {
  server.get(
    '/api/v1/alerts',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Alerts, newest first',
        tags: ['alerts'],
        querystring: AlertFilters,
        headers: AnyHeaders,
        response: { 200: AlertPage, ...PROBLEMS },
      },
    },
    async ({ query }) => alertPage(query, parts),
  )
  server.get(
    '/api/v1/alerts/:id',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'One alert, with its evidence, its flows and its deliveries',
        tags: ['alerts'],
        params: z.strictObject({ id: Uuid }),
        querystring: NoQuery,
        headers: AnyHeaders,
        response: { 200: AlertDetail, ...PROBLEMS },
      },
    },
    async ({ params: { id } }) => alertDetail(id, parts),
  )
}
