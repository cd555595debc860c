import type { Socket } from 'node:net'

type Done = (error?: Error | null) => void

/**
 * A server that answers and closes without having read everything resets the connection, and the
 * write that meets the reset makes a socket destroy itself, with the answer it has not read yet.
 * This one lives on to be read: the failed write is taken for done, and so is all that follows it.
 *
 * @param failed told once, with the error of that write
 */
export function outliveWrites(socket: Socket, failed: (error: Error) => void): void {
  let dead = false
  const outlived = (done: Done): Done => {
    return (error) => {
      if (error != null && !dead) {
        dead = true
        failed(error)
      }
      done()
    }
  }
  const { _write, _writev } = socket
  socket._write = (chunk, encoding, done) => {
    if (dead) done()
    else _write.call(socket, chunk, encoding, outlived(done))
  }
  socket._writev = (chunks, done) => {
    if (dead) done()
    else _writev?.call(socket, chunks, outlived(done))
  }
}
