#include "weak_memory.h"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <exception>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

extern "C" void* __real_memcpy(void* to, const void* from, std::size_t bytes);

namespace shm::weak {
namespace {

constexpr std::size_t kStackBytes = 128 * 1024;

// What a thread has acquired: the number of steps it knows of each.
using Clock = std::array<std::uint32_t, 2>;

void Join(Clock& clock, const Clock& other) {
  for (std::size_t i = 0; i < clock.size(); i++) clock[i] = std::max(clock[i], other[i]);
}

struct Stored {
  std::uint64_t value;
  int thread;          // -1: before the run
  std::uint32_t step;  // of that thread
  Clock released;      // what an acquiring load learns
  bool sequential;
  bool modifies;  // the store of a read-modify-write: nothing may come between it and what it read
};

struct Word {
  std::vector<Stored> stores;
  // By thread: steps in which it read or wrote, and the store it then knew.
  std::array<std::vector<std::pair<std::uint32_t, std::size_t>>, 2> seen;
  bool newest_only = false;
};

struct PlainCell {
  int writer = -1;
  std::uint32_t written = 0;
  std::array<std::uint32_t, 2> read{};
};

struct Machine {
  std::mt19937 random;
  std::uint32_t switch_one_in = 2;
  std::uint32_t stale_one_in = 2;
  std::unordered_map<const std::byte*, Word> words;
  std::unordered_map<std::uintptr_t, PlainCell> cells;
  std::vector<std::span<const std::byte>> shared;
  std::array<Clock, 2> clocks{};
  std::array<bool, 2> alive{};
  std::array<ucontext_t, 2> contexts{};
  std::array<const std::function<void()>*, 2> bodies{};
  ucontext_t main{};
  int running = -1;
  int uninterrupted = 0;
  std::string error;
};

Machine machine;
std::array<std::array<char, kStackBytes>, 2> stacks;

bool Running() { return machine.running >= 0; }

Clock& Mine() { return machine.clocks[static_cast<std::size_t>(machine.running)]; }

std::uint32_t Step() { return Mine()[static_cast<std::size_t>(machine.running)]; }

bool Knows(int thread, std::uint32_t step) {
  return thread < 0 || Mine()[static_cast<std::size_t>(thread)] >= step;
}

// Before every access: another step, perhaps of the other thread.
void Tick() {
  const int other = 1 - machine.running;
  if (machine.uninterrupted == 0 && machine.alive[static_cast<std::size_t>(other)] &&
      Random(machine.switch_one_in) == 0) {
    const int self = machine.running;
    machine.running = other;
    swapcontext(&machine.contexts[static_cast<std::size_t>(self)],
                &machine.contexts[static_cast<std::size_t>(other)]);
  }
  Mine()[static_cast<std::size_t>(machine.running)]++;
}

Word& Find(const std::byte* address, std::size_t bytes) {
  Word& word = machine.words[address];
  if (word.stores.empty()) {
    std::uint64_t value = 0;
    __real_memcpy(&value, address, bytes);
    word.stores.push_back({value, -1, 0, {}, true, false});
  }
  return word;
}

bool Acquires(Order order) { return order != Order::kRelaxed && order != Order::kRelease; }
bool Releases(Order order) { return order != Order::kRelaxed && order != Order::kAcquire; }

// The oldest store the running thread may still get.
std::size_t Oldest(const Word& word, Order order) {
  const std::size_t newest = word.stores.size() - 1;
  if (word.newest_only) return newest;
  std::size_t oldest = 0;
  for (std::size_t i = newest; i > 0; i--) {
    const Stored& stored = word.stores[i];
    if (Knows(stored.thread, stored.step) || (order == Order::kSequential && stored.sequential)) {
      oldest = i;
      break;
    }
  }
  for (int thread = 0; thread < 2; thread++) {
    for (const auto& [step, index] : word.seen[static_cast<std::size_t>(thread)]) {
      if (Knows(thread, step)) oldest = std::max(oldest, index);
    }
  }
  return oldest;
}

void Saw(Word& word, std::size_t index) {
  word.seen[static_cast<std::size_t>(machine.running)].push_back({Step(), index});
}

// Where a store lands among the others: stores of the other thread that this one knows nothing of
// may come after it.
std::size_t Place(const Word& word, Order order) {
  const std::size_t end = word.stores.size();
  if (Random(machine.stale_one_in) != 0) return end;
  const std::size_t first = Oldest(word, order) + 1;
  const std::size_t place = first + Random(static_cast<std::uint32_t>(end - first + 1));
  return place < end && word.stores[place].modifies ? end : place;
}

// `chain` is what the read of a read-modify-write passes on.
void Insert(Word& word, std::byte* address, std::size_t bytes, std::uint64_t value, Order order,
            const Clock* chain) {
  Stored stored{value,           machine.running,
                Step(),          {},
                order == Order::kSequential, chain != nullptr};
  if (chain != nullptr) stored.released = *chain;
  if (Releases(order)) Join(stored.released, Mine());
  const std::size_t place = chain != nullptr ? word.stores.size() : Place(word, order);
  word.stores.insert(word.stores.begin() + static_cast<std::ptrdiff_t>(place), stored);
  for (auto& seen : word.seen) {
    for (auto& [step, index] : seen) {
      if (index >= place) index++;
    }
  }
  Saw(word, place);
  if (place + 1 == word.stores.size()) __real_memcpy(address, &value, bytes);
}

std::uint64_t Truncate(std::uint64_t value, std::size_t bytes) {
  return bytes == 8 ? value : value & ((std::uint64_t{1} << 8 * bytes) - 1);
}

void Enter(int thread) {
  const auto self = static_cast<std::size_t>(thread);
  try {
    (*machine.bodies[self])();
  } catch (const std::exception& error) {
    if (machine.error.empty()) machine.error = error.what();
  }
  machine.alive[self] = false;
  const int other = 1 - thread;
  if (machine.alive[static_cast<std::size_t>(other)]) {
    machine.running = other;
    setcontext(&machine.contexts[static_cast<std::size_t>(other)]);
  }
  setcontext(&machine.main);
}

bool Shared(const void* data) {
  const auto* at = static_cast<const std::byte*>(data);
  return std::any_of(machine.shared.begin(), machine.shared.end(), [at](const auto& memory) {
    return at >= memory.data() && at < memory.data() + memory.size();
  });
}

void Plain(const void* data, std::size_t bytes, bool write) {
  if (!Running() || !Shared(data)) return;
  Tick();
  const auto begin = reinterpret_cast<std::uintptr_t>(data) / 4;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes + 3) / 4;
  const auto self = static_cast<std::size_t>(machine.running);
  const auto other = 1 - self;
  for (auto at = begin; at < end; at++) {
    PlainCell& cell = machine.cells[at];
    const bool race = !Knows(cell.writer, cell.written) ||
                      (write && !Knows(static_cast<int>(other), cell.read[other]));
    if (race && machine.error.empty()) machine.error = "a data race";
    if (write) {
      cell.writer = machine.running;
      cell.written = Step();
    } else {
      cell.read[self] = Step();
    }
  }
}

}  // namespace

