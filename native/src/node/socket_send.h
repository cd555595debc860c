#pragma once

#include <napi.h>

namespace shm {

// Defines sendNow(fd, before, body, after): writes to a socket what it takes at once, `before` and
// `after` as latin1 with the bytes of `body`, a Uint8Array or undefined, between them. Returns how
// many bytes it took; 0 also when it takes none or is broken, which the socket's owner finds out
// with a write of its own. The texts have at most 16 KiB together. Nothing is validated: only our
// own TypeScript calls.
void DefineSocketSend(Napi::Env env, Napi::Object exports);

}  // namespace shm
