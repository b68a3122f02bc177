import { describe, expect, it } from 'vitest'
import { type ClientSample, clientTable, summariseClients } from './client-table.ts'

function sample(performer: ClientSample['performer'], round: number, wallMs: number): ClientSample {
  return {
    server: 'millrace',
    task: 'json',
    performer,
    round,
    wallMs,
    clientCpuMs: wallMs / 2,
    serverCpuMs: 1,
  }
}

const samples = [
  sample('millrace', 1, 10),
  sample('published', 1, 20),
  sample('published', 2, 10),
  sample('millrace', 2, 20),
  sample('millrace', 3, 40),
  sample('published', 3, 60),
]

describe('summariseClients', () => {
  it('takes medians, and ratios within a round', () => {
    const [row, ...others] = summariseClients(samples, 1000)

    expect(others).toEqual([])
    expect(row?.eventsPerSecond).toEqual({ millrace: 50_000, published: 50_000 })
    expect(row?.clientCpu.millrace).toBe(10)
    expect(row?.ratioTo).toEqual({ published: { median: 1.5, lowest: 0.5, highest: 2 } })
  })

  it('leaves out of a ratio what has no partner in its round', () => {
    const [row] = summariseClients([...samples, sample('published', 4, 1)], 1000)
    expect(row?.ratioTo.published).toEqual({ median: 1.5, lowest: 0.5, highest: 2 })
  })

  it('keeps servers and tasks apart', () => {
    const other = { ...sample('millrace', 1, 10), server: 'millrace-durable' }
    const rows = summariseClients([...samples, other, { ...other, task: 'body' }], 1000)
    expect(rows.map(({ server, task }) => `${task} ${server}`)).toEqual([
      'json millrace',
      'json millrace-durable',
      'body millrace-durable',
    ])
  })
})

describe('clientTable', () => {
  it('has a cell for each heading, a dash for what was not measured', () => {
    const [head, row] = clientTable(summariseClients(samples, 1000))
    expect(row).toHaveLength(head?.length ?? 0)
    expect(row?.slice(0, 4)).toEqual(['json, millrace', '50,000', '5', '1.50 (0.50 to 2.00)'])
    expect(row?.slice(-3)).toEqual(['-', '-', '-'])
  })
})
