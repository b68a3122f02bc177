/** A TCP proxy on loopback that resets each connection after some bytes of answers, in the middle of whatever they are. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A running proxy. */
export interface CuttingProxy {
  readonly url: string
  /** Connections that were reset. */
  readonly cuts: number
  /** Connections that are open now, to clients and to the server. */
  readonly connections: number
  close(): Promise<void>
}

/** Forwards to a port of loopback. `bytesUntilCut` is asked for each connection; undefined lets it live. */
export async function startCuttingProxy(
  port: number,
  bytesUntilCut: () => number | undefined,
): Promise<CuttingProxy> {
  const open = new Set<Socket>()
  let cuts = 0
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    let left = bytesUntilCut() ?? Number.POSITIVE_INFINITY
    for (const socket of [client, upstream]) {
      open.add(socket)
      // A reset is what this proxy is for; both ends see it as the connection's end.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        open.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left > 0 || client.destroyed) return
      cuts++
      client.resetAndDestroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: own } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${own}`,
    get cuts() {
      return cuts
    },
    get connections() {
      return open.size
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}