std::uint32_t Random(std::uint32_t bound) {
  return static_cast<std::uint32_t>(machine.random()) % bound;
}

std::uint64_t Load(const std::byte* address, std::size_t bytes, Order order) {
  if (!Running()) {
    std::uint64_t value = 0;
    __real_memcpy(&value, address, bytes);
    return value;
  }
  Tick();
  Word& word = Find(address, bytes);
  const std::size_t oldest = Oldest(word, order);
  std::size_t index = word.stores.size() - 1;
  if (Random(machine.stale_one_in) == 0) {
    index -= Random(static_cast<std::uint32_t>(index - oldest + 1));
  }
  if (Acquires(order)) Join(Mine(), word.stores[index].released);
  Saw(word, index);
  return word.stores[index].value;
}

void Store(std::byte* address, std::size_t bytes, std::uint64_t value, Order order) {
  if (!Running()) {
    __real_memcpy(address, &value, bytes);
    return;
  }
  Tick();
  Insert(Find(address, bytes), address, bytes, value, order, nullptr);
}

std::uint64_t Modify(std::byte* address, std::size_t bytes, Order order,
                     const std::function<std::uint64_t(std::uint64_t)>& change) {
  if (!Running()) {
    const std::uint64_t before = Load(address, bytes, order);
    Store(address, bytes, Truncate(change(before), bytes), order);
    return before;
  }
  Tick();
  Word& word = Find(address, bytes);
  const Stored newest = word.stores.back();
  if (Acquires(order)) Join(Mine(), newest.released);
  Insert(word, address, bytes, Truncate(change(newest.value), bytes), order, &newest.released);
  return newest.value;
}

