#include "inspect.h"

#include "core/image.h"
#include "core/inspect.h"
#include "core/mapping.h"
#include "core/unix_socket.h"

namespace shm {
namespace {

constexpr std::array<const char*, kSliceStates> kStateNames = {"unused", "free", "pooled", "queued",
                                                               "sent"};
constexpr std::array<const char*, 8> kEventNames = {"data",   "close", "fin",      "reset",
                                                    "credit", "lend",  "lendDone", "other"};

Napi::Value Number(Napi::Env env, auto value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

// { fd, base, bytes }
Image ReadImage(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  const auto number = [&object](const char* key) {
    return object.Get(key).As<Napi::Number>().Int64Value();
  };
  return Image(static_cast<int>(number("fd")), static_cast<std::uint64_t>(number("base")),
               static_cast<std::uint64_t>(number("bytes")));
}

template <typename List, typename Describe>
Napi::Array Each(Napi::Env env, const List& list, Describe describe) {
  auto array = Napi::Array::New(env, list.size());
  std::uint32_t index = 0;
  for (const auto& entry : list) array.Set(index++, describe(entry));
  return array;
}

// inspectMemory(buffers, queues, shmesh)
Napi::Value Inspect(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const MemoryImage image =
      InspectMemory(ReadImage(info[0]), ReadImage(info[1]), info[2].ToBoolean());
  auto out = Napi::Object::New(env);
  char epoch[17];
  std::snprintf(epoch, sizeof epoch, "%016llx", static_cast<unsigned long long>(image.epoch));
  out.Set("epoch", image.epoch == 0 ? env.Null() : Napi::String::New(env, epoch));
  out.Set("budget", image.budget == 0 ? env.Null() : Number(env, image.budget));
  out.Set("lists", Each(env, image.lists, [env](const ListImage& list) {
            auto entry = Napi::Object::New(env);
            entry.Set("payload", Number(env, list.payload));
            entry.Set("capacity", Number(env, list.capacity));
            for (std::size_t i = 0; i < kSliceStates; i++) {
              entry.Set(kStateNames[i], Number(env, list.slices[i]));
            }
            return entry;
          }));
  out.Set("rings", Each(env, image.rings, [env](const RingImage& ring) {
            auto entry = Napi::Object::New(env);
            entry.Set("capacity", Number(env, ring.capacity));
            entry.Set("backlog", Number(env, ring.backlog));
            entry.Set("consumerAwake", ring.consumer_awake);
            auto events = Napi::Object::New(env);
            for (std::size_t i = 0; i < kEventNames.size(); i++) {
              if (ring.events[i] > 0) events.Set(kEventNames[i], Number(env, ring.events[i]));
            }
            entry.Set("events", events);
            return entry;
          }));
  out.Set("holders", Each(env, image.holders, [env](const auto& held) {
            const auto& [key, holder] = held;
            auto entry = Napi::Object::New(env);
            entry.Set("list", Number(env, key.list));
            entry.Set("stream", Number(env, key.stream));
            entry.Set("state", kStateNames[static_cast<std::size_t>(key.state)]);
            entry.Set("slices", Number(env, holder.slices));
            entry.Set("bytes", Number(env, holder.bytes));
            return entry;
          }));
  out.Set("problems", Each(env, image.problems, [env](const std::string& problem) {
            return Napi::String::New(env, problem);
          }));
  return out;
}

// copyImage(from, to, base, all): an error, or an empty string.
Napi::Value CopyImage(const Napi::CallbackInfo& info) {
  const Image from = ReadImage(info[0]);
  ImageCopy copy(from, info[1].As<Napi::Number>().Int32Value(),
                 static_cast<std::uint64_t>(info[2].As<Napi::Number>().Int64Value()));
  if (info[3].ToBoolean()) {
    (void)copy.All();
  } else {
    (void)copy.Headers();
  }
  return Napi::String::New(info.Env(), copy.error());
}

// dial(path): { fd, pid, uid } of who listens there, or an errno. The caller closes fd.
Napi::Value Dial(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  UniqueFd fd(ConnectUnix(info[0].As<Napi::String>().Utf8Value()));
  if (!fd) return Number(env, -fd.get());
  const auto peer = ReadPeerCredentials(fd.get());
  auto out = Napi::Object::New(env);
  out.Set("pid", Number(env, peer ? peer->pid : 0));
  out.Set("uid", Number(env, peer ? peer->uid : 0));
  out.Set("fd", Number(env, fd.Release()));
  return out;
}

}  // namespace

void DefineInspection(Napi::Env env, Napi::Object exports) {
  exports.Set("inspectMemory", Napi::Function::New<Inspect>(env, "inspectMemory"));
  exports.Set("copyImage", Napi::Function::New<CopyImage>(env, "copyImage"));
  exports.Set("dial", Napi::Function::New<Dial>(env, "dial"));
}

}  // namespace shm