bool CompareSwap(std::byte* address, std::size_t bytes, std::uint64_t& expected,
                 std::uint64_t desired, Order order) {
  if (!Running()) {
    const bool equal = Load(address, bytes, order) == expected;
    if (equal) Store(address, bytes, desired, order);
    return equal;
  }
  Tick();
  Word& word = Find(address, bytes);
  // A comparison that fails is a load, which may get an older value.
  const std::size_t newest = word.stores.size() - 1;
  const std::size_t oldest =
      Oldest(word, order == Order::kSequential ? order : Order::kRelaxed);
  const std::size_t index =
      newest - Random(static_cast<std::uint32_t>(newest - oldest + 1));
  if (word.stores[index].value != expected || word.stores[newest].value != expected) {
    const bool older = word.stores[index].value != expected;
    expected = word.stores[older ? index : newest].value;
    Saw(word, older ? index : newest);
    return false;
  }
  const Stored before = word.stores[newest];
  if (Acquires(order)) Join(Mine(), before.released);
  Insert(word, address, bytes, desired, order, &before.released);
  return true;
}

void PlainRead(const void* data, std::size_t bytes) { Plain(data, bytes, false); }
void PlainWrite(const void* data, std::size_t bytes) { Plain(data, bytes, true); }

Uninterrupted::Uninterrupted() { machine.uninterrupted++; }
Uninterrupted::~Uninterrupted() { machine.uninterrupted--; }

void Share(std::span<const std::byte> memory) { machine.shared.push_back(memory); }
void AlwaysNewest(const std::byte* word) { machine.words[word].newest_only = true; }

std::string Run(std::uint32_t seed, const std::function<void()>& first,
                const std::function<void()>& second) {
  machine.random.seed(seed);
  machine.switch_one_in = 2u << Random(4);
  machine.stale_one_in = 1 + Random(4);
  machine.cells.clear();
  machine.clocks = {};
  machine.alive = {true, true};
  machine.bodies = {&first, &second};
  machine.uninterrupted = 0;
  machine.error.clear();
  for (int thread = 0; thread < 2; thread++) {
    const auto self = static_cast<std::size_t>(thread);
    getcontext(&machine.contexts[self]);
    machine.contexts[self].uc_stack.ss_sp = stacks[self].data();
    machine.contexts[self].uc_stack.ss_size = stacks[self].size();
    machine.contexts[self].uc_link = &machine.main;
    makecontext(&machine.contexts[self], reinterpret_cast<void (*)()>(Enter), 1, thread);
  }
  machine.running = static_cast<int>(Random(2));
  swapcontext(&machine.main, &machine.contexts[static_cast<std::size_t>(machine.running)]);
  machine.running = -1;
  machine.words.clear();
  machine.shared.clear();
  return machine.error;
}

}  // namespace shm::weak

// The ring copies its elements with memcpy; called from the sources under test only.
extern "C" void* __wrap_memcpy(void* to, const void* from, std::size_t bytes) {
  shm::weak::PlainRead(from, bytes);
  shm::weak::PlainWrite(to, bytes);
  return __real_memcpy(to, from, bytes);
}
